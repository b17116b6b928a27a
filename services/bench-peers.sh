#!/usr/bin/env bash
# `make bench-peers`: Étiage, Flink and Kafka Streams read the same topic of a real broker, one after the other, and their rows
# must be equal. Prints each round, then the ratios with their spread; docs/peers.md says what is measured, and what it means.
#   READINGS (12,000,000)  SENSORS (20,000)  TOPIC_PARTITIONS (6)  ROUNDS (5)  ORDINARY (2: rounds of the ordinary jobs)
#   VARIANTS (`all`, or peer-name of some in benches/peers/variants.txt, in place of the usual four)  PEERS_JAVA (further flags
#   of the JVM)
. "$(dirname "$0")/common.sh"
. "$HERE/measure.sh"
etiage=$1
readings=${READINGS:-12000000} sensors=${SENSORS:-20000} partitions=${TOPIC_PARTITIONS:-6} rounds=${ROUNDS:-5} ordinary=${ORDINARY:-2}
peers=benches/peers config=examples/temperatures/etiage.toml
dir=$(mktemp -d "${TMPDIR:-/tmp}/etiage-bench.XXXXXX")
clean() { trap - EXIT INT TERM; "$HERE/kafka.sh" wipe "$dir/kafka" >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap clean EXIT
trap 'exit 130' INT TERM

# Alarms that fire, so that there is something to compare: the example's 40 °C are not reached in March.
threshold=25
export ETIAGE_STREAMS__TEMPERATURES__METRICS__TEMPERATURE__THRESHOLD=$threshold ETIAGE_SERVE__LISTEN= ETIAGE_STORE__KIND=sqlite

# Flink's serializers look into the classes of the JDK.
opens=(); for package in util lang time math; do opens+=(--add-opens "java.base/java.$package=ALL-UNNAMED"); done
plain=(-Xms2g -Xmx2g)
tuned=(-Xms2g -Xmx2g -Xmn1500m -XX:+UseSerialGC -XX:MetaspaceSize=256m -XX:+AlwaysPreTouch)
java=$(java17) || die "the peers need Java 17: apt-get install openjdk-17-jdk-headless (or set ETIAGE_JAVA)"

# name, CPU a reading and readings/s, each counted as it should be, and CPU a reading of the whole process.
note() { # name cpu rate whole
  awk -v n="$1" -v cpu="$2" -v rate="$3" -v whole="$4" 'BEGIN { printf "%-24s %6.0f ns CPU a reading  %9.0f readings/s  (%.0f ns with the start of the process)\n", n, cpu, rate, whole }'
  printf '%s %s %s %s %s\n' "$round" "$1" "$2" "$3" "$4" >>"$dir/figures"
}

ours() {
  export ETIAGE_KAFKA__GROUP_ID=peers-$round ETIAGE_STORE__PATH=$dir/rows-$round.db
  "$etiage" migrate --config $config --partitions "$partitions" >/dev/null
  local TIMEFORMAT='%U %S %R'
  { time "$etiage" run --config $config --until-end >"$dir/etiage.log" 2>&1; } 2>"$dir/time" || { cat "$dir/etiage.log" >&2; die "étiage failed"; }
  note étiage $(awk -v n="$readings" '{ cpu = ($1 + $2) / n * 1e9; print cpu, n / $3, cpu }' "$dir/time")
  "$etiage" rows --config $config --view region --metric temperature --columns key,window_start,count,mean,min,max,alarms --csv >"$dir/rows.csv"
  rm -f "$ETIAGE_STORE__PATH"*
}

theirs() { # peer-variant
  local peer=${1%%-*} name=${1#*-} flags arguments
  read -r flags arguments < <(awk -v p="$peer" -v n="$name" '$1 == p && $2 == n { $1 = $2 = ""; print }' $peers/variants.txt)
  [ -n "$flags" ] || die "$peers/variants.txt has no $name of $peer"
  local -n options=$flags
  rm -rf "$dir/state"; mkdir -p "$dir/state"
  "$java" "${opens[@]}" "${options[@]}" ${PEERS_JAVA:-} -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$peers/$peer/target/$peer-1.jar:$peers/$peer/target/lib/*" \
    "etiage.peers.$peer.Main" bootstrap="$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" topic=temperatures regions=regions/regions.geojson threshold=$threshold \
    readings="$readings" dir="$dir/state" out="$dir/$peer.csv" $arguments >"$dir/$peer.log" 2>&1 || { tail -30 "$dir/$peer.log" >&2; die "$peer $name failed"; }
  note "$peer-$name" $(awk '{ for (i = 2; i < NF; i++) f[$1, $i] = $(i + 1) } $1 == "readings" { all = $4 / $2 }
    END { print f["warm", "cpu_ns"] / f["warm", "readings"], f["warm", "readings"] / f["warm", "wall_ns"] * 1e9, all }' "$dir/$peer.log")
  same "$dir/rows.csv" "$dir/$peer.csv" || die "$peer $name and Étiage disagree"
}

# The same rows, the numbers equal as doubles (they are written differently).
same() { # ours theirs
  awk -F, 'FNR == 1 { next } NR == FNR { row[$1, $2] = $0; left++; next }
    { n = split(row[$1, $2], r, ","); delete row[$1, $2]; left--; if (n != 7) { print "ours has no " $0; bad = 1 }
      for (i = 3; i <= n; i++) if (r[i] + 0 != $i + 0) { print "column " i " of " $0 ", ours " r[i]; bad = 1 } }
    END { exit bad || left != 0 || FNR < 2 }' "$1" "$2"
}

# Of each round ours against theirs; then median, least and greatest.
ratios() { # peer-variant
  awk -v peer="$1" '
    $2 == "étiage" { cpu[$1] = $3; rate[$1] = $4 } $2 == peer { c[++n] = $3 / cpu[$1]; r[n] = rate[$1] / $4; w[n] = $5 / cpu[$1] }
    function sorted(a, i, j, t) { for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j] < a[j-1]; j--) { t = a[j]; a[j] = a[j-1]; a[j-1] = t } }
    function median(a) { return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2 }
    END { if (!n) exit; sorted(c); sorted(r); sorted(w)
      printf "%-24s readings per CPU-second %.2f (%.2f–%.2f)  CPU a reading %.2f (%.2f–%.2f)  readings/s %.2f (%.2f–%.2f)  per CPU-second with the start of the process %.2f (%.2f–%.2f)  rounds %d\n",
        peer, median(c), c[1], c[n], 1 / median(c), 1 / c[n], 1 / c[1], median(r), r[1], r[n], median(w), w[1], w[n], n }' "$dir/figures"
}
verdict() { ratios "$1" | awk -v title="$2" '{ printf "%s: %.1f\n", title, $5 }'; }

say "== building the peers' jobs"
mvn -q -B -Dstyle.color=never -f $peers/pom.xml package >&2 || die "could not build $peers: is Maven Central (or the mirror in ~/.m2/settings.xml) reachable?"
ETIAGE_KAFKA__BOOTSTRAP_SERVERS=$(KAFKA_PORT=free "$HERE/kafka.sh" start "$dir/kafka")
export ETIAGE_KAFKA__BOOTSTRAP_SERVERS
say "== $readings readings of $sensors sensors into $partitions partitions, one reading a record"
ETIAGE_STORE__PATH=$dir/none.db "$etiage" migrate --config $config --partitions "$partitions" >/dev/null
"$etiage" simulate --topic temperatures --brokers "$ETIAGE_KAFKA__BOOTSTRAP_SERVERS" --sensors "$sensors" --readings "$readings" --interval 60 --abroad 0 --start 2026-03-01
machine
"$java" -version 2>&1 | sed -n 2p
"$etiage" simulate --readings 100000 --sensors 20000 >"$dir/lines" 2>/dev/null
"$java" -cp "$peers/streams/target/lib/*" etiage.peers.Agreement regions/regions.geojson "$dir/lines"

if [ -n "${VARIANTS:-}" ]; then
  [ "$VARIANTS" != all ] || VARIANTS=$(awk '!/^#/ { print $1 "-" $2 }' $peers/variants.txt)
else
  VARIANTS="flink-expert streams-expert flink-ordinary streams-ordinary"
fi
for round in $(seq "$rounds"); do
  say "== round $round of $rounds"
  ours
  for variant in $VARIANTS; do
    [[ $variant == *-ordinary* && $round -gt $ordinary ]] || theirs "$variant"
  done
done
say "== ours over theirs: median (least–greatest)"
for variant in $VARIANTS; do ratios "$variant"; done
verdict flink-expert "Flink expert"
verdict streams-expert "Kafka Streams expert"
