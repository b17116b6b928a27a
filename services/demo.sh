#!/usr/bin/env bash
# `make demo`: simulator → Kafka topic → engine → Cassandra, and the CQL query with its answer.
# Wants the servers of `make up`. A topic and a keyspace of its own each time, so that it always works.
. "$(dirname "$0")/common.sh"
etiage=$1
config=examples/temperatures/etiage.toml
run=demo_$(date -u +%Y%m%d_%H%M%S)
host=${CASSANDRA_HOST:-127.0.0.1} port=${CASSANDRA_PORT:-9042} kafka=127.0.0.1:${KAFKA_PORT:-9092}
export ETIAGE_KAFKA__BOOTSTRAP_SERVERS=$kafka ETIAGE_KAFKA__GROUP_ID=$run
export ETIAGE_STREAMS__TEMPERATURES__TOPICS="[\"$run\"]"
export ETIAGE_STORE__KIND=cassandra ETIAGE_STORE__NODES="[\"$host:$port\"]" ETIAGE_STORE__KEYSPACE=$run
export ETIAGE_STORE__COMMIT_LAG=${COMMIT_LAG:-2s}     # `make up`'s Cassandra syncs its commit log every second

venv=$("$HERE/python.sh")
say "== keyspace, tables and topics: etiage migrate"
"$etiage" migrate --config "$config"
say "== simulated readings into the topic $run"
"$etiage" simulate temperatures --topic "$run" --kafka "$kafka" --sensors "${SENSORS:-500}" --hours "${HOURS:-12}" --seed "${SEED:-1}"
say "== the engine, until the topic's end"
"$etiage" run --config "$config" --until-end

last=$("$etiage" rows --config "$config" --view region --metric temperature --csv |
  awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "window_start") c = i; next } $c > m { m = $c } END { print m }')
[ -n "$last" ] || die "no row came out: see the messages above"
query="SELECT label, count, mean, min, max, stddev, final FROM $run.rows_by_time
  WHERE view = 'region' AND width = '1h' AND metric = 'temperature' AND tenant = ''
  AND bucket = '${last%%T*}' AND window_start = '$last';"
say "== $query"
"$venv/bin/cqlsh" "$host" "$port" -e "$query" 2> >(grep -v '^WARNING: cqlsh' >&2)
say "More: $venv/bin/cqlsh $host $port -k $run"
