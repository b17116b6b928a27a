#!/usr/bin/env bash
# One real Apache Cassandra node from Maven Central, on a loopback address.
#   cassandra.sh fetch                 resolve the jars (once)
#   cassandra.sh start [DIR]           start, wait until ready, print the address
#   cassandra.sh address|log [DIR]     where clients connect; what the server said since its last start
#   cassandra.sh stop|kill|wipe [DIR]  SIGTERM and wait; SIGKILL; SIGKILL and remove DIR
# CASSANDRA_HOST (127.0.0.1; any 127.0.0.x), CASSANDRA_PORT (9042; `free` takes free ports) and
# CASSANDRA_HEAP (512m) count at the first start of a DIR. So does CASSANDRA_SECURITY=tls: TLS with certificates in
# DIR/certificates (certificates.sh), users with passwords and permissions; the first user is cassandra/cassandra.
# With CASSANDRA_SECURITY=mtls it asks for client certificates, too.
# A node of several (cluster.sh): CASSANDRA_STORAGE (their port among themselves), CASSANDRA_TOKEN (its place in the
# ring), CASSANDRA_SEEDS (host:port, with commas) and NETNS (common.sh).
. "$(dirname "$0")/common.sh"

ports() { # dir: chooses them at the first start, and keeps them
  local dir=$1 host=${CASSANDRA_HOST:-127.0.0.1} port=${CASSANDRA_PORT:-9042} storage=${CASSANDRA_STORAGE:-}
  [ ! -f "$dir/env" ] || return 0
  if [ "$port" = free ]; then port=$(free_port "$host"); : "${storage:=$(free_port "$host")}"; fi
  : "${storage:=7000}"
  mkdir -p "$dir"
  printf 'HOST=%s\nPORT=%s\nSTORAGE=%s\nHEAP=%s\nSECURITY=%s\nTOKEN=%s\nSEEDS=%s\nNETNS=%s\n' \
    "$host" "$port" "$storage" "${CASSANDRA_HEAP:-512m}" "${CASSANDRA_SECURITY:-}" \
    "${CASSANDRA_TOKEN:-0}" "${CASSANDRA_SEEDS:-$host:$storage}" "${NETNS:-}" >"$dir/env"
}

# Small caches and memtables for a small machine. The commit log is synced as by default in
# production's `periodic` mode, but every second, so that tests may set a short `commit_lag`.
yaml() { # dir
  cat <<Y
cluster_name: etiage
num_tokens: 1
initial_token: '${TOKEN:-0}'
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "$SEEDS"}]
listen_address: $HOST
rpc_address: $HOST
storage_port: $STORAGE
native_transport_port: $PORT
data_file_directories: [$1/data]
commitlog_directory: $1/commitlog
hints_directory: $1/hints
saved_caches_directory: $1/saved_caches
cdc_raw_directory: $1/cdc_raw
commitlog_sync: periodic
commitlog_sync_period: 1000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 128MiB
commitlog_disk_access_mode: legacy
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
key_cache_size: 4MiB
counter_cache_size: 4MiB
file_cache_size: 32MiB
networking_cache_size: 32MiB
concurrent_reads: 8
concurrent_writes: 8
concurrent_counter_writes: 4
concurrent_compactors: 1
memtable_flush_writers: 1
native_transport_max_threads: 16
read_request_timeout: 5s
write_request_timeout: 2s
request_timeout: 10s
dynamic_snitch: false
storage_compatibility_mode: NONE
auto_snapshot: false
Y
  if [ -n "${SECURITY:-}" ]; then secured "$1"; else printf '%s\n' 'authenticator: AllowAllAuthenticator' 'authorizer: AllowAllAuthorizer'; fi
}

# What roles may do is remembered briefly only, for tests.
secured() { # dir
  cat <<Y
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
roles_validity: 200ms
permissions_validity: 200ms
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: $([ "$SECURITY" = mtls ] && echo true || echo false)
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: $1/certificates/server.store.pem
  truststore: $1/certificates/ca.pem
Y
}

# Without a JMX port there is no nodetool: one node needs none, and it is one port less to collide.
start() { # dir
  local dir=$1 java libs ready='Startup complete' settle=100
  java=$(java17) || die "cassandra needs Java 17: apt-get install openjdk-17-jre-headless (or set ETIAGE_JAVA)"
  libs=$(jars cassandra)
  ports "$dir"
  NETNS= SEEDS=
  . "$dir/env"
  SEEDS=${SEEDS:-$HOST:$STORAGE}
  if ! alive "$dir"; then
    if [ -n "${SECURITY:-}" ]; then
      "$HERE/certificates.sh" "$dir/certificates"
      [ -d "$dir/data" ] || ready='Created default superuser role'
    fi
    yaml "$dir" >"$dir/cassandra.yaml"
    [ "$SEEDS" = "$HOST:$STORAGE" ] || settle=5000        # a ring that is made quicker breaks
    mapfile -t options < <(grep '^-' "$HERE/cassandra/jvm17.options")
    launch "$dir" "$java" "-Detiage.dir=$dir" -Djava.io.tmpdir="$dir/tmp" "-Xms$HEAP" "-Xmx$HEAP" -XX:TieredStopAtLevel=1 \
      "${options[@]}" -javaagent:"$(ls "$libs"/jamm-*.jar)" \
      -Dcassandra.config="file://$dir/cassandra.yaml" -Dcassandra.storagedir="$dir" -Dcassandra.logdir="$dir" \
      -Dlogback.configurationFile="file://$HERE/cassandra/logback.xml" -Dcassandra-foreground=yes \
      -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=$settle -Dcassandra.superuser_setup_delay_ms=0 \
      -Dcassandra.available_processors=2 -XX:MaxDirectMemorySize=256m -XX:ErrorFile="$dir/hs_err.log" \
      -cp "$libs/*" org.apache.cassandra.service.CassandraDaemon
  fi
  await "$dir" "$HOST" "$PORT" "$ready" 120
  say "$HOST:$PORT"
}

command=${1:-help}
dir=$(realpath -m "${2:-$SERVICES/cassandra}")
case $command in
  fetch) jars cassandra >/dev/null ;;
  start) start "$dir" ;;
  address) . "$dir/env"; say "$HOST:$PORT" ;;
  *) common "$0" "$command" "$dir" ;;
esac
