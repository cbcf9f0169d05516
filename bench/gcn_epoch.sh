#!/usr/bin/env bash
# bench/gcn_epoch.sh [OUTPUT]: seconds of a full-batch GCN epoch on a graph of ogbn-arxiv's shape (169,343 nodes, 1,166,243
# directed edges made undirected, 128 features, 40 classes; 3 layers of 256, fp32): strata-train against PyTorch, taking
# turns in one run. Not a test: it needs a Python with numpy and torch (and torch_geometric for PyG's GCNConv).
#
# Environment: PYTHON (default python3), BIN (default build/bin), ROUNDS (5), EPOCHS a round (5), THREADS (2).
# OUTPUT (default gcn-epoch) takes the store, the runs and results.txt; it must not exist.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
bin=${BIN:-$here/../build/bin}
rounds=${ROUNDS:-5}
epochs=${EPOCHS:-5}
threads=${THREADS:-2}
output=${1:-gcn-epoch}
store=$output/store

mkdir "$output"
"$bin/strata-convert" --from synthetic --nodes 169343 --edges 1166243 --classes 40 --feature-dim 128 --homophily 0.65 \
  --signal 0.3 --labelled 0.54 --seed 1 --undirected on --output "$store"
for what in graph features labels splits; do
  "$bin/strata-store" export "$store" --what "$what" --output "$output/npy" --force
done

{
  "$bin/strata-train" --version
  grep -m1 'model name' /proc/cpuinfo
  echo "threads $threads, $epochs epochs a round, the first of them not counted"
} | tee "$output/results.txt"

for round in $(seq "$rounds"); do
  "$bin/strata-train" --store "$store" --run "$output/run-$round" --method full --model gcn --layers 3 --hidden 256 \
    --epochs "$epochs" --dropout 0 --lr 0.01 --eval-every "$epochs" --threads "$threads" --seed "$round" \
    --host-memory 8GiB --predict none --quiet
  # An epoch's time without evaluation.
  "$python" - "$output/run-$round/metrics.jsonl" <<'PYTHON' | sed "s/^/round $round: strata       /"
import json, statistics, sys
lines = [json.loads(line) for line in open(sys.argv[1])][1:]
seconds = [line["seconds"] - line.get("seconds_eval", 0.0) for line in lines]
print(f"{statistics.median(seconds):.3f} s", " ".join(f"{s:.3f}" for s in seconds))
PYTHON
  "$python" "$here/pytorch_gcn.py" --data "$output/npy" --epochs "$epochs" --threads "$threads" --seed "$round" |
    sed "s/^/round $round: /"
done | tee -a "$output/results.txt"
echo "written to $output/results.txt"
