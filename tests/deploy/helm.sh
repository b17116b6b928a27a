#!/usr/bin/env bash
# The Helm chart, without a cluster: lint, five value sets against golden files, Kubernetes' schemas, a policy of our own, the values
# against the engine's defaults, and each configuration that comes out held against the engine itself.
#   helm.sh [BINARY]                (UPDATE_GOLDEN=1 writes the golden files anew)
# What cannot be had is skipped, visibly.
. "$(dirname "$0")/../../services/common.sh"
ROOT=$(dirname "$HERE")
DEPLOY="$ROOT/tests/deploy"
ETIAGE=${1:-${CARGO_TARGET_DIR:-$HOME/.cache/etiage/target}/release/etiage}
SETS=(minimal secured replay values-fr values-de)
# The oldest that the chart allows, and the newest that the schemas know.
KUBERNETES=(1.29.0 1.37.0)
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-helm.XXXXXX")
trap 'rm -rf "$dir"' EXIT

failed=0
wrong() { say "FAILED $*"; failed=$((failed + 1)); }

if ! "$HERE/helm.sh" 2>&1 | tee "$dir/had"; then
  skipped helm_chart "$(tail -1 "$dir/had")"
  exit 0
fi
PATH="$(tail -1 "$dir/had"):$PATH"
python="$("$HERE/python.sh")/bin/python"

render() { # set: as it would be installed, under a name and namespace that never change
  helm template etiage "$ROOT/helm" --namespace sensors --kube-version 1.34.0 -f "$ROOT/helm/examples/$1.yaml"
}

golden() { # set
  local file="$DEPLOY/golden/$1.yaml"
  [ -z "${UPDATE_GOLDEN:-}" ] || cp "$dir/$1.yaml" "$file"
  diff -u "$file" "$dir/$1.yaml" || wrong "$1: this is not what $file says (UPDATE_GOLDEN=1 tests/deploy/helm.sh writes it anew)"
}

# Refused, and for this reason.
refused() { # words set options...
  local words=$1 set=$2; shift 2
  if helm template etiage "$ROOT/helm" -f "$ROOT/helm/examples/$set.yaml" "$@" >"$dir/refused" 2>&1; then
    wrong "$set $*: was rendered, and should be refused"
  else
    grep -qF "$words" "$dir/refused" || { cat "$dir/refused"; wrong "$set $*: was refused, but not with: $words"; }
  fi
}

refusals() {
  refused "image.repository" minimal --set image.repository=
  refused "latest" minimal --set image.tag=latest
  refused "latest" minimal --set image.tag=latest --skip-schema-validation
  refused "6 partitions" minimal --set replicas=7
  refused "12 partitions" minimal --set replicas=13 --set 'config.streams.temperatures.topics={a,b}'
  refused "24 partitions" secured --set autoscaling.max=25
  refused "sasl.password" secured --set 'config.kafka.sasl\.password=hunter2'
  refused "sasl.password" secured --set 'config.kafka.sasl\.password=hunter2' --skip-schema-validation
  refused "password" secured --set config.store.password=hunter2
  refused "secrets.store.password" secured --set config.store.password=hunter2 --skip-schema-validation
  refused "group.instance.id" minimal --set 'config.kafka.group\.instance\.id=x'
  refused "brokers are" minimal --set networkPolicy.kafka.to=null
  refused "config/engine" minimal --set config.engine.qeue=1MiB
  refused "streams" minimal --set config.streams=null
  refused "autoscaling.prometheus" secured --set autoscaling.prometheus=
  refused "user" minimal --set user=0
}

# The engine reads what the chart writes. `etiage check` says what it thinks of a configuration before it asks any server;
# that none answers here is no fault of the configuration.
asked() { # file
  local world="$1.world" toml="$1.toml"
  mkdir -p "$world/config" "$world/files" "$world/archive" "$world/secrets"/{kafka,store,migrate}
  cp "$DEPLOY/laender.geojson" "$world/files/"
  printf '{}\n' >"$world/archive/2025.ndjson"
  for side in kafka store; do
    cp "$dir/pem/ca.pem" "$world/secrets/$side/ca.pem"
    cp "$dir/pem/client.pem" "$world/secrets/$side/certificate.pem"
    cp "$dir/pem/client.key" "$world/secrets/$side/key.pem"
  done
  cp "$dir/pem/client.locked.key" "$world/secrets/store/key.pem"
  printf 'etiage-key' >"$world/secrets/store/key-password"
  printf 'hunter2' | tee "$world/secrets/kafka/password" "$world/secrets/store/password" >"$world/secrets/migrate/password"
  # Nobody is asked: names of no host, on this machine.
  sed -E "s|/etc/etiage|$world|g; s|[a-z0-9.-]+:[0-9]+([\",])|127.0.0.1:1\1|g; s|(\"listen\" = ).*|\1\"127.0.0.1:0\"|" "$toml" >"$world/config/etiage.toml"
  "$ETIAGE" check --json --config "$world/config/etiage.toml" >"$1.json" 2>"$1.err" || true
}

say "== the chart's values against src/defaults.toml"
"$python" "$DEPLOY/values.py" "$ROOT" || wrong "values"

say "== lint, golden files"
for set in "${SETS[@]}"; do
  helm lint --strict --quiet "$ROOT/helm" -f "$ROOT/helm/examples/$set.yaml" || wrong "$set: helm lint"
  render "$set" >"$dir/$set.yaml" || { wrong "$set: does not render"; continue; }
  golden "$set"
done

say "== what must be refused"
refusals

say "== Kubernetes' own schemas"
skipped helm_crds "no schemas of ServiceMonitor and ScaledObject in any package registry: these two are not held against one"
for version in "${KUBERNETES[@]}"; do
  "$python" "$DEPLOY/schemas.py" "$version" "$dir/schemas/$version"
  for set in "${SETS[@]}"; do
    kubeconform -strict -summary -skip ServiceMonitor,ScaledObject \
      -schema-location "$dir/schemas/$version/{{ .ResourceKind }}{{ .KindSuffix }}.json" "$dir/$set.yaml" >"$dir/conform" 2>&1 \
      || { cat "$dir/conform"; wrong "$set: Kubernetes $version would not take it"; }
    grep -qE '^Summary: ([4-9]|[1-9][0-9]) resources' "$dir/conform" || { cat "$dir/conform"; wrong "$set: nothing was compared"; }
  done
done

say "== our own policy, and whether it would see what it is for"
for set in "${SETS[@]}"; do "$python" "$DEPLOY/policy.py" "$dir/$set.yaml" || wrong "$set: policy"; done
"$python" "$DEPLOY/policy.py" --break "$dir/secured.yaml" "$dir/replay.yaml" || wrong "the policy misses something"

say "== the engine reads what the chart writes"
if [ -x "$ETIAGE" ]; then
  "$HERE/certificates.sh" "$dir/pem"
  for set in "${SETS[@]}"; do "$python" "$DEPLOY/configs.py" "$dir/$set.yaml" "$dir/$set"; done
  for toml in "$dir"/*.toml; do asked "${toml%.toml}" & done
  wait
  for toml in "$dir"/*.toml; do
    name=${toml%.toml}
    "$python" "$DEPLOY/accepted.py" "$name.json" || { sed 's/^/  /' "$name.err"; wrong "$(basename "$name"): the engine refuses what the chart writes"; }
  done
else
  skipped helm_configurations "there is no binary at $ETIAGE (make build)"
fi

[ "$failed" = 0 ] || die "the chart: $failed checks failed"
say "the chart: all checks passed"
