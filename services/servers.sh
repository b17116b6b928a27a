#!/usr/bin/env bash
# Kafka and Cassandra together, each in a directory of its own under DIR (by default the cache's).
#   servers.sh start|stop|wipe [DIR]
#   servers.sh compose              succeeds where a docker engine with compose runs
# The ports are those of kafka.sh and cassandra.sh: KAFKA_PORT, CASSANDRA_PORT, CASSANDRA_HOST.
. "$(dirname "$0")/common.sh"
command=${1:-help}
dir=${2:-$SERVICES}

each() { # command: both at once, failing if either fails
  local pids=() status=0 name
  for name in kafka cassandra; do "$HERE/$name.sh" "$1" "$dir/$name" >"$2" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || status=1; done
  return $status
}

case $command in
  start)
    "$HERE/kafka.sh" fetch
    "$HERE/cassandra.sh" fetch
    each start /dev/null || { each stop /dev/null; die "the servers did not start"; }
    say "Kafka     $("$HERE/kafka.sh" address "$dir/kafka")"
    say "Cassandra $("$HERE/cassandra.sh" address "$dir/cassandra")" ;;
  stop|wipe) each "$command" /dev/null ;;
  compose) docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1 ;;
  *) sed -n 2,5p "$0"; exit 2 ;;
esac
