#!/usr/bin/env bash
# `make fuzz`: fuzz.sh MINUTES [TARGET…] runs each target of fuzz/ (or those named) for so long, as many beside each
# other as there are processors. What was found earlier is kept in $CARGO_TARGET_DIR/fuzz/corpus and goes on from there;
# an input that breaks something is kept beside it, and its path is the last thing that is printed of its target.
. "$(dirname "$0")/common.sh"
minutes=$1; shift
[[ $minutes =~ ^[1-9][0-9]*$ ]] || die "MINUTES=$minutes: say how many whole minutes each target runs, 1 at least"
cd "$HERE/../fuzz"
all=$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)
targets=${*:-$all}
for target in $targets; do grep -qx "$target" <<<"$all" || die "there is no target $target; there are: $(echo $all)"; done
target_dir=${CARGO_TARGET_DIR:-$CACHE/target}
export PATH=$CACHE/cargo-fuzz/bin:$PATH
if ! command -v cargo-fuzz >/dev/null; then
  say "installing cargo-fuzz into $CACHE/cargo-fuzz (builds targets for libFuzzer)"
  cargo install --quiet --locked --root "$CACHE/cargo-fuzz" cargo-fuzz
fi

say "== building"
# libFuzzer's instrumentation is behind a flag that stable compilers take only when asked so. No sanitizer: what runs
# here has no unsafe code of ours, and twice as many inputs are tried without.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$target_dir
cargo fuzz build --fuzz-dir . --sanitizer none --release
host=$(rustc -vV | sed -n 's/^host: //p')

run() { # target
  local target=$1 corpus=$target_dir/fuzz/corpus/$1 found=$target_dir/fuzz/found/$1 log=$target_dir/fuzz/$1.log status=0
  mkdir -p "$corpus" "$found"
  # The corpus that has grown is written to the first directory; the committed seeds are read only.
  "$target_dir/$host/release/$target" "$corpus" "seeds/$target" -max_total_time=$((minutes * 60)) -max_len=4096 \
    -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$found/" ${FUZZ_FLAGS:-} >"$log" 2>&1 || status=$?
  local tried
  tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  say "fuzz target=$target minutes=$minutes inputs=${tried:-?} corpus=$(ls "$corpus" | wc -l) findings=$([ $status = 0 ] && echo 0 || echo 1)"
  [ $status = 0 ] || { grep -a -m1 -A3 'panicked at\|ERROR: libFuzzer' "$log"; sed -n 's/.*Test unit written to /kept: /p' "$log"; }
  return $status
}

say "== fuzzing each of $(wc -w <<<"$targets") targets for $minutes minutes, $(nproc) beside each other"
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
failures=0 running=0
for target in $targets; do
  [ $running -lt "$(nproc)" ] || { wait -n || failures=$((failures + 1)); running=$((running - 1)); }
  run "$target" &
  running=$((running + 1))
done
while [ $running -gt 0 ]; do wait -n || failures=$((failures + 1)); running=$((running - 1)); done
say "fuzz targets=$(wc -w <<<"$targets") minutes=$minutes findings=$failures"
[ $failures = 0 ]
