# Sourced by the benchmarks: runs the engine to the end of its sources and says how fast, with how much CPU over all
# threads, and with how much memory at its peak. Wants $etiage, $readings and $dir; leaves $started (ns).
measure() { # name config
  local began ended pid peak=0 now cpu=0
  began=$(date +%s%N) started=$began
  "$etiage" run --config "$2" --until-end 2>"$dir/$1.log" & pid=$!
  while now=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do
    peak=$now cpu=$(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2>/dev/null || echo "$cpu"); sleep 0.05
  done
  wait "$pid" || { cat "$dir/$1.log" >&2; die "the run failed"; }
  ended=$(date +%s%N)
  awk -v name="$1" -v n="$readings" -v ns=$((ended - began)) -v cpu="$cpu" -v hz="$(getconf CLK_TCK)" -v peak="$peak" \
    'BEGIN { printf "%-22s %9.0f readings/s  %6.2f s  %5.0f ns CPU a reading  peak %4.0f MiB\n", name, n / (ns / 1e9), ns / 1e9, cpu / hz / n * 1e9, peak / 1024 }'
}

machine() {
  say "== $(nproc) processors, $(uname -m), $("$etiage" --version), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
}
