#!/usr/bin/env bash
# `make asan`: all that is unsafe (src/source/kafka/ffi) under the address sanitizer: the tests of the Kafka source, against a
# real broker. Arguments are other filters of tests.
. "$(dirname "$0")/common.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-asan.XXXXXX")
clean() {
  trap - EXIT INT TERM HUP
  find "$dir" -name pid -printf '%h\n' 2>/dev/null | while read -r server; do halt "$server" KILL 5; done
  rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

say "== building"
# The sanitizer is behind a flag that stable compilers take only when asked so. librdkafka itself is built without: what is
# looked for is what we do with its memory, and that is of the same allocator.
CARGO_BUILD_TARGET=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 CARGO_BUILD_TARGET RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}/asan
cargo test --features tls --test it --no-run

say "== starting Kafka on a free port, in $dir"
KAFKA_PORT=free "$HERE/kafka.sh" start "$dir/kafka"
ETIAGE_TEST_KAFKA=$("$HERE/kafka.sh" address "$dir/kafka")
export ETIAGE_TEST_SERVICES=$dir ETIAGE_TEST_NOTES=$dir/notes ETIAGE_TEST_KAFKA
: >"$ETIAGE_TEST_NOTES"
cargo test --features tls --test it -- --test-threads 2 "${@:-kafka_source}"
cat "$ETIAGE_TEST_NOTES"
