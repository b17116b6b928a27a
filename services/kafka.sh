#!/usr/bin/env bash
# One real Apache Kafka node (broker and controller in one) from Maven Central, on a loopback address.
#   kafka.sh fetch                 resolve the jars (once)
#   kafka.sh start [DIR]           format at the first start, start, wait until ready, print the address
#   kafka.sh address [DIR] [NAME]  where clients connect; by a listener's name (ssl, mtls, sasl_ssl, sasl_plaintext)
#   kafka.sh log [DIR]             what the server said since its last start
#   kafka.sh stop|kill|wipe [DIR]  SIGTERM and wait; SIGKILL; SIGKILL and remove DIR
#   kafka.sh tool CLASS ARGS…      for instance: tool TopicCommand --bootstrap-server 127.0.0.1:9092 --list
# KAFKA_PORT (9092; `free` takes free ports) and KAFKA_HEAP (384m) count at the first start of a DIR. So does
# KAFKA_SECURITY=1, which adds listeners with certificates in DIR/certificates (certificates.sh): ssl, mtls (a client
# certificate is required), sasl_ssl and sasl_plaintext (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; KAFKA_USER, KAFKA_PASSWORD).
# A node of several (cluster.sh): KAFKA_HOST (127.0.0.1), KAFKA_NODE (its number), KAFKA_CONTROLLER (its second port),
# KAFKA_VOTERS (number@host:port of each node, with commas), KAFKA_REPLICAS (of topics) and NETNS (common.sh).
. "$(dirname "$0")/common.sh"

java_options() { # heap
  printf '%s\n' "-Xms$1" "-Xmx$1" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true
}

ports() { # dir: chooses them at the first start, and keeps them
  local dir=$1 host=${KAFKA_HOST:-127.0.0.1} port=${KAFKA_PORT:-9092} controller=${KAFKA_CONTROLLER:-} node=${KAFKA_NODE:-1}
  [ ! -f "$dir/env" ] || return 0
  if [ "$port" = free ]; then port=$(free_port "$host"); : "${controller:=$(free_port "$host")}"; fi
  : "${controller:=$((port + 1))}"
  mkdir -p "$dir"
  printf 'HOST=%s\nPORT=%s\nCONTROLLER=%s\nHEAP=%s\nSECURITY=%s\nNODE=%s\nVOTERS=%s\nREPLICAS=%s\nNETNS=%s\n' \
    "$host" "$port" "$controller" "${KAFKA_HEAP:-384m}" "${KAFKA_SECURITY:-}" "$node" \
    "${KAFKA_VOTERS:-$node@$host:$controller}" "${KAFKA_REPLICAS:-1}" "${NETNS:-}" >"$dir/env"
  [ -z "${KAFKA_SECURITY:-}" ] || secured_ports "$port" "$controller" >>"$dir/env"
}

SECURED="SSL MTLS SASL_SSL SASL_PLAINTEXT"       # listeners beside the plain one, and the names of their ports

secured_ports() { # port controller
  local name next=$2
  for name in $SECURED; do
    if [ "${KAFKA_PORT:-}" = free ]; then next=$(free_port 127.0.0.1); else next=$((next + 1)); fi
    printf '%s=%s\n' "$name" "$next"
  done
}

properties() { # dir: with several nodes a record is acknowledged once two of them have it
  local isr=$((REPLICAS > 1 ? 2 : 1))
  cat <<P
process.roles=broker,controller
node.id=$NODE
controller.quorum.voters=$VOTERS
listeners=$(listeners),CONTROLLER://$HOST:$CONTROLLER
advertised.listeners=$(listeners)
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,MTLS:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
log.dirs=$1/data
auto.create.topics.enable=false
default.replication.factor=$REPLICAS
min.insync.replicas=$isr
unclean.leader.election.enable=false
offsets.topic.replication.factor=$REPLICAS
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=$REPLICAS
transaction.state.log.min.isr=$isr
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=$REPLICAS
share.coordinator.state.topic.min.isr=$isr
share.coordinator.state.topic.num.partitions=3
group.initial.rebalance.delay.ms=0
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=10000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=1000
group.min.session.timeout.ms=6000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=2097152
log.segment.bytes=67108864
log.retention.ms=-1
controlled.shutdown.max.retries=1
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
P
  [ "$REPLICAS" = 1 ] || quick_failover
  [ -z "${SECURITY:-}" ] || secured_properties "$1"
}

