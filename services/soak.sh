#!/usr/bin/env bash
# `make soak`: soak.sh ETIAGE MINUTES; what it does is in tests/soak/main.py. The page of curves stays in SOAK_REPORTS
# (beside the binary's directory); logs stay where something went wrong. RATE: readings a second, instead of half of what the
# machine can do.
. "$(dirname "$0")/common.sh"
etiage=$1 minutes=$2
"$HERE/kafka.sh" fetch
"$HERE/cassandra.sh" fetch
python=$("$HERE/python.sh")/bin/python
reports=${SOAK_REPORTS:-$(dirname "$(dirname "$etiage")")/soak}
mkdir -p "$reports"
exec "$python" -B "$HERE/../tests/soak/main.py" --binary "$etiage" --minutes "$minutes" ${RATE:+--rate "$RATE"} \
  --report "$reports/minutes-$minutes.html"
