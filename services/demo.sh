#!/usr/bin/env bash
# `make demo`: simulator → Kafka topic → engine → Cassandra, and the CQL query with its answer.
# Wants the servers of `make up`. A topic and a keyspace of its own each time, so that it always works.
. "$(dirname "$0")/common.sh"
etiage=$1
config=examples/temperatures/etiage.toml
run=demo_$(date -u +%Y%m%d_%H%M%S)
if "$HERE/servers.sh" compose; then
  kafka=127.0.0.1:${KAFKA_PORT:-9092} cassandra=${CASSANDRA_HOST:-127.0.0.1}:${CASSANDRA_PORT:-9042}
  lag=20s     # twice the image's commit log sync period
else
  kafka=$("$HERE/kafka.sh" address) cassandra=$("$HERE/cassandra.sh" address)
  lag=2s      # our Cassandra syncs its commit log every second
fi
host=${cassandra%:*} port=${cassandra#*:}
export ETIAGE_KAFKA__BOOTSTRAP_SERVERS=$kafka ETIAGE_KAFKA__GROUP_ID=$run
export ETIAGE_STREAMS__TEMPERATURES__TOPICS="[\"$run\"]"
export ETIAGE_STORE__KIND=cassandra ETIAGE_STORE__NODES="[\"$cassandra\"]" ETIAGE_STORE__KEYSPACE=$run
export ETIAGE_STORE__COMMIT_LAG=$lag

venv=$("$HERE/python.sh")
say "== keyspace, tables and topics: etiage migrate"
"$etiage" migrate --config "$config"
say "== simulated readings into the topic $run"
sensors=${SENSORS:-500} hours=${HOURS:-12}
"$etiage" simulate --topic "$run" --brokers "$kafka" --seed "${SEED:-1}" --sensors "$sensors" \
  --interval 60 --readings $((sensors * hours * 60)) --late 0.002 --garbage 0.0002
say "== the engine, until the topic's end"
"$etiage" run --config "$config" --until-end

last=$("$etiage" rows --config "$config" --view region --metric temperature --csv |
  awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "window_start") c = i; next } $c > m { m = $c } END { print m }')
[ -n "$last" ] || die "no row came out: see the messages above"
query="SELECT label, count, mean, min, max, stddev, final FROM $run.rows_by_time
  WHERE \"view\" = 'region' AND width = '1h' AND metric = 'temperature' AND tenant = ''
  AND bucket = '${last%%T*}' AND window_start = '$last';"
say "== $query"
"$venv/bin/cqlsh" "$host" "$port" -e "$query" | grep -v '^WARNING: cqlsh was built'
say "More: $venv/bin/cqlsh $host $port -k $run"
