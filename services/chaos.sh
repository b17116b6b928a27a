#!/usr/bin/env bash
# `make chaos`: chaos.sh ETIAGE SEED MINUTES; what it does is in tests/chaos/main.py. The report stays in
# CHAOS_REPORTS (beside the binary's directory); logs stay where something went wrong, or with ETIAGE_TEST_KEEP=1.
. "$(dirname "$0")/common.sh"
etiage=$1 seed=$2 minutes=$3
python=$("$HERE/python.sh")/bin/python
reports=${CHAOS_REPORTS:-$(dirname "$(dirname "$etiage")")/chaos}
mkdir -p "$reports"
exec "$python" -B "$HERE/../tests/chaos/main.py" --binary "$etiage" --seed "$seed" \
  --seconds "$(awk -v m="$minutes" 'BEGIN { printf "%d", m * 60 }')" --report "$reports/seed-$seed-minutes-$minutes.txt"
