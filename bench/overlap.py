#!/usr/bin/env python3
"""How well the passes of a run overlap the disk with computing.

  bench/overlap.py IN_MEMORY/summary.json RUN/summary.json READ_RATE WRITE_RATE

Both runs: the same options but for --host-memory, the first with everything in memory. Rates in bytes a second, as
fio measures them in the same minute (strata-bench io). Of every pass: T_cpu, its seconds with its rows in memory (per
run of the pass, groups of columns added up with their gathers); T_io, its bytes at the disk's rates; and
max(T_io, T_cpu) / T_pass, 1 being perfect. Edges that are read again count as bytes.
"""
import json
import sys


def passes(path):
    """The seconds and bytes of every pass, per epoch, the groups of columns of a product added up."""
    table = {}
    for p in json.load(open(path))["passes"]:
        if p["runs"] == 0 or not p["of_epoch"]:
            continue
        name = p["pass"].split(", columns")[0].replace("gather ", "multiply ", 1)
        row = table.setdefault(name, [0.0, 0, 0])
        row[0] += p["seconds"]
        row[1] += p["bytes_read"] + p.get("graph_bytes", 0)
        row[2] += p["bytes_written"]
    return table


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    memory, run = passes(sys.argv[1]), passes(sys.argv[2])
    read_rate, write_rate = float(sys.argv[3]), float(sys.argv[4])
    print(f"{'pass':28}{'T_pass':>9}{'T_cpu':>9}{'T_io':>9}{'overlap':>9}  bound by")
    total, ideal = 0.0, 0.0
    for name, (seconds, read, written) in run.items():
        if name not in memory:
            continue
        cpu = memory[name][0]
        io = read / read_rate + written / write_rate
        total += seconds
        ideal += max(io, cpu)
        print(f"{name:28}{seconds:9.3f}{cpu:9.3f}{io:9.3f}{max(io, cpu) / seconds:9.2f}  {'disk' if io > cpu else 'work'}")
    print(f"{'all':28}{total:9.3f}{'':18}{ideal / total:9.2f}")


main()
