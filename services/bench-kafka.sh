#!/usr/bin/env bash
# `make bench-kafka`: a real broker, a real topic, the whole engine to rows, in the embedded store and in Cassandra.
# Prints readings/s from the start of the process to the last durable commit, CPU a reading, and the peak of memory.
#   READINGS (3,000,000)  SENSORS (20,000)  TOPIC_PARTITIONS (6)
. "$(dirname "$0")/common.sh"
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

measure() { # name
  local began ended pid peak=0 now
  began=$(date +%s%N)
  "$etiage" run --config $config --until-end 2>"$dir/$1.log" & pid=$!
  while now=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do
    peak=$now cpu=$(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2>/dev/null || echo "$cpu"); sleep 0.05
  done
  wait "$pid" || { cat "$dir/$1.log" >&2; die "the run failed"; }
  ended=$(date +%s%N)
  awk -v name="$1" -v n="$readings" -v ns=$((ended - began)) -v cpu="$cpu" -v hz="$(getconf CLK_TCK)" -v peak="$peak" \
    'BEGIN { printf "%-22s %9.0f readings/s  %6.2f s  %5.0f ns CPU a reading  peak %4.0f MiB\n", name, n / (ns / 1e9), ns / 1e9, cpu / hz / n * 1e9, peak / 1024 }'
}

say "== $readings readings of $sensors sensors into $partitions partitions, one reading a record"
export ETIAGE_STORE__KIND=sqlite ETIAGE_STORE__PATH=$dir/rows.db
prepare
fill
say "== $(nproc) processors, $(uname -m), $("$etiage" --version), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
measure embedded
export ETIAGE_STORE__KIND=cassandra ETIAGE_STORE__NODES="[\"$("$HERE/cassandra.sh" address "$dir/cassandra")\"]"
export ETIAGE_KAFKA__GROUP_ID=bench-cassandra ETIAGE_STORE__COMMIT_LAG=2s
unset ETIAGE_STORE__PATH
prepare
say "(with Cassandra: includes waiting twice for the commit lag of 2 s before the last commit is durable)"
measure cassandra
