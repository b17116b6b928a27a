#!/usr/bin/env bash
# Prints the directory that holds `prometheus` and `promtool`: this machine's own, or Debian's package unpacked into the
# cache. It is not installed: installed, it would start a server on port 9090 and keep it.
. "$(dirname "$0")/common.sh"
here=$(command -v promtool || true)
[ -z "$here" ] || ! command -v prometheus >/dev/null || { dirname "$here"; exit 0; }
dir=$CACHE/prometheus
if [ ! -x "$dir/usr/bin/prometheus" ]; then
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || die "no prometheus and no promtool, and this is not Debian"
  mkdir -p "$CACHE"
  exec 8>"$CACHE/prometheus.lock"
  flock 8
  if [ ! -x "$dir/usr/bin/prometheus" ]; then
    say "unpacking Debian's prometheus into $dir (once)" >&2
    rm -rf "$dir.part"
    mkdir -p "$dir.part"
    download() { (cd "$dir.part" && apt-get download -qq prometheus) >"$dir.part/log" 2>&1; }
    # A fresh machine has no lists of packages yet.
    download || { [ "$(id -u)" = 0 ] && apt-get update -qq >&2 && download; } \
      || { cat "$dir.part/log" >&2; die "Debian's package prometheus cannot be fetched"; }
    dpkg -x "$dir.part"/prometheus_*.deb "$dir.part"
    rm "$dir.part"/prometheus_*.deb "$dir.part/log"
    rm -rf "$dir"
    mv "$dir.part" "$dir"
  fi
fi
say "$dir/usr/bin"
