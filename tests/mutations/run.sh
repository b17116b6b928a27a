#!/usr/bin/env bash
# Can the simulator see? Each patch beside this file is a mistake that somebody could make. It is applied to a
# copy of the checkout, built, and run against seeds until one fails.
#   run.sh [NAME…]      all of them, or those whose names begin so
# FROM (1) is the first seed, SEEDS (100000) how many a mistake may take to be caught. Most are seen within a few: so
# the first $SOON are tried without optimisation, which builds many times sooner.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
from=${FROM:-1} seeds=${SEEDS:-100000}
SOON=300
work=${CARGO_TARGET_DIR:-$HOME/.cache/etiage/target}/mutations
tree=$work/tree
# A copy of its own, and a target directory too: what is changed here is never what somebody is working on.
export CARGO_TARGET_DIR=$work/target
rm -rf "$tree"
mkdir -p "$tree"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp -p --parents -t "$tree")
cd "$tree"
export GIT_CEILING_DIRECTORIES=${tree%/*}     # it is no part of any repository around it

wanted() { # name
  [ ${#names[@]} = 0 ] && return
  local name
  for name in "${names[@]}"; do [[ $1 == "$name"* ]] && return; done
  return 1
}

build() { # optimisation; prints the simulator's path
  CARGO_PROFILE_DEV_OPT_LEVEL=$1 CARGO_PROFILE_DEV_DEBUG=0 cargo test --quiet --features tls --test simulator --no-run --message-format json 2>"$tree.log" |
    sed -n 's/.*"kind":\["test"\].*"executable":"\([^"]*\)".*/\1/p' | tail -1
}

survives() { # optimisation, how many seeds
  local simulator
  simulator=$(build "$1")
  [ -n "$simulator" ] || { echo "it compiled a moment ago, and does not now: see $tree.log" >&2; exit 1; }
  "$simulator" --from "$from" --seeds "$2" --until-failure --no-shrink >"$tree.out" 2>&1
}

names=("$@") caught=0 all=0
for patch in "$here"/*.patch; do
  name=$(basename "$patch" .patch)
  wanted "$name" || continue
  all=$((all + 1))
  if ! git apply "$patch" 2>"$tree.log" || git diff --quiet --no-index "$root/src" "$tree/src"; then
    echo "$name: does not apply, or changes nothing in src/"; sed 's/^/  /' "$tree.log"; continue
  fi
  if [ -z "$(build 0)" ]; then
    echo "$name: does not compile"; grep -m3 -A5 '^error' "$tree.log" | sed 's/^/  /'
  elif survives 0 $((seeds < SOON ? seeds : SOON)) && survives 1 "$seeds"; then
    echo "$name: NOT CAUGHT within $seeds seeds"
  else
    after=$(sed -n 's/.* seeds=\([0-9]*\) .*/\1/p' "$tree.out")
    echo "$name: caught after $after seeds by: $(sed -n 's/^seed [0-9]* fails: //p' "$tree.out" | head -1 | cut -c1-160)"
    caught=$((caught + 1))
  fi
  git apply --reverse "$patch"
done
echo "mutations from=$from seeds=$seeds caught=$caught of=$all"
[ "$all" -gt 0 ] && [ "$caught" = "$all" ]
