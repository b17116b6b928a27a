#!/usr/bin/env bash
# A Python environment with the packages of requirements.txt, made once; prints its directory.
. "$(dirname "$0")/common.sh"
venv="$CACHE/venv-$(sha256sum <"$HERE/requirements.txt" | cut -c1-12)"
if [ ! -f "$venv/complete" ]; then
  mkdir -p "$CACHE"
  exec 8>"$CACHE/venv.lock"
  flock 8
  if [ ! -f "$venv/complete" ]; then
    say "making $venv (once)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$HERE/requirements.txt" >&2 \
      || die "could not install the packages of $HERE/requirements.txt: is PyPI (or your mirror) reachable?"
    touch "$venv/complete"
  fi
fi
say "$venv"
