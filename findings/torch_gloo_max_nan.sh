#!/usr/bin/env bash
# all_reduce(MAX) over gloo loses a NaN, and the maximum with it: one rank diverges and all read "0".
#
# Guess:   as torch.max does, the maximum of numbers with a NaN among them is NaN, on every rank.
# Seen:    comparisons with NaN are false, and what is left depends on which rank has it: with the NaN on rank 1 of 4
#          all ranks get rank 0's number, though 3.0 was there. A run that watches the largest loss or gradient norm
#          of its ranks sees a small, healthy number when one of them has diverged. The sum (and so the mean) does
#          carry the NaN.
# Package: PyTorch 2.15.0 (gloo, CPU)
# Where:   compiled (gloo/math.h, max of two buffers)
# Date:    2026-11-28
# Output:
#   rank r holds r, one rank holds NaN; torch.max of all: nan
#   NaN on rank 0: MAX on each rank [nan, nan, nan, nan], SUM nan
#   NaN on rank 1: MAX on each rank [0.0, 0.0, 0.0, 0.0], SUM nan
#   NaN on rank 2: MAX on each rank [1.0, 1.0, 1.0, 1.0], SUM nan
#   NaN on rank 3: MAX on each rank [2.0, 2.0, 2.0, 2.0], SUM nan
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

RANKS = 4


def worker(rank, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{os.getcwd()}/store", rank=rank, world_size=RANKS)
    results[rank] = work(rank)
    dist.barrier()
    dist.destroy_process_group()


def run():
    with mp.Manager() as manager:
        results = manager.dict()
        mp.start_processes(worker, (results,), nprocs=RANKS, start_method="fork")
        return [results[rank] for rank in range(RANKS)]


def work(rank):
    made = {}
    for bad in range(RANKS):
        for name, op in {"max": dist.ReduceOp.MAX, "sum": dist.ReduceOp.SUM}.items():
            x = torch.tensor([float("nan") if rank == bad else float(rank)])
            dist.all_reduce(x, op=op)
            made[name, bad] = x.item()
    return made


results = run()
print(f"rank r holds r, one rank holds NaN; torch.max of all: {torch.tensor([0, float('nan'), 2, 3]).max().item()}")
for bad in range(RANKS):
    print(f"NaN on rank {bad}: MAX on each rank {[r['max', bad] for r in results]}, SUM {results[0]['sum', bad]}")
assert all(r["sum", bad] != r["sum", bad] for r in results for bad in range(RANKS))
assert all(r["max", 1] == r["max", 1] for r in results), "MAX carries a NaN now"
EOF
