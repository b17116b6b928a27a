# Sourced by the scripts beside it: where things lie, and the life of one server process.
# A server lives in a directory of its own (`$dir`): `env` (its ports), its configuration, its data,
# `out.log`, `pid`. Everything here is for development and tests: one node and no replication, unless cluster.sh
# starts it. NETNS is the network namespace that a server runs in; none where empty.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${ETIAGE_CACHE:-$HOME/.cache/etiage}
SERVICES=${ETIAGE_SERVICES:-$CACHE/services}          # jars, and the data of `make up`

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
# A check that cannot run here is seen not to have run, at the end of `make test` too.
skipped() { say "SKIPPED $1: ${*:2}" | tee -a "${ETIAGE_TEST_NOTES:-/dev/null}"; } # name why

# Cassandra 5.0 runs on Java 11 and 17 and no later one, so a newer default `java` is passed over.
java17() {
  local java
  for java in "${ETIAGE_JAVA:-}" /usr/lib/jvm/java-17-*/bin/java "$(command -v java || true)"; do
    [ -x "$java" ] && "$java" -version 2>&1 | grep -q 'version "17\.' && { printf '%s' "$java"; return; }
  done
  return 1
}

# The jars of a server, resolved once from Maven Central; the pom's checksum names the directory, so
# that another version is another directory.
jars() { # name
  local name=$1 sum libs
  sum=$(sha256sum <"$HERE/$name/pom.xml" | cut -c1-12)
  libs="$SERVICES/jars/$name-$sum"
  if [ ! -d "$libs" ]; then
    mkdir -p "$SERVICES/jars"
    exec 8>"$SERVICES/jars/.lock"
    flock 8
    [ -d "$libs" ] || fetch_jars "$name" "$libs"
    exec 8>&-
  fi
  printf '%s' "$libs"
}

fetch_jars() { # name directory
  say "fetching the jars of $1 from Maven Central into $2 (once)" >&2
  rm -rf "$2.part"
  mvn -q -B -f "$HERE/$1/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2.part" >&2 \
    || die "could not fetch the jars of $1: is Maven Central (or the mirror in ~/.m2/settings.xml) reachable?"
  mv "$2.part" "$2"
}

port_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# A port below the range that outgoing connections are given, so that none of them can take it
# between now and the server's start.
free_port() { # host
  local port
  for _ in $(seq 100); do
    port=$((10000 + (RANDOM * 32768 + RANDOM) % 22000))
    port_open "$1" "$port" || { printf '%s' "$port"; return; }
  done
  die "no free port on $1"
}

# The pid is ours only while its command line names our own directory: pids are reused.
alive() { # dir
  [ -f "$1/pid" ] && tr '\0' ' ' <"/proc/$(cat "$1/pid")/cmdline" 2>/dev/null | grep -qF -- "-Detiage.dir=$(realpath -m "$1") "
}

# Starts the command as a server of its own session, so that Ctrl-C on the caller does not reach it.
launch() { # dir command...
  local dir=$1; shift
  [ ! -f "$dir/out.log" ] || { cat "$dir/out.log" >>"$dir/out.before.log"; : >"$dir/out.log"; }
  mkdir -p "$dir/tmp"
  [ -z "${NETNS:-}" ] || set -- ip netns exec "$NETNS" "$@"
  setsid nohup "$@" >>"$dir/out.log" 2>&1 </dev/null 8>&- 9>&- &
  echo $! >"$dir/pid"
  for _ in $(seq 50); do alive "$dir" && return; sleep 0.02; done     # until the fork has become java
}

# Ready: the port is open and this start's log says so.
await() { # dir host port text seconds
  local end=$((SECONDS + $5))
  until port_open "$2" "$3" && grep -q "$4" "$1/out.log"; do
    alive "$1" || { tail -25 "$1/out.log" >&2; die "the server in $1 died at start (its log's end is above)"; }
    [ $SECONDS -lt $end ] || { tail -25 "$1/out.log" >&2; die "the server in $1 is not ready after $5 s"; }
    sleep 0.1
  done
}

halt() { # dir signal seconds
  local dir=$1 end=$((SECONDS + $3)) pid
  if alive "$dir"; then
    pid=$(cat "$dir/pid")
    kill "-$2" "$pid" 2>/dev/null || true
    while alive "$dir" && [ $SECONDS -lt $end ]; do sleep 0.05; done
    if alive "$dir"; then kill -KILL "$pid" 2>/dev/null || true; while alive "$dir"; do sleep 0.05; done; fi
  fi
  rm -f "$dir/pid"
}

# What every server script understands beside `start`.
common() { # usage-file command dir
  case $2 in
    stop) halt "$3" TERM 20 ;;
    kill) alive "$3" || die "no server of $3 runs: nothing to kill"; halt "$3" KILL 5 ;;
    wipe) halt "$3" KILL 5; rm -rf "$3" ;;
    log) cat "$3/out.log" ;;
    *) sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; exit 2 ;;
  esac
}
