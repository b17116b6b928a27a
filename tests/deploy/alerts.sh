#!/usr/bin/env bash
# The alert rules, the dashboard and their runbooks (alerts.py), and a real Prometheus that scrapes a real engine by them
# (scrape.py), against the Kafka of ETIAGE_TEST_KAFKA or one of its own.
#   alerts.sh BINARY
. "$(dirname "$0")/../../services/own.sh"
etiage=$(realpath "$1")
tools=$("$HERE/prometheus.sh" 2>"$dir/why") || {
  skipped alerts "$(tail -n 1 "$dir/why")"
  exit 0
}
cd "$HERE/.."
python3 tests/deploy/alerts.py "$tools/promtool" "$dir"
kafka=${ETIAGE_TEST_KAFKA:-$(KAFKA_PORT=free "$HERE/kafka.sh" start "$dir/kafka")}
python3 tests/deploy/scrape.py "$etiage" "$tools" "$kafka" "$dir"
