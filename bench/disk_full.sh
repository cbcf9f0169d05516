#!/usr/bin/env bash
# A disk that fills up: at several moments of a run writes fail with ENOSPC (STRATA_FAILPOINT), and the cache directory
# lies on a small file system (as root: tmpfs). Each run must end with exit status 4 and one line that says what is
# wrong, and --resume with space again must give the same bytes as an uninterrupted run.
#
#   bench/disk_full.sh TRAIN STORE [options of strata-train ...]
#   bench/disk_full.sh build/bin/strata-train graph.store --method iglu --epochs 4 --host-memory 32MiB
#
# Environment: POINTS (10) moments; SIZES ("1M 4M 16M") of the small file system; DELAYS ("0.1 0.3 0.6") in seconds
# after which another fills one of ROOMY (256M).
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,10p' "$0"
  exit 2
fi
train=$1 store=$2
shift 2
points=${POINTS:-10}
work=$(mktemp -d)
small=$work/small
trap 'umount "$small" 2>/dev/null || true; rm -rf "$work"' EXIT
options=(--store "$store" --quiet --checkpoint-every 1 "$@")
failed=0

digest() { cat "$1/model.safetensors" "$1/predictions.npy" | sha256sum | cut -c1-32; }

complain() {
  echo "  $*"
  failed=1
}

# check NAME STATUS: of the run that was to fail; then it goes on.
check() {
  local name=$1 status=$2 lines flag=()
  if [ "$status" = 0 ]; then
    echo "$name: not noticed" # a sample of the disk's speed, which a run can do without
    [ "$(digest "$work/run")" = "$expected" ] || complain "DIFFERENT bytes"
    return
  fi
  echo "$name: status $status: $(head -1 "$work/log")"
  lines=$(wc -l <"$work/log")
  [ "$status" = 4 ] || complain "the status is not 4"
  [ "$lines" = 1 ] || complain "$lines lines on standard error"
  grep -qiE 'space|disk|free' "$work/log" || complain "nothing about disk space"
  [ -e "$work/run" ] && flag=(--resume)
  if ! "$train" "${options[@]}" --run "$work/run" "${flag[@]}" >/dev/null 2>"$work/log"; then
    complain "going on FAILED: $(tail -1 "$work/log")"
  elif [ "$(digest "$work/run")" != "$expected" ]; then
    complain "DIFFERENT bytes after --resume"
  fi
}

"$train" "${options[@]}" --run "$work/first" >/dev/null
"$train" "${options[@]}" --run "$work/whole" >/dev/null
expected=$(digest "$work/whole")

fails_at() {
  local status=0
  rm -rf "$work/run"
  STRATA_FAILPOINT=write:$1:enospc "$train" "${options[@]}" --run "$work/run" >/dev/null 2>"$work/log" || status=$?
  echo $status
}
# dies COUNT: whether a run comes to that write.
dies() {
  local status=0
  rm -rf "$work/run"
  STRATA_FAILPOINT=write:$1:kill "$train" "${options[@]}" --run "$work/run" >/dev/null 2>&1 || status=$?
  [ $status -eq 137 ]
}
low=0 high=1
while dies $high; do low=$high high=$((2 * high)); done 2>/dev/null
while [ $((high - low)) -gt 1 ] && [ $((high - low)) -gt $((high / 50)) ]; do
  middle=$(((low + high) / 2))
  if dies $middle; then low=$middle; else high=$middle; fi
done 2>/dev/null
echo "about $low writes in a run"
for i in $(seq 1 "$points"); do
  count=$((1 + (i - 1) * (low - 1) / (points > 1 ? points - 1 : 1)))
  check "write:$count:enospc" "$(fails_at $count)"
done
# For good, from a moment on.
status=0
rm -rf "$work/run"
STRATA_FAILPOINT=write:$((low / 2))+:enospc "$train" "${options[@]}" --run "$work/run" >/dev/null 2>"$work/log" || status=$?
check "write:$((low / 2))+:enospc" $status

if [ "$(id -u)" = 0 ] && mkdir -p "$small" && mount -t tmpfs -o size=1M strata-small "$small" 2>/dev/null; then
  for size in ${SIZES:-1M 4M 16M}; do
    mount -o remount,size="$size" "$small"
    status=0
    rm -rf "$work/run"
    "$train" "${options[@]}" --run "$work/run" --cache-dir "$small/cache" >/dev/null 2>"$work/log" || status=$?
    check "cache on a file system of $size" $status
    find "$small" -type f | grep -q . && complain "left $(find "$small" -type f | head -1)"
  done
  # Somebody else takes what was free when the run started.
  mount -o remount,size="${ROOMY:-256M}" "$small"
  for delay in ${DELAYS:-0.1 0.3 0.6}; do
    status=0
    rm -rf "$work/run"
    "$train" "${options[@]}" --run "$work/run" --cache-dir "$small/cache" >/dev/null 2>"$work/log" &
    pid=$!
    sleep "$delay"
    cat /dev/zero >"$small/other" 2>/dev/null || true
    wait $pid || status=$?
    rm "$small/other"
    check "a file system that another fills after $delay s" $status
  done
else
  echo "no small file system: mounting tmpfs needs root"
fi
if [ "$failed" = 0 ]; then echo "every full disk was reported, and the runs went on to the same bytes"; else echo FAILED; fi
exit $failed
