#!/usr/bin/env python3
"""Trains one configuration with many seeds and prints each result, their mean and the 95% interval of the mean.

  bench/accuracy.py --train build/bin/strata-train --store cora.store --seeds 20 -- --method full --hidden 64 ...

Everything after -- goes to strata-train. The test metric is that of the epoch with the best validation metric
(summary.json). Needs only Python's standard library.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

# 97.5% quantiles of Student's t distribution, by degrees of freedom.
T_QUANTILE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228,
              11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093,
              20: 2.086, 24: 2.064, 29: 2.045}


def t_quantile(freedom: int) -> float:
    known = [f for f in T_QUANTILE if f <= freedom]
    return T_QUANTILE[max(known)]  # the next smaller number of degrees: the interval is never too narrow


def train(arguments, seed: int, directory: pathlib.Path) -> dict:
    run = directory / f"seed-{seed}"
    command = [arguments.train, "--store", arguments.store, "--run", str(run), "--seed", str(seed), "--predict", "none",
               "--quiet", "--checkpoint-every", "1000000", *arguments.options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((run / "summary.json").read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="the program strata-train")
    parser.add_argument("--store", required=True)
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 .. N-1")
    parser.add_argument("--label", default="")
    parser.add_argument("options", nargs="*", help="options of strata-train, after --")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds: an interval needs at least two")
    values = []
    with tempfile.TemporaryDirectory() as directory:
        for seed in range(arguments.seeds):
            best = train(arguments, seed, pathlib.Path(directory))["best"]
            values.append(best["test"])
    mean = statistics.mean(values)
    half = t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    print(f"{arguments.label or pathlib.Path(arguments.store).name}: test {mean:.4f} +- {half:.4f} "
          f"[{mean - half:.4f}, {mean + half:.4f}] over {len(values)} seeds: " + " ".join(f"{v:.4f}" for v in values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
