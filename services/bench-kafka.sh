#!/usr/bin/env bash
# `make bench-kafka`: a real broker, a real topic, the whole engine to rows, in the embedded store and in Cassandra.
# Prints readings/s from the start of the process to the last durable commit, CPU a reading, and the peak of memory.
#   READINGS (3,000,000)  SENSORS (20,000)  TOPIC_PARTITIONS (6)
. "$(dirname "$0")/common.sh"
. "$HERE/measure.sh"
etiage=$1
readings=${READINGS:-3000000} sensors=${SENSORS:-20000} partitions=${TOPIC_PARTITIONS:-6}
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-bench.XXXXXX")
clean() { trap - EXIT INT TERM; "$HERE/servers.sh" wipe "$dir" >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap clean EXIT
trap 'exit 130' INT TERM

KAFKA_PORT=free CASSANDRA_PORT=free "$HERE/servers.sh" start "$dir"
export ETIAGE_KAFKA__BOOTSTRAP_SERVERS ETIAGE_SERVE__LISTEN=
ETIAGE_KAFKA__BOOTSTRAP_SERVERS=$("$HERE/kafka.sh" address "$dir/kafka")
config=examples/temperatures/etiage.toml

prepare() { "$etiage" migrate --config $config --partitions "$partitions" >/dev/null; }
fill() { "$etiage" simulate --topic temperatures --brokers "$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" --sensors "$sensors" --readings "$readings" --interval 60 --abroad 0 "$@"; }

# From the start of the process to the first records folded: regions, store, group and assignment included.
latency() { # name
  local folded
  folded=$(grep -m1 'first records folded' "$dir/$1.log" | sed 's/\x1b\[[0-9;]*m//g' | awk '{ print $1 }')
  [ -n "$folded" ] || die "the log of $1 does not say when the first records were folded"
  awk -v name="$1" -v a="$started" -v b="$(date -d "$folded" +%s%N)" \
    'BEGIN { printf "%-22s %9.0f ms from the start of the process to the first records folded\n", name, (b - a) / 1e6 }'
}

say "== $readings readings of $sensors sensors into $partitions partitions, one reading a record"
export ETIAGE_STORE__KIND=sqlite ETIAGE_STORE__PATH=$dir/rows.db
prepare
fill
machine
measure embedded $config
latency embedded
export ETIAGE_STORE__KIND=cassandra ETIAGE_STORE__NODES="[\"$("$HERE/cassandra.sh" address "$dir/cassandra")\"]"
export ETIAGE_KAFKA__GROUP_ID=bench-cassandra ETIAGE_STORE__COMMIT_LAG=2s
unset ETIAGE_STORE__PATH
prepare
say "(with Cassandra: includes waiting twice for the commit lag of 2 s before the last commit is durable)"
measure cassandra $config
latency cassandra
