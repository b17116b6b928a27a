#!/usr/bin/env bash
# Three Kafka brokers and three Cassandra nodes, replication 3, for fault tests; each in a directory of its own under DIR.
#   cluster.sh start DIR             start all, wait until they work together
#   cluster.sh kafka|cassandra DIR   their addresses, with commas
#   cluster.sh up DIR NAME           one server again (kafka-1 … cassandra-3); returns once it takes connections
#   cluster.sh kill|stop DIR NAME    SIGKILL; SIGTERM and wait
#   cluster.sh wipe DIR              SIGKILL all, and remove DIR
# On free ports of loopback addresses; or, with CLUSTER_NET="PREFIX NETWORK", each server in a network namespace that is
# there already, PREFIX-NAME, at NETWORK.11 … .13 (Kafka) and .21 … .23 (Cassandra).
. "$(dirname "$0")/common.sh"
NODES=3
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2; }
command=${1:-help}
[ $# -ge 2 ] || usage
dir=$(realpath -m "$2")
read -r prefix network <<<"${CLUSTER_NET:-}" || true

names() { local i; for i in $(seq $NODES); do say "$1-$i"; done; }

host() { # kind number
  case ${network:+net}$1 in
    kafka) say 127.0.0.1 ;;
    cassandra) say "127.0.0.$2" ;;
    netkafka) say "$network.$((10 + $2))" ;;
    netcassandra) say "$network.$((20 + $2))" ;;
  esac
}

free_on_all() { # nodes of a Cassandra cluster differ by address, not by port
  local port i busy
  for _ in $(seq 100); do
    port=$(free_port 127.0.0.1) busy=
    for i in $(seq 2 $NODES); do ! port_open "127.0.0.$i" "$port" || busy=1; done
    [ -n "$busy" ] || { say "$port"; return; }
  done
  die "no free port on 127.0.0.1 to 127.0.0.$NODES"
}

# Each node names all others in its settings, so all ports are chosen before the first one starts.
launch_all() {
  local i voters= seeds= storage ports=() controllers=()
  storage=$(free_on_all)
  for i in $(seq $NODES); do
    ports+=("$(free_port 127.0.0.1)")
    controllers+=("$(free_port 127.0.0.1)")
    voters+=",$i@$(host kafka "$i"):${controllers[-1]}"
    seeds+=",$(host cassandra "$i"):$storage"
  done
  export KAFKA_HEAP=${KAFKA_HEAP:-256m} KAFKA_REPLICAS=$NODES KAFKA_VOTERS=${voters#,}
  export CASSANDRA_HEAP=${CASSANDRA_HEAP:-256m} CASSANDRA_SEEDS=${seeds#,} CASSANDRA_STORAGE=$storage CASSANDRA_PORT
  CASSANDRA_PORT=$(free_on_all)
  for i in $(seq $NODES); do
    NETNS=${prefix:+$prefix-kafka-$i} KAFKA_HOST=$(host kafka "$i") KAFKA_NODE=$i KAFKA_PORT=${ports[i - 1]} \
      KAFKA_CONTROLLER=${controllers[i - 1]} "$HERE/kafka.sh" start "$dir/kafka-$i" >/dev/null &
    pids+=($!)
    # A token each, set by hand: then all may start at once, and nothing is streamed.
    NETNS=${prefix:+$prefix-cassandra-$i} CASSANDRA_HOST=$(host cassandra "$i") \
      CASSANDRA_TOKEN=$(((i - NODES / 2 - 1) * 6148914691236517204)) \
      "$HERE/cassandra.sh" start "$dir/cassandra-$i" >/dev/null &
    pids+=($!)
  done
}

start() {
  local pid python pids=()
  "$HERE/kafka.sh" fetch
  "$HERE/cassandra.sh" fetch
  python=$("$HERE/python.sh")/bin/python
  launch_all
  for pid in "${pids[@]}"; do wait "$pid" || die "the cluster in $dir did not start"; done
  "$python" -B "$HERE/ready.py" "$(addresses kafka)" "$(addresses cassandra)" 180 || die "the servers in $dir do not work together"
}

addresses() { # kind
  local name all=
  for name in $(names "$1"); do all+=",$("$HERE/$1.sh" address "$dir/$name")"; done
  say "${all#,}"
}

case $command in
  start) start ;;
  kafka|cassandra) addresses "$command" ;;
  up) "$HERE/${3%-*}.sh" start "$dir/$3" ;;
  kill|stop) "$HERE/${3%-*}.sh" "$command" "$dir/$3" ;;
  wipe)
    for name in $(names kafka) $(names cassandra); do "$HERE/${name%-*}.sh" wipe "$dir/$name" & done
    wait
    rm -rf "$dir" ;;
  *) usage ;;
esac