# So that a node that is killed or cut off holds the others up for seconds: for fault tests.
quick_failover() {
  cat <<P
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=2000
replica.lag.time.max.ms=10000
replica.socket.timeout.ms=10000
P
}

listeners() {
  local name all=PLAINTEXT://$HOST:$PORT
  if [ -n "${SECURITY:-}" ]; then for name in $SECURED; do all+=",$name://$HOST:${!name}"; done; fi
  say "$all"
}

secured_properties() { # dir: PLAIN's users stand here, SCRAM's are made by `format`
  local name scram=org.apache.kafka.common.security.scram.ScramLoginModule
  cat <<P
ssl.keystore.type=PEM
ssl.keystore.location=$1/certificates/server.store.pem
ssl.truststore.type=PEM
ssl.truststore.location=$1/certificates/ca.pem
listener.name.mtls.ssl.client.auth=required
listener.name.sasl_ssl.ssl.client.auth=requested
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
P
  for name in sasl_ssl sasl_plaintext; do
    cat <<P
listener.name.$name.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$USERNAME="$PASSWORD";
listener.name.$name.scram-sha-256.sasl.jaas.config=$scram required;
listener.name.$name.scram-sha-512.sasl.jaas.config=$scram required;
P
  done
}

# The brokers' classes are loaded with `-Detiage.dir=` first: what `alive` knows the process by.
start() { # dir
  local dir=$1 java libs
  java=$(java17) || die "kafka needs Java 17: apt-get install openjdk-17-jre-headless (or set ETIAGE_JAVA)"
  libs=$(jars kafka)
  ports "$dir"
  known "$dir"
  if ! alive "$dir"; then
    [ ! -f "$dir/data/meta.properties" ] && format "$dir" "$java" "$libs"
    mapfile -t options < <(java_options "$HEAP")
    launch "$dir" "$java" "-Detiage.dir=$dir" "${options[@]}" -Djava.io.tmpdir="$dir/tmp" \
      -Dlog4j2.configurationFile="$HERE/kafka/log4j2.properties" -cp "$libs/*" kafka.Kafka "$dir/server.properties"
  fi
  await "$dir" "$HOST" "$PORT" 'Kafka Server started' 90
  say "$HOST:$PORT"
}

# What was chosen at the first start; a directory made before there could be several nodes says less.
known() { # dir
  HOST=127.0.0.1 NODE=1 REPLICAS=1 NETNS=
  . "$1/env"
  VOTERS=${VOTERS:-$NODE@$HOST:$CONTROLLER}
}

USERNAME=${KAFKA_USER:-etiage}
PASSWORD=${KAFKA_PASSWORD:-etiage-secret}

format() { # dir java libs
  local mechanism users=()
  if [ -n "${SECURITY:-}" ]; then
    "$HERE/certificates.sh" "$1/certificates"
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do users+=(--add-scram "$mechanism=[name=$USERNAME,password=$PASSWORD]"); done
  fi
  properties "$1" >"$1/server.properties"
  "$2" -Xmx128m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$HERE/kafka/log4j2.properties" -cp "$3/*" kafka.tools.StorageTool \
    format --cluster-id MkU3OEVBNTcwNTJENDM2Qg --config "$1/server.properties" --ignore-formatted "${users[@]}" >"$1/format.log" 2>&1 \
    || { cat "$1/format.log" >&2; die "kafka could not format $1"; }
}

tool() { # class arguments...
  local class=$1; shift
  [[ $class == org.* || $class == kafka.* ]] || class=org.apache.kafka.tools.$class
  exec "$(java17)" -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile="$HERE/kafka/log4j2.properties" -Dlevel=ERROR -cp "$(jars kafka)/*" "$class" "$@"
}

command=${1:-help}
dir=$(realpath -m "${2:-$SERVICES/kafka}")
case $command in
  fetch) jars kafka >/dev/null ;;
  start) start "$dir" ;;
  address) known "$dir"; name=${3:-port}; name=${name^^}; say "$HOST:${!name}" ;;
  tool) shift; tool "$@" ;;
  *) common "$0" "$command" "$dir" ;;
esac
