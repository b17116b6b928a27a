#!/usr/bin/env bash
# `make test`: everything, with a Kafka and a Cassandra of its own on free ports, which always stop.
# Arguments go to the test binaries (a filter, for instance).
. "$(dirname "$0")/common.sh"
venv=$("$HERE/python.sh")
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-test.XXXXXX")

# Tests may start servers of their own below $dir; whatever is found there is stopped.
clean() {
  trap - EXIT INT TERM HUP
  find "$dir" -name pid -printf '%h\n' 2>/dev/null | while read -r server; do halt "$server" KILL 5; done
  if [ "${ETIAGE_TEST_KEEP:-0}" = 1 ]; then say "kept: $dir"; else rm -rf "$dir"; fi
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

say "== building"
cargo build --release --features tls --bin etiage     # for the test of `make run`
cargo test --features tls --no-run

say "== starting Kafka and Cassandra on free ports, in $dir"
KAFKA_PORT=free CASSANDRA_PORT=free "$HERE/servers.sh" start "$dir" || die "make test needs real servers, and they did not start"
export ETIAGE_TEST_SERVICES=$dir ETIAGE_TEST_VENV=$venv ETIAGE_TEST_NOTES=$dir/notes
ETIAGE_TEST_KAFKA=$("$HERE/kafka.sh" address "$dir/kafka")
ETIAGE_TEST_CASSANDRA=$("$HERE/cassandra.sh" address "$dir/cassandra")
export ETIAGE_TEST_KAFKA ETIAGE_TEST_CASSANDRA
: >"$ETIAGE_TEST_NOTES"

say "== testing"
status=0
cargo test --features tls --no-fail-fast -- "$@" 2>&1 | tee "$dir/output" || status=$?

# A test against a server stands in tests/it and says so in its name: kafka_…, cassandra_…, kafka_cassandra_….
sed -n '\:Running tests/it/:,/^test result:/p' "$dir/output" >"$dir/ring"
ran() { # pattern: how many such tests ran and were not skipped
  local all skipped
  all=$(grep -cE "^test ([a-z0-9_]+::)*$1[a-z0-9_]* \.\.\. (ok|FAILED)" "$dir/ring" || true)
  skipped=$(grep -cE "^SKIPPED $1" "$ETIAGE_TEST_NOTES" || true)
  say $((all - skipped))
}
kafka=$(ran 'kafka_')
cassandra=$(ran '(kafka_)?cassandra_')
say ""
version() { sed -n "s:.*<artifactId>$2</artifactId><version>\([^<]*\)<.*:\1:p" "$HERE/$1/pom.xml"; }
say "== against real servers: $kafka tests against Kafka $(version kafka kafka_2.13), $cassandra tests against Cassandra $(version cassandra cassandra-all)"
skipped=$(grep -c '^SKIPPED' "$ETIAGE_TEST_NOTES" || true)
say "== skipped: $skipped"
cat "$ETIAGE_TEST_NOTES"
awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
  END { printf "%d passed, %d failed, %d ignored\n", passed, failed, ignored }' "$dir/output"
if [ $# = 0 ] && { [ "$kafka" = 0 ] || [ "$cassandra" = 0 ]; }; then die "no test ran against a real server: that is a failure"; fi
exit $status
