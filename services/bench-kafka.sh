#!/usr/bin/env bash
# `make bench-kafka`: a real broker, real topics, the whole engine to rows. Each figure is readings/s from the start of the process to
# the last durable commit, CPU a reading over all threads, and the peak of memory.
#   bench-kafka.sh BINARY [PART…]   codecs stores starts scaling backlog latency (all of them)
#   READINGS (10,000,000)  PARTS_BACK (100,000)  SENSORS (20,000)  TOPIC_PARTITIONS (6)  ROUNDS (3)  BACKLOG (20,000,000)  SECONDS_EACH (20)
. "$(dirname "$0")/common.sh"
. "$HERE/measure.sh"
etiage=$1
shift
[ $# -gt 0 ] || set -- codecs stores starts scaling backlog latency
readings=${READINGS:-10000000} sensors=${SENSORS:-20000} partitions=${TOPIC_PARTITIONS:-6} rounds=${ROUNDS:-3}
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-bench.XXXXXX")
clean() { trap - EXIT INT TERM; kill $(jobs -p) 2>/dev/null || true; "$HERE/servers.sh" wipe "$dir" >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap clean EXIT
trap 'exit 130' INT TERM

KAFKA_PORT=free CASSANDRA_PORT=free "$HERE/servers.sh" start "$dir"
export ETIAGE_KAFKA__BOOTSTRAP_SERVERS ETIAGE_SERVE__LISTEN=
ETIAGE_KAFKA__BOOTSTRAP_SERVERS=$("$HERE/kafka.sh" address "$dir/kafka")
config=examples/temperatures/etiage.toml

# What is measured next: a topic of its own name, a group and a store of its own.
use() { # topic [cassandra]
  topic=$1 run=$((${run:-0} + 1))
  export ETIAGE_STREAMS__TEMPERATURES__TOPICS="[\"$topic\"]" ETIAGE_KAFKA__GROUP_ID=bench-$run
  if [ "${2:-}" = cassandra ]; then
    export ETIAGE_STORE__KIND=cassandra ETIAGE_STORE__NODES="[\"$("$HERE/cassandra.sh" address "$dir/cassandra")\"]"
    export ETIAGE_STORE__COMMIT_LAG=2s ETIAGE_STORE__KEYSPACE=bench_$run
    unset ETIAGE_STORE__PATH
  else
    export ETIAGE_STORE__KIND=sqlite ETIAGE_STORE__PATH=$dir/rows-$run.db
    unset ETIAGE_STORE__NODES ETIAGE_STORE__COMMIT_LAG ETIAGE_STORE__KEYSPACE
  fi
  "$etiage" migrate --config $config --partitions "$partitions" >/dev/null
}

send() { # what to simulate
  "$etiage" simulate --topic "$topic" --brokers "$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" "$@" 2>"$dir/fill.log" || { cat "$dir/fill.log" >&2; die "the topic was not filled"; }
}

fill() { # readings, and what else
  send --sensors "$sensors" --readings "$1" --interval 60 --abroad 0 "${@:2}"
}

# From the start of the process to the first records folded: regions, store, group and assignment included.
latency() { # name
  local folded
  folded=$(grep -m1 'first records folded' "$dir/$1.log" | sed 's/\x1b\[[0-9;]*m//g' | awk '{ print $1 }')
  [ -n "$folded" ] || die "the log of $1 does not say when the first records were folded"
  awk -v name="$1" -v a="$started" -v b="$(date -d "$folded" +%s%N)" \
    'BEGIN { printf "%-22s %9.0f ms from the start of the process to the first records folded\n", name, (b - a) / 1e6 }'
}

codecs() {
  local codec each round
  say "== one reading a record, and arrays of 100; $readings readings of $sensors sensors into $partitions partitions; embedded store"
  for codec in none lz4 zstd; do
    for each in 1 100; do
      use "codec-$codec-$each"
      fill "$readings" --per-record "$each" -X "compression.codec=$codec"
      for round in $(seq "$rounds"); do
        [ "$round" = 1 ] || use "codec-$codec-$each"
        measure "$codec-$each" $config
      done
    done
  done
}

stores() {
  say "== the same topic into both stores; one reading a record, lz4"
  use stores
  fill "$readings"
  measure embedded $config
  latency embedded
  say "(with Cassandra: includes waiting twice for the commit lag of 2 s before the last commit is durable)"
  use stores cassandra
  measure cassandra $config
  latency cassandra
}

# An instance that starts where others stopped: parts that are not in memory are read back before anything is folded into them. The
# same readings come once more, so that all parts are wanted again.
starts() {
  local store all=$readings many=${PARTS_BACK:-100000}
  say "== a start with parts to read back: 36 for each partition (18 regions in two hours), and $many (a station each)"
  # The stream has the example's name, so that `use` gives it its topic.
  printf '%s\n' 'streams.temperatures = { time = "event_time", labels = { station = "station_id" }, metrics = { value = {} } }' \
    'views.station = { group_by = ["station"] }' >"$dir/stations.toml"
  for store in sqlite cassandra; do
    use "start-few-$store" $store
    again few-$store $config --sensors 20000 --readings 40000 --interval 1h --abroad 0
    config=$dir/stations.toml use "start-many-$store" $store
    again many-$store "$dir/stations.toml" --shape bts-alarms --sensors "$many" --readings "$many" --interval 1h
  done
  readings=$all
}

# The readings once, folded; then the same ones once more, to the end of which a second process starts.
again() { # name config, and what to simulate
  local name=$1 config=$2
  shift 2
  readings=$(printf '%s\n' "$@" | sed -n '/^--readings$/{n;p}')
  for _ in 1 2; do
    send --start 2026-03-01 "$@"
    measure "$name" "$config" >"$dir/measured"
  done
  cat "$dir/measured"
  latency "$name"
}

scaling() {
  say "== partitions and instances, one reading a record, lz4, into Cassandra"
  local many
  for many in 1 12; do
    partitions=$many use "scaling-$many" cassandra
    fill "$readings"
    measure "partitions-$many" $config
  done
  use scaling-12 cassandra
  INSTANCES=2 measure instances-2 $config
}

backlog() {
  local number=${BACKLOG:-20000000} live all=$readings
  say "== a backlog of $number readings, caught up while 5,000 a second arrive"
  use backlog
  fill "$number"
  "$etiage" simulate --topic "$topic" --brokers "$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" --sensors "$sensors" --rate 5000 --abroad 0 2>/dev/null & live=$!
  readings=$number measure backlog $config
  readings=$all
  kill $live && wait $live 2>/dev/null || true
}

# The generator, the broker and the engine share the processors: the greatest rate is what the first two leave to each other.
latencies() {
  local store most share rate venv engine load where
  venv=$("$HERE/python.sh")
  use most
  most=$( { fill "$readings" && sed -n 's/.* records sent in \([0-9.]*\) s.*/\1/p' "$dir/fill.log" | tail -n 1; } | awk -v n="$readings" '{ printf "%.0f", n / $1 }')
  say "== from the broker's acknowledgement to a row that can be read; views are flushed every second; the generator alone sends at most $most readings/s"
  for store in sqlite cassandra; do
    for share in 10 50 90; do
      use "latency-$store-$share" $store
      rate=$((most * share / 100))
      if [ $store = sqlite ]; then where=("$ETIAGE_STORE__PATH"); else where=("$("$HERE/cassandra.sh" address "$dir/cassandra")" "$ETIAGE_STORE__KEYSPACE"); fi
      "$etiage" run --config $config 2>"$dir/latency.log" & engine=$!
      "$etiage" simulate --topic "$topic" --brokers "$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" --sensors "$sensors" --rate $rate --abroad 0 2>/dev/null & load=$!
      sleep 8
      printf '%-10s at %6d readings/s (%s %%): ' "$store" "$rate" "$share"
      "$venv/bin/python" "$HERE/latency.py" "$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" "$topic" $store "${where[@]}" "${SECONDS_EACH:-20}" 20 \
        || { tail -5 "$dir/latency.log" >&2; die "no latency"; }
      kill -TERM $load $engine
      wait $load 2>/dev/null || true
      wait $engine || die "the engine did not stop well"
    done
  done
}

machine
for part in "$@"; do
  case $part in
    codecs | stores | starts | scaling | backlog) "$part" ;;
    latency) latencies ;;
    *) die "bench-kafka.sh: $part is none of codecs, stores, starts, scaling, backlog, latency" ;;
  esac
done
