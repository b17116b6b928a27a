#!/usr/bin/env bash
# Installs what a bare Debian 12 lacks, when root; otherwise prints the line to run, and stops.
#   need.sh [build] [servers] [jdk] [python] [prometheus]
# build: a C++ compiler and OpenSSL's headers (librdkafka, TLS). servers: Java 17 runs Kafka and
# Cassandra, Maven fetches their jars. jdk: compiles the peers of a benchmark. python: recounts rows independently of this crate, and cqlsh.
# prometheus: checks the alert rules and scrapes an engine in a test; unpacked into the cache, never installed (prometheus.sh).
. "$(dirname "$0")/common.sh"

packages=()
reasons=()
want() { packages+=("$1"); reasons+=("$1: $2"); }

for group in "$@"; do
  case $group in
    build)
      command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs)"
      command -v gcc >/dev/null && command -v g++ >/dev/null || want build-essential "compiles librdkafka and SQLite"
      command -v pkg-config >/dev/null || want pkg-config "finds OpenSSL"
      [ -e /usr/include/openssl/ssl.h ] || pkg-config --exists openssl 2>/dev/null || want libssl-dev "TLS to Kafka and Cassandra" ;;
    servers)
      java17 >/dev/null || want openjdk-17-jre-headless "runs Kafka and Cassandra"
      command -v openssl >/dev/null || want openssl "makes certificates, for the tests of TLS"
      command -v mvn >/dev/null || want maven "fetches Kafka and Cassandra from Maven Central" ;;
    jdk)
      command -v javac >/dev/null || want openjdk-17-jdk-headless "compiles the jobs that Étiage is compared with" ;;
    python)
      python3 -c 'import ensurepip, venv' 2>/dev/null || want python3-venv "recounts and cqlsh, in a virtual environment of their own" ;;
    prometheus) "$HERE/prometheus.sh" >/dev/null || say "the tests of alerts will be skipped" ;;
    *) die "need.sh knows no group $group: build, servers, jdk, python, prometheus" ;;
  esac
done

[ ${#packages[@]} -gt 0 ] || exit 0
say "missing on this machine:"
printf '  %s\n' "${reasons[@]}"
line="apt-get install -y --no-install-recommends ${packages[*]}"
command -v apt-get >/dev/null || die "this is not Debian: install what is listed above by its means, then try again"
[ "$(id -u)" = 0 ] || die "run this, then try again:  sudo $line"
say "installing: $line"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
$line
