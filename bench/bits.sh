#!/usr/bin/env bash
# Trains the same configuration at several budgets and thread counts and compares the bytes of model.safetensors and
# predictions.npy. Prints each run's peak resident memory (VmHWM, file pages included) against budget + 128 MiB.
#
#   bench/bits.sh TRAIN STORE "BUDGETS" "THREADS" [options of strata-train ...]
#   bench/bits.sh build/bin/strata-train graph.store "64MiB 256MiB 4GiB" "1 2" --method iglu --layers 3 --hidden 128 --epochs 2
set -euo pipefail
if [ $# -lt 4 ]; then
  sed -n '2,7p' "$0"
  exit 2
fi
train=$1 store=$2 budgets=$3 threads=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
first=
printf '%-10s %-8s %-10s %-10s %s\n' budget threads peak seconds "sha256 of model and predictions"
for budget in $budgets; do
  for count in $threads; do
    run=$work/run
    rm -rf "$run"
    begin=$(date +%s.%N)
    "$train" --store "$store" --run "$run" --host-memory "$budget" --threads "$count" --quiet "$@" >/dev/null
    seconds=$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN{printf "%.1f", b - a}')
    digest=$(cat "$run/model.safetensors" "$run/predictions.npy" | sha256sum | cut -c1-32)
    read -r peak limit < <(python3 - "$run/summary.json" <<'PY'
import json, sys
measured = json.load(open(sys.argv[1]))["measured"]
print(f"{measured['peak_host_bytes'] / 2**20:.0f} {measured['budget_bytes'] / 2**20 + 128:.0f}")
PY
)
    printf '%-10s %-8s %-10s %-10s %s\n' "$budget" "$count" "${peak}MiB" "$seconds" "$digest"
    [ -z "$first" ] && first=$digest
    if [ "$digest" != "$first" ]; then
      echo "  DIFFERENT from the first run"
      failed=1
    fi
    if [ "$peak" -gt "$limit" ]; then
      echo "  peak above budget + 128 MiB ($limit MiB)"
      failed=1
    fi
  done
done
[ $failed = 0 ] && echo "same bytes everywhere"
exit $failed
