#!/usr/bin/env bash
# Kills a run with SIGKILL, resumes it each time, and compares the final bytes (model.safetensors, predictions.npy) with
# an uninterrupted run's: at KILLS random moments, then at the calls that STRATA_FAILPOINT counts (a write is torn
# first), spread evenly over all that a run makes; with enough counts, renames and syncs are those of its checkpoints.
#
#   bench/kill_resume.sh TRAIN STORE KILLS [options of strata-train ...]
#   bench/kill_resume.sh build/bin/strata-train graph.store 20 --method iglu --epochs 4 --host-memory 32MiB
#
# Environment: POINTS (20) counts of each operation; OPERATIONS ("write rename sync read").
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,9p' "$0"
  exit 2
fi
train=$1 store=$2 kills=$3
shift 3
points=${POINTS:-20}
operations=${OPERATIONS:-write rename sync read}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
options=(--store "$store" --quiet --checkpoint-every 1 "$@")
failed=0

digest() { cat "$1/model.safetensors" "$1/predictions.npy" | sha256sum | cut -c1-32; }

complain() {
  echo "$*"
  failed=1
}

# Runs to the end from what is in the directory; the bytes must be the expected ones and no scratch may stay.
finish_and_compare() {
  local flag=()
  [ -e "$work/run" ] && flag=(--resume)
  if ! "$train" "${options[@]}" --run "$work/run" "${flag[@]}" >"$work/log" 2>&1; then
    complain "$1: going on FAILED: $(tail -1 "$work/log")"
  elif [ "$(digest "$work/run")" != "$expected" ]; then
    complain "$1: DIFFERENT bytes"
  elif find "$work/run" -name '*.scratch' -o -name '.*.partial' | grep -q .; then
    complain "$1: left $(find "$work/run" -name '*.scratch' -o -name '.*.partial' | head -1)"
  fi
}

"$train" "${options[@]}" --run "$work/first" >/dev/null # makes what the store keeps for later runs
begin=$(date +%s%N)
"$train" "${options[@]}" --run "$work/whole" >/dev/null
whole=$((($(date +%s%N) - begin) / 1000000))
expected=$(digest "$work/whole")
[ "$(digest "$work/first")" = "$expected" ] || complain "two uninterrupted runs: DIFFERENT bytes"
spilled=$(python3 -c 'import json, sys; print(sum(json.loads(l)["bytes_written"] for l in open(sys.argv[1])))' \
  "$work/whole/metrics.jsonl" 2>/dev/null || echo unknown)
echo "uninterrupted: $whole ms, bytes spilled: $spilled, $expected"

# Random moments, several in one run.
RANDOM=20
done_kills=0
runs=0
while [ $done_kills -lt "$kills" ]; do
  rm -rf "$work/run"
  while [ $done_kills -lt "$kills" ]; do
    flag=()
    [ -e "$work/run" ] && flag=(--resume)
    "$train" "${options[@]}" --run "$work/run" "${flag[@]}" >/dev/null 2>&1 &
    pid=$!
    sleep "$(awk -v d=$((RANDOM % whole)) 'BEGIN{print d / 1000}')"
    if ! kill -9 $pid 2>/dev/null; then
      wait $pid || complain "random kills: a run FAILED by itself"
      break
    fi
    wait $pid 2>/dev/null || true
    done_kills=$((done_kills + 1))
  done
  finish_and_compare "random kills, run $((++runs))"
done
echo "$done_kills kills at random moments in $runs runs"

# dies OPERATION COUNT: whether a run is killed at that call.
dies() {
  local status=0
  rm -rf "$work/run"
  STRATA_FAILPOINT=$1:$2:kill "$train" "${options[@]}" --run "$work/run" >/dev/null 2>&1 || status=$?
  [ $status -ne 0 ] && [ $status -ne 137 ] && complain "$1:$2:kill: status $status"
  [ $status -eq 137 ]
}

for operation in $operations; do
  # The number of calls in a run, by halving.
  low=0 high=1
  while dies "$operation" $high; do low=$high high=$((2 * high)); done 2>/dev/null
  while [ $((high - low)) -gt 1 ] && [ $((high - low)) -gt $((high / 50)) ]; do
    middle=$(((low + high) / 2))
    if dies "$operation" $middle; then low=$middle; else high=$middle; fi
  done 2>/dev/null
  killed=0
  counts=$(awk -v n="$points" -v m=$low 'BEGIN{for (i = 0; i < n; ++i) if (m > 0) print 1 + int(i * (m - 1) / (n > 1 ? n - 1 : 1))}' | sort -nu)
  for count in $counts; do
    dies "$operation" "$count" 2>/dev/null && killed=$((killed + 1))
    finish_and_compare "$operation:$count:kill"
  done
  echo "$operation: about $low calls in a run, killed at $killed counts"
done
if [ "$failed" = 0 ]; then echo "same final bytes everywhere"; else echo FAILED; fi
exit $failed
