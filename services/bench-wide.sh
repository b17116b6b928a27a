#!/usr/bin/env bash
# `make bench-wide`: large key spaces, from files into the embedded store: many tenants with many metrics, then many
# stations. Prints rate, CPU and the peak of memory, which stays within engine.queue + engine.parts and what a process has.
#   ROUNDS (10) readings of each tenant in each region   STATIONS (1,000,000)
. "$(dirname "$0")/common.sh"
. "$HERE/measure.sh"
etiage=$1
rounds=${ROUNDS:-10} stations=${STATIONS:-1000000}
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-wide.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

config() { # name stream-and-views: writes $dir/NAME.toml
  printf '%s\n[store]\nkind = "sqlite"\npath = "%s.db"\n[serve]\nlisten = ""\n' "$2" "$1" >"$dir/$1.toml"
}

# City sensors have nine quantities; the tenth, and the tenant, are added here. Every sensor sends for all tenants.
readings=$((200 * 18 * rounds * 20))
"$etiage" simulate --shape city-sensors --sensors 360 --readings "$readings" --interval 10s --abroad 0 |
  awk '{ printf "{\"tenant\":\"t%03d\",\"co2\":%d,%s\n", int(NR / 360) % 200, 400 + NR % 50, substr($0, 2) }' >"$dir/city.ndjson"
config city 'streams.city = { files = ["city.ndjson"], time = "timestamp", lat = "lat", lon = "lon", id = "sensor_id", every_numeric = true, tenant = { field = "tenant" } }
views.region = {}'
machine
say "== $readings readings of 200 tenants in 18 regions with 10 metrics each"
measure city "$dir/city.toml"

readings=$stations
"$etiage" simulate --shape bts-alarms --sensors "$stations" --readings "$readings" --interval 1h --files "$dir/alarms" --partitions 2
config stations 'streams.alarms = { files = ["alarms/part-0.ndjson", "alarms/part-1.ndjson"], time = "event_time", labels = { station = "station_id" }, metrics = { value = {} } }
views.station = { group_by = ["station"] }'
say "== $readings readings of $stations stations, a key each"
measure stations "$dir/stations.toml"
