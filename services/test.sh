#!/usr/bin/env bash
# `make test`: everything, with a Kafka and a Cassandra of its own on free ports, which always stop.
# Arguments go to the test binaries (a filter, for instance).
. "$(dirname "$0")/own.sh"

say "== building"
cargo build --release --features tls --bin etiage     # for the tests of `make run` and of deploy/
cargo test --features tls --no-run

own_servers

say "== testing"
status=0
cargo test --features tls --no-fail-fast -- "$@" 2>&1 | tee "$dir/output" || status=$?
if [ $# = 0 ]; then
  say "== testing what is shipped beside the code"
  "$HERE/../tests/deploy/run.sh" "${CARGO_TARGET_DIR:-target}/release/etiage" 2>&1 | tee -a "$dir/output" || status=$?
fi

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
