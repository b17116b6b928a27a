#!/usr/bin/env bash
# compose.yaml and compose.engine.yaml as Docker Compose itself reads them, the engine's settings in them as the engine reads
# them, and Prometheus' configuration as promtool does. No container is started: there may be no engine here.
. "$(dirname "$0")/support.sh"
both=(-f compose.yaml -f compose.engine.yaml)
unset GRAFANA_PASSWORD KAFKA_PORT CASSANDRA_HOST CASSANDRA_PORT ETIAGE_PORT PROMETHEUS_PORT GRAFANA_PORT ETIAGE_VERSION COMPOSE_PROFILES COMPOSE_FILE

if compose=$(checker docker-compose); then
  # `make up` starts these two and no more, whatever profiles are on.
  up=$(COMPOSE_PROFILES=sensors "$compose" -f compose.yaml config --services | sort | tr '\n' ' ')
  [ "$up" = "cassandra kafka " ] || die "make up would start: $up"
  ! "$compose" "${both[@]}" config >"$work/refused" 2>&1 || die "Grafana would start without a password that somebody chose"
  grep -q GRAFANA_PASSWORD "$work/refused" || die "$(cat "$work/refused")"
  export GRAFANA_PASSWORD=chosen
  "$compose" "${both[@]}" config --services | sort | tr '\n' ' ' >"$work/services"
  [ "$(cat "$work/services")" = "cassandra engine grafana kafka migrate prometheus " ] || die "the services are: $(cat "$work/services")"
  "$compose" -f compose.yaml config --format json >"$work/up.json"
  "$compose" "${both[@]}" --profile sensors config --format json >"$work/all.json"
  python3 -B tests/deploy/compose.py "$work/up.json" "$work/all.json" >"$work/environments"

  # What the engine says of its settings there; that nobody answers under such names here is no fault of theirs.
  while IFS=$'\t' read -r service settings; do
    mapfile -d ';' -t environment <<<"$settings"
    said=$(env -i "${environment[@]:0:${#environment[@]}-1}" timeout 60 "$etiage" check 2>&1 || true)
    grep -q '^ok  *configuration:' <<<"$said" || die "the settings of $service: $said"
  done <"$work/environments"
fi

if promtool=$(checker promtool); then
  "$promtool" check config deploy/prometheus/prometheus.yaml
fi
[ -f deploy/grafana/etiage.json ] || die "the dashboard that Grafana opens with is not there: deploy/grafana/etiage.json"
# Panels name their source by the uid that is provisioned, or by a variable.
for uid in $(grep -oE '"uid": *"[^"]*"' deploy/grafana/etiage.json | sed 's/.*"\([^"]*\)"$/\1/' | sort -u); do
  case $uid in prometheus | '$'* | etiage* | --\ Grafana\ --) ;; *) die "the dashboard names a source that is not provisioned: $uid" ;; esac
done
grep -q 'uid: prometheus$' deploy/grafana/provisioning/datasources/prometheus.yaml
