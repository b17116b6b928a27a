#!/usr/bin/env bash
# Where everything comes from, and under which licence: docs/dependencies.md against the manifests, the data's sheet and NOTICE
# against the data, and the libraries in source against what NOTICE says of them. cargo-deny runs in .ci/run.
. "$(dirname "$0")/support.sh"
python3 -B tests/deploy/dependencies.py

notice=$(tr '\n' ' ' <NOTICE | tr -s ' ')
for data in regions/*.geojson; do
  sum=$(sha256sum <"$data" | cut -d' ' -f1)
  grep -F "$(basename "$data")" regions/SOURCE.md | grep -qF "$sum" || die "regions/SOURCE.md has no line for $data as it is: $sum"
  [[ $notice == *"$data"* ]] || die "NOTICE does not name $data"
done
# As the licence asks for: who, of when, under which licence, and that it was changed.
for word in IGN INSEE "1 January 2024" "Licence Ouverte" Modified; do
  [[ $notice == *"$word"* ]] && grep -qE "${word/Modified/modified}" regions/SOURCE.md || die "NOTICE or regions/SOURCE.md does not say: $word"
done
[ "$(find regions -type f ! -name '*.geojson' ! -name SOURCE.md ! -name build_regions.py | wc -l)" = 0 ] || die "regions/ holds data of which nobody says where it comes from"

# Crates whose sources hold a library that is none of Rust: each is named in NOTICE. `-sys` is how they call themselves.
cargo tree --locked --edges normal --features tls --prefix none | awk '{ print $1 }' | sort -u | grep -E -- '-sys$' >"$work/sys"
while read -r crate; do
  case $crate in
    libmimalloc-sys) name=mimalloc ;; libsqlite3-sys) name=SQLite ;; libz-sys) name=zlib ;; rdkafka-sys) name=librdkafka ;; zstd-sys) name=zstd ;;
    openssl-sys | linux-raw-sys) continue ;;         # the system's; declarations alone
    *) die "$crate may hold a library in source: name it in NOTICE, and here" ;;
  esac
  [[ $notice == *"$name"* ]] || die "NOTICE does not name $name"
done <"$work/sys"
[ "$(wc -l <"$work/sys")" -ge 5 ] || die "the libraries in source were not found"
grep -q 'Apache License' LICENSE && grep -q 'Version 2.0, January 2004' LICENSE || die "LICENSE is not the Apache License 2.0"
