#!/usr/bin/env bash
# `make bench-replay`: how fast a replay folds, beside a plain run over the same topic: a real broker, the embedded store, then
# Cassandra. Both are asked for their metrics until all records are folded; what follows (draining, publishing) is told apart.
#   READINGS (3,000,000)  SENSORS (20,000)  TOPIC_PARTITIONS (6)
. "$(dirname "$0")/common.sh"
. "$HERE/measure.sh"
etiage=$1
readings=${READINGS:-3000000} sensors=${SENSORS:-20000} partitions=${TOPIC_PARTITIONS:-6}
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-bench.XXXXXX")
clean() { trap - EXIT INT TERM; kill $(jobs -p) 2>/dev/null || true; "$HERE/servers.sh" wipe "$dir" >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap clean EXIT
trap 'exit 130' INT TERM

KAFKA_PORT=free CASSANDRA_PORT=free "$HERE/servers.sh" start "$dir"
port=$(free_port 127.0.0.1)
export ETIAGE_KAFKA__BOOTSTRAP_SERVERS ETIAGE_SERVE__LISTEN=127.0.0.1:$port
ETIAGE_KAFKA__BOOTSTRAP_SERVERS=$("$HERE/kafka.sh" address "$dir/kafka")
config=examples/temperatures/etiage.toml

records() { { exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && cat <&3; } 2>/dev/null | awk '/^etiage_records_total/ { sum += $2 } END { print sum + 0 }'; }

# Runs it, says how fast it folded and how long it took in all.
folding() { # name command…
  local name=$1 began folded ended pid cpu=0
  shift
  began=$(date +%s%N)
  "$etiage" "$@" --config $config >"$dir/$name.log" 2>&1 & pid=$!
  until [ "$(records)" -ge "$readings" ]; do
    kill -0 $pid 2>/dev/null || { cat "$dir/$name.log" >&2; die "$name ended before all was folded"; }
    sleep 0.05
  done
  folded=$(date +%s%N)
  cpu=$(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2>/dev/null || echo 0)
  if [ "$1" = replay ]; then wait $pid || { cat "$dir/$name.log" >&2; die "the replay failed"; }; else kill -TERM $pid; wait $pid; fi
  ended=$(date +%s%N)
  awk -v name="$name" -v n="$readings" -v f=$((folded - began)) -v all=$((ended - began)) -v cpu="$cpu" -v hz="$(getconf CLK_TCK)" \
    'BEGIN { printf "%-22s %9.0f readings/s folded from the start of the process on  %5.0f ns CPU a reading  %6.2f s  to its end %6.2f s\n", name, n / (f / 1e9), cpu / hz / n * 1e9, f / 1e9, all / 1e9 }'
}

machine
for store in embedded cassandra; do
  export ETIAGE_KAFKA__GROUP_ID=bench-$store
  if [ $store = embedded ]; then
    export ETIAGE_STORE__KIND=sqlite ETIAGE_STORE__PATH=$dir/rows.db
  else
    export ETIAGE_STORE__KIND=cassandra ETIAGE_STORE__COMMIT_LAG=2s ETIAGE_STORE__NODES="[\"$("$HERE/cassandra.sh" address "$dir/cassandra")\"]"
    unset ETIAGE_STORE__PATH
  fi
  "$etiage" migrate --config $config --partitions "$partitions" >/dev/null
  if [ $store = embedded ]; then
    say "== $readings readings of $sensors sensors into $partitions partitions, one reading a record"
    "$etiage" simulate --topic temperatures --brokers "$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" --sensors "$sensors" --readings "$readings" --interval 60 --abroad 0
  fi
  folding "run, $store" run
  ETIAGE_STREAMS__TEMPERATURES__METRICS__TEMPERATURE__THRESHOLD=35 folding "replay, $store" replay --from earliest
done
