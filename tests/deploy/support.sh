# Sourced by the tests beside it: run as NAME.sh ETIAGE DIR, where DIR is a scratch directory.
. "$(dirname "${BASH_SOURCE[0]}")/../../services/common.sh"
cd "$HERE/.."
etiage=$(realpath "$1") work=$2
me=deploy_$(basename "$0" .sh)

# The path of a checker, or nothing, visibly.
checker() { # name
  "$HERE/tool.sh" "$1" 2>"$work/tool.log" || { skipped "$me" "no $1: $(tail -n 1 "$work/tool.log")" >&2; return 1; }
}
