#!/usr/bin/env bash
# Equal numbers at different places of one tensor have different sums after all_reduce in bfloat16.
#
# Guess:   each element is added over the ranks in one order: four elements that are 256 on rank 0 and 1 on three
#          others become 256 everywhere, each addition being rounded (or 259, rounded to 260, if the sum is float32).
# Seen:    both, by place: the tensor is cut into chunks, one a rank, and each chunk is added in another order; 1 + 1
#          + 1 + 256 keeps the ones, 256 + 1 + 1 + 1 loses them. All ranks agree. A gradient averaged in bfloat16
#          depends on where in its bucket a weight lies, so adding a layer changes the numbers of the others.
# Package: PyTorch 2.15.0 (gloo, CPU)
# Where:   compiled (gloo's ring all-reduce)
# Date:    2026-11-28
# Output:
#   256 + 1 + 1 + 1 at each of eight places, bfloat16: [260.0, 260.0, 256.0, 256.0, 256.0, 256.0, 260.0, 260.0]
#   float32: [259.0, 259.0, 259.0, 259.0, 259.0, 259.0, 259.0, 259.0]; equal on all ranks: True
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
    made = []
    for kind in (torch.bfloat16, torch.float32):
        x = torch.full((8,), 256.0 if rank == 0 else 1.0, dtype=kind)
        dist.all_reduce(x)
        made.append(x.tolist())
    return made


results = run()
half, single = results[0]
print(f"256 + 1 + 1 + 1 at each of eight places, bfloat16: {half}")
print(f"float32: {single}; equal on all ranks: {all(r == results[0] for r in results)}")
assert set(single) == {259.0} and all(r == results[0] for r in results)
assert set(half) == {256.0, 260.0}, "the sum does not depend on the place now"
EOF
