#!/usr/bin/env bash
# Kills a run with SIGKILL at random moments, resumes it each time, and compares the final bytes with an uninterrupted run's.
#
#   bench/kill_resume.sh TRAIN STORE KILLS [options of strata-train ...]
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,4p' "$0"
  exit 2
fi
train=$1 store=$2 kills=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
options=(--store "$store" --quiet --checkpoint-every 1 "$@")
begin=$(date +%s%N)
"$train" "${options[@]}" --run "$work/whole" >/dev/null
whole=$(( ($(date +%s%N) - begin) / 1000000 ))
expected=$(cat "$work/whole/model.safetensors" "$work/whole/predictions.npy" | sha256sum)
echo "uninterrupted: $whole ms"
RANDOM=20
done_kills=0
restarts=0
failed=0
while [ $done_kills -lt "$kills" ]; do
  rm -rf "$work/run"
  flag=()
  while :; do
    "$train" "${options[@]}" --run "$work/run" "${flag[@]}" >/dev/null 2>&1 &
    pid=$!
    delay=$(( RANDOM % whole ))
    sleep "$(awk -v d=$delay 'BEGIN{print d / 1000}')"
    if [ $done_kills -lt "$kills" ] && kill -9 $pid 2>/dev/null; then
      done_kills=$((done_kills + 1))
      wait $pid 2>/dev/null || true
      flag=(--resume)
      [ -e "$work/run" ] || flag=()
      continue
    fi
    wait $pid || failed=1
    break
  done
  restarts=$((restarts + 1))
  got=$(cat "$work/run/model.safetensors" "$work/run/predictions.npy" | sha256sum)
  if [ "$got" != "$expected" ]; then
    echo "run $restarts: DIFFERENT bytes after $done_kills kills"
    failed=1
  fi
done
echo "$done_kills kills in $restarts runs: $([ $failed = 0 ] && echo "same final bytes" || echo FAILED)"
exit $failed
