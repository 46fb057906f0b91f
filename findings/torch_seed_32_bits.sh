#!/usr/bin/env bash
# Of a seed of 64 bits 32 are read: experiment << 32 | row gives all experiments the same draws.
#
# Guess:   seeds are numbers of 64 bits, as the documentation of manual_seed and the value of torch.seed() say, and
#          different seeds begin different streams.
# Seen:    on a CPU the generator is seeded by the lower half. 1,000 experiments with eight rows each have eight
#          streams, if the experiment is the upper half of the seed, and initial_seed() shows 8,000 different numbers.
#          Seeds that are hashes of 64 bits meet after some 77,000. NumPy reads a seed of any length.
# Package: PyTorch 2.15.0, NumPy 2.4.6
# Where:   ATen/core/MT19937RNGEngine.h (seed & 0xffffffff)
# Date:    2026-11-29
# Output:
#   different streams of 1,000 experiments with 8 rows
#   seed                       PyTorch   NumPy
#   experiment << 32 | row           8    8000
#   experiment << 8 | row         8000    8000
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import numpy as np
import torch

torch.set_num_threads(1)
EXPERIMENTS, ROWS = 1000, 8


def by_torch(seed):
    rng = torch.Generator().manual_seed(seed)
    assert rng.initial_seed() == seed
    return tuple(torch.rand(4, generator=rng).tolist())


def by_numpy(seed):
    return tuple(np.random.default_rng(seed).random(4).tolist())


def streams(draw, bits):
    return len({draw(experiment << bits | row) for experiment in range(EXPERIMENTS) for row in range(ROWS)})


counts = {bits: [streams(draw, bits) for draw in (by_torch, by_numpy)] for bits in (32, 8)}
print(f"different streams of {EXPERIMENTS:,} experiments with {ROWS} rows")
print("seed                       PyTorch   NumPy")
for bits, (torch_streams, numpy_streams) in counts.items():
    print(f"{f'experiment << {bits} | row':24} {torch_streams:9} {numpy_streams:7}")
assert counts[8] == [EXPERIMENTS * ROWS] * 2 and counts[32][1] == EXPERIMENTS * ROWS
assert counts[32][0] == ROWS, "the upper half of a seed is read now"
EOF
