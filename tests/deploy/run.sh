#!/usr/bin/env bash
# What is shipped beside the code, tested: run.sh ETIAGE [NAME…]; part of `make test`. Each NAME is a script beside this one.
. "$(dirname "$0")/../../services/common.sh"
cd "$HERE/.."
etiage=$1
shift
[ $# -gt 0 ] || set -- dist image compose supply helm alerts
work=$(mktemp -d "${TMPDIR:-/tmp}/etiage-deploy.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Where skipped checks are written down: `make test` shows them at its end, by itself this script does.
[ -n "${ETIAGE_TEST_NOTES:-}" ] || { export ETIAGE_TEST_NOTES=$work/notes; : >"$work/notes"; trap 'cat "$work/notes"; rm -rf "$work"' EXIT; }
passed=0 failed=0
for name in "$@"; do
  if tests/deploy/"$name".sh "$etiage" "$work" >"$work/output" 2>&1 </dev/null; then
    say "test deploy::$name ... ok"
    passed=$((passed + 1))
  else
    sed 's/^/  /' "$work/output"
    say "test deploy::$name ... FAILED"
    failed=$((failed + 1))
  fi
done
say "test result: $([ $failed = 0 ] && say ok || say FAILED). $passed passed; $failed failed; 0 ignored"
[ $failed = 0 ]
