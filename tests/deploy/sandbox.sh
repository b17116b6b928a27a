#!/usr/bin/env bash
# Run by dist.sh in namespaces of its own: sandbox.sh TREE DIR [USER] builds the root, in which only /state can be written, and works
# in it as USER.
set -euo pipefail
tree=$1 root=$2/root state=$2/state user=${3:-}
die() { printf '%s\n' "$*" >&2; exit 1; }

mkdir -p "$root" "$state"
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir -p "$root"/{opt/etiage,state,proc,dev,tmp}
ldd "$tree/bin/etiage" | grep -oE '/[^ ]+' | while read -r library; do install -D "$(realpath "$library")" "$root$library"; done
mount --bind "$tree" "$root/opt/etiage"
mount --bind "$state" "$root/state"
mount -t proc proc "$root/proc"
touch "$root/dev/null" && mount --bind /dev/null "$root/dev/null"
[ -z "$user" ] || chown "$user:$user" "$state"
mount -o remount,bind,ro,nosuid,nodev "$root/opt/etiage"
mount -o remount,bind,ro "$root"
# Loopback up (SIOCSIFFLAGS), as `ip link set lo up`, which not every machine has.
python3 -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x41))'

# What a container engine gives it, and nothing of this shell's environment.
etiage() {
  env -i ETIAGE_STREAMS__TEMPERATURES__FILES='["/state/readings/part-0.ndjson","/state/readings/part-1.ndjson"]' ETIAGE_REJECTS__DIR=/state \
    ETIAGE_STORE__KIND=sqlite ETIAGE_STORE__PATH="${rows:-/state/rows.db}" ETIAGE_SERVE__LISTEN="${listen:-}" \
    setpriv --no-new-privs /usr/sbin/chroot ${user:+--userspec=$user:$user} "$root" /opt/etiage/bin/etiage "$@"
}
config=/opt/etiage/examples/temperatures/etiage.toml

etiage simulate --files /state/readings --partitions 2 --seed 1 --sensors 50 --interval 600 --readings 7200 --abroad 0
etiage run --config $config --until-end
counted=$(etiage rows --config $config --view region --metric temperature --columns count --csv | awk 'NR > 1 { n += $1 } END { print n + 0 }')
[ "$counted" = 7200 ] || die "7200 readings were simulated, and the rows count $counted"

# The root is what it is thought to be: not even root may write, and the engine says so where it is told to.
for place in "$root" "$root/opt/etiage" "$root/tmp"; do
  ! touch "$place/written" 2>/dev/null || die "$place can be written"
done
! rows=/opt/etiage/rows.db etiage run --config $config --until-end 2>"$2/refused" || die "it could write beside its binary"
grep -qiE 'read-?only|unable to open|readonly' "$2/refused" || die "it failed for another reason: $(cat "$2/refused")"
[ -z "$(find "$root" -path "$root/proc" -prune -o \( -name sh -o -name bash -o -name busybox \) -print)" ] || die "there is a shell in it"

# It serves its health, and stops well when it is told to.
ask() { exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && timeout 5 cat <&3; }
listen=0.0.0.0:9464 etiage run --config $config 2>"$2/run.log" & engine=$!
for _ in $(seq 100); do ! ask /readyz 2>/dev/null | grep -q '^HTTP/1.. 200' || break; sleep 0.1; done
ask /readyz | grep -q '^HTTP/1.. 200' || die "it is not ready after ten seconds: $(cat "$2/run.log")"
ask /metrics | grep -q '^etiage_' || die "it shows no metrics"
pid=$(pgrep --full '^/opt/etiage/bin/etiage run')
[ -z "$user" ] || grep -q "^Uid:.$user.$user.$user.$user$" "/proc/$pid/status" || die "it does not run as $user"
kill -TERM "$pid"
wait $engine || die "it did not stop well: $(cat "$2/run.log")"
