# Sourced by what tests: a Kafka and a Cassandra of its own on free ports below a directory of its own, $dir, which
# always stop.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-test.XXXXXX")

# Tests may start servers of their own below $dir; whatever is found there is stopped.
clean() {
  trap - EXIT INT TERM HUP
  find "$dir" -name pid -printf '%h\n' 2>/dev/null | while read -r server; do halt "$server" KILL 5; done
  if [ "${ETIAGE_TEST_KEEP:-0}" = 1 ]; then say "kept: $dir"; else rm -rf "$dir"; fi
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# Starts them, and says in the environment where they are.
own_servers() {
  say "== starting Kafka and Cassandra on free ports, in $dir"
  KAFKA_PORT=free CASSANDRA_PORT=free "$HERE/servers.sh" start "$dir" || die "this needs real servers, and they did not start"
  ETIAGE_TEST_VENV=$("$HERE/python.sh")
  ETIAGE_TEST_KAFKA=$("$HERE/kafka.sh" address "$dir/kafka")
  ETIAGE_TEST_CASSANDRA=$("$HERE/cassandra.sh" address "$dir/cassandra")
  export ETIAGE_TEST_KAFKA ETIAGE_TEST_CASSANDRA ETIAGE_TEST_VENV
  export ETIAGE_TEST_SERVICES=$dir ETIAGE_TEST_NOTES=$dir/notes
  : >"$ETIAGE_TEST_NOTES"
}
