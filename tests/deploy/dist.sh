#!/usr/bin/env bash
# `make dist`: the same bytes twice, whole and complete; and unpacked, as a container would run it: in a root that holds the archive,
# read-only, and the libraries of the image's base, no shell, no other program, no network, as a user without rights who may write
# into one directory. There it simulates sensors into files, folds them, shows rows and answers for its health.
. "$(dirname "$0")/support.sh"
SONAMES=$'ld-linux-aarch64.so.1\nld-linux-x86-64.so.2\nlibc.so.6\nlibcrypto.so.3\nlibgcc_s.so.1\nlibm.so.6\nlibssl.so.3\nlinux-vdso.so.1'

# Without the tool there is no bill of materials, and so no archive: all of it is skipped.
checker cargo-cyclonedx >/dev/null || exit 0

archive() { SOURCE_DATE_EPOCH=1700000000 services/dist.sh archive "$@"; }
first=$(archive "$etiage" "$work/first")
# Again from a copy of another age, under another umask, time zone and language.
cp "$etiage" "$work/etiage"
second=$(umask 077; TZ=Asia/Tokyo LANG=fr_FR.UTF-8 archive "$work/etiage" "$work/second")
cmp "$first" "$second" || die "the same binary gave two different archives"
(cd "$work/first" && sha256sum --check --quiet ./*.sha256)

mkdir "$work/empty"
tar -xzf "$first" -C "$work/empty"
tree=$(echo "$work"/empty/*)
(cd "$tree" && sha256sum --check --quiet --strict SHA256SUMS)
[ "$(cd "$tree" && find . -type f | wc -l)" = $(($(wc -l <"$tree/SHA256SUMS") + 1)) ] || die "SHA256SUMS does not name every file"
for file in bin/etiage LICENSE NOTICE SECURITY.md third-party.txt sbom.cdx.json regions/SOURCE.md docs/security.md completions/etiage.bash man/man1/etiage-run.1; do
  [ -s "$tree/$file" ] || die "the archive lacks $file"
done
! grep -rlF -e "$PWD" -e "$work" -e "$HOME/" --exclude-dir=bin "$tree" || die "the files above name paths of this machine"

# Every crate that is linked is in the bill of materials, by name and version, with a licence.
python3 - "$tree" <<'P'
import json, re, sys
tree = sys.argv[1]
bill = {(c["name"], c["version"]): c.get("licenses") for c in json.load(open(f"{tree}/sbom.cdx.json"))["components"]}
head = open(f"{tree}/third-party.txt").read().split("\n" + "=" * 100, 1)[0]
linked = re.findall(r"^(\S+) (\d\S*): .+", head, re.MULTILINE)
wrong = [f"{name} {version}" for name, version in linked if not bill.get((name, version))]
assert len(linked) > 100 and not wrong, f"{len(linked)} crates are linked; of these the SBOM lacks, or has no licence of: {wrong}"
P

needed=$(ldd "$tree/bin/etiage" | awk '{ sub(".*/", "", $1); print $1 }' | sort)
beyond=$(comm -23 <(say "$needed") <(sort <<<"$SONAMES"))
[ -z "$beyond" ] || die "the binary links what the image's base does not have: $beyond"

# Started by root, it runs as 65532 in there; started by anybody else, as himself, in namespaces of his own.
if [ "$(id -u)" = 0 ]; then user=65532 spaces=(); else user= spaces=(--user --map-root-user); fi
spaces+=(--mount --mount-proc --net --pid --ipc --fork)
if ! unshare "${spaces[@]}" true 2>"$work/unshare.log"; then
  skipped "$me" "the archive was not run: no namespaces here ($(tail -n 1 "$work/unshare.log"))"
  exit 0
fi
unshare "${spaces[@]}" tests/deploy/sandbox.sh "$tree" "$work" $user
