#!/usr/bin/env bash
# `make dist`, and what the image is filled with: the release's files in their places, and one archive of them.
#   dist.sh tree ETIAGE DIR     lays them into DIR, which must be empty or absent
#   dist.sh archive ETIAGE DIR  makes DIR/etiage-VERSION-TARGET.tar.gz and its .sha256
# The same binary and SOURCE_DATE_EPOCH (seconds; the last commit's where unset) give the same bytes. The tree:
#   bin/etiage  regions/ migrations/ examples/ docs/ deploy/  completions/ man/  LICENSE NOTICE … third-party.txt sbom.cdx.json SHA256SUMS
. "$(dirname "$0")/common.sh"
export LC_ALL=C TZ=UTC
umask 022
cd "$HERE/.."
command=${1:-help}
case $command in tree | archive) [ $# = 3 ] || die "dist.sh $command ETIAGE DIR" ;; *) sed -n '2,6s/^# \{0,1\}//p' "services/dist.sh"; exit 2 ;; esac
etiage=$(realpath "$2") out=$(realpath -m "$3")
target=$(rustc -vV | sed -n 's/^host: //p')
version=$("$etiage" --version | awk '{ print $2 }')
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || die "set SOURCE_DATE_EPOCH: this is no git checkout")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# cargo-cyclonedx writes beside Cargo.toml, and names the checkout's own path.
sbom() { # file
  local tool here
  tool=$("$HERE/tool.sh" cargo-cyclonedx)
  mkdir "$work/crate"
  cp -r Cargo.toml Cargo.lock src benches tests "$work/crate/"
  (cd "$work/crate" && "$tool" cyclonedx --quiet --format json --spec-version 1.5 --features tls --target "$target" --override-filename sbom)
  here=$(realpath "$work/crate")
  sed "s|file://$here|file:///etiage|g; s|$here|/etiage|g" "$work/crate/sbom.json" >"$1"
}

tree() { # dir
  local name
  mkdir -p "$1"
  [ -z "$(ls -A "$1")" ] || die "$1 is not empty"
  install -D -m 755 "$etiage" "$1/bin/etiage"
  # The names of functions stay, for stack traces; line numbers, three quarters of the file, go.
  strip --strip-debug "$1/bin/etiage"
  cp LICENSE NOTICE README.md ARCHITECTURE.md GUARANTEES.md CHANGELOG.md SECURITY.md "$1/"
  for name in regions migrations examples docs deploy; do
    cp -r "$name" "$1/"
    find "$1/$name" -name '__pycache__' -prune -exec rm -rf {} +
  done
  mkdir -p "$1/completions"
  for name in bash zsh fish; do "$etiage" completions "$name" >"$1/completions/etiage.$name"; done
  "$etiage" man "$1/man/man1"
  python3 -B "$HERE/licences.py" "$target" >"$1/third-party.txt"
  sbom "$1/sbom.cdx.json"
  find "$1" -type d -exec chmod 755 {} +
  find "$1" -type f ! -path '*/bin/*' -exec chmod 644 {} +
  (cd "$1" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum >"$work/sums")
  mv "$work/sums" "$1/SHA256SUMS"
}

archive() { # dir
  local name=etiage-$version-$target
  tree "$work/$name"
  mkdir -p "$1"
  tar --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$work" -c "$name" | gzip -9n >"$work/archive"
  mv "$work/archive" "$1/$name.tar.gz"
  (cd "$1" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
  say "$1/$name.tar.gz"
}

"$command" "$out"
