#!/usr/bin/env bash
# `make run`: simulated sensors written as files, the engine on them as partitions with the embedded
# store, and the last hours per region. Needs no server. Everything lies in `.run/`, made anew each time.
. "$(dirname "$0")/common.sh"
etiage=$1
dir=.run
config=examples/temperatures/etiage.toml
partitions=${PARTITIONS:-4} sensors=${SENSORS:-2000} hours=${HOURS:-24} seed=${SEED:-1}

rm -rf "$dir"
mkdir -p "$dir/readings"
say "== $sensors sensors across France, $hours hours, written as $partitions files"
"$etiage" simulate --files "$dir/readings" --partitions "$partitions" --seed "$seed" --sensors "$sensors" \
  --interval 60 --readings $((sensors * hours * 60)) --late 0.002 --garbage 0.0002

files=$(printf ',"%s"' "$dir"/readings/*)
export ETIAGE_STREAMS__TEMPERATURES__FILES="[${files#,}]"
export ETIAGE_STORE__KIND=sqlite ETIAGE_STORE__PATH="$dir/rows.db" ETIAGE_REJECTS__DIR="$dir"
say "== the engine reads each file as a partition"
"$etiage" run --config "$config" --until-end

# The header names the columns; the latest window's start tells where "the last hours" begin.
last=$("$etiage" rows --config "$config" --view region --metric temperature --csv |
  awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "window_start") c = i; next } $c > m { m = $c } END { print m }')
[ -n "$last" ] || die "no row came out: see the messages above"
from=$(date -u -d "$last - 2 hours" +%Y-%m-%dT%H:%M:%SZ)
say "== mean temperature per region, the last hours"
"$etiage" rows --config "$config" --view region --metric temperature --from "$from"

cat <<TEXT

The rows are in $dir/rows.db. Ask for others:
  ETIAGE_STORE__KIND=sqlite ETIAGE_STORE__PATH=$dir/rows.db \\
    $etiage rows --config $config --view region --metric temperature --key 53
or with any SQLite client:
  sqlite3 $dir/rows.db "SELECT label, window_start, count, mean FROM rows_by_key WHERE key = '53' LIMIT 5"
With real Kafka and Cassandra: make demo
TEXT
