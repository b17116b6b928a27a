# Sourced by the benchmarks: runs the engine to the end of its sources and says how fast, with how much CPU over all
# threads, and with how much memory at its peak. Wants $etiage, $readings and $dir; leaves $started (ns). INSTANCES (1): so many
# beside each other, their CPU and memory added up.
measure() { # name config
  local ended pid pids=() peak=0 now=() cpu=0 all number writes fields
  started=$(date +%s%N)
  for number in $(seq "${INSTANCES:-1}"); do
    "$etiage" run --config "$2" --until-end 2>"$dir/$1.$number.log" & pids+=($!)
  done
  declare -A peaks=() cpus=()
  while :; do
    all=0
    for pid in "${pids[@]}"; do
      # By the shell itself: a process for each look would take processor time from what is measured.
      { mapfile -t now <"/proc/$pid/status" && read -ra fields <"/proc/$pid/stat"; } 2>/dev/null || continue
      [[ ${now[*]} =~ VmHWM:[[:space:]]+([0-9]+) ]] || continue
      all=1 peaks[$pid]=${BASH_REMATCH[1]} cpus[$pid]=$((fields[13] + fields[14]))
    done
    [ $all = 1 ] || break
    sleep 0.05
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || { cat "$dir/$1".*.log >&2; die "the run failed"; }
    peak=$((peak + ${peaks[$pid]:-0})) cpu=$((cpu + ${cpus[$pid]:-0}))
  done
  ended=$(date +%s%N)
  cat "$dir/$1".*.log >"$dir/$1.log"
  # A line of each instance says how much it wrote.
  writes=$(sed 's/\x1b\[[0-9;]*m//g' "$dir/$1.log" | { grep -o ' writes=[0-9]*' || true; } | awk -F= '{ all += $2 } END { print all + 0 }')
  awk -v name="$1" -v n="$readings" -v writes="$writes" -v ns=$((ended - started)) -v cpu="$cpu" -v hz="$(getconf CLK_TCK)" -v peak="$peak" \
    'BEGIN { printf "%-22s %9.0f readings/s  %6.2f s  %5.0f ns CPU a reading  peak %4.0f MiB  %6.0f writes a million\n", name, n / (ns / 1e9), ns / 1e9, cpu / hz / n * 1e9, peak / 1024, writes / n * 1e6 }'
}

machine() {
  say "== $(nproc) processors, $(uname -m), $("$etiage" --version), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
}
