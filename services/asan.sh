#!/usr/bin/env bash
# `make asan`: asan.sh [FILTER…] runs the tests of the Kafka source, which holds all of our `unsafe` (src/source/kafka/ffi),
# and of the whole binary under faults, built with the address sanitizer, against a Kafka and a Cassandra of its own.
# What the sanitizer reports, leaks too, is printed and fails the run.
. "$(dirname "$0")/own.sh"
[ $# -gt 0 ] || set -- kafka_source faults:: security::kafka status::
host=$(rustc -vV | sed -n 's/^host: //p')
# The flag is one that stable compilers take only when asked so; naming a target keeps it out of build scripts.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=address" CARGO_BUILD_TARGET=$host
# The C libraries stay as they are: what they get from us and give back is looked at where it is allocated and freed.
export CFLAGS="${CFLAGS:-} -fno-sanitize=address" CXXFLAGS="${CXXFLAGS:-} -fno-sanitize=address"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}/asan

say "== building with the address sanitizer"
cargo test --no-default-features --features tls --lib --test it --no-run
own_servers
export ASAN_OPTIONS=log_path=$dir/asan LSAN_OPTIONS=suppressions=$HERE/asan.supp:print_suppressions=0
say "== testing"
status=0
cargo test --no-default-features --features tls --lib -- source:: || status=$?
cargo test --no-default-features --features tls --test it -- "$@" || status=$?
reports=$(find "$dir" -maxdepth 1 -name 'asan.*' | wc -l)
[ "$reports" = 0 ] || head -n 60 "$dir"/asan.*
cat "$ETIAGE_TEST_NOTES"
say "asan tests=$* reports=$reports status=$status"
[ "$reports" = 0 ] && [ $status = 0 ]
