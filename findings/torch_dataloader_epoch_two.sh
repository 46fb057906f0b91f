#!/usr/bin/env bash
# Persistent workers change the order of the data, from the second epoch on.
#
# Guess:   number and kind of workers are a matter of speed: with one generator and shuffle=True each epoch's order is
#          the same.
# Seen:    true for 0 and 2 workers. With persistent_workers=True the first epoch agrees and the second does not: a
#          loader that starts anew draws a seed for its workers from the same generator in each epoch, one that
#          persists only once.
# Package: PyTorch 2.15.0
# Where:   torch/utils/data/dataloader.py:690-694 (__init__ draws), :702-704 (_reset does not)
# Date:    2026-11-28
# Output:
#   workers                 epoch 1                          epoch 2
#   0                       [4, 6, 9, 2, 3, 1, 0, 7, 8, 5]   [6, 8, 5, 1, 3, 7, 2, 4, 0, 9]
#   2                       [4, 6, 9, 2, 3, 1, 0, 7, 8, 5]   [6, 8, 5, 1, 3, 7, 2, 4, 0, 9]
#   2, persistent           [4, 6, 9, 2, 3, 1, 0, 7, 8, 5]   [0, 7, 4, 9, 1, 6, 8, 3, 2, 5]
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from torch.utils.data import DataLoader


def epochs(**options):
    loader = DataLoader(range(10), shuffle=True, generator=torch.Generator().manual_seed(1), **options)
    return [[int(x) for x in loader] for _ in range(2)]


if __name__ == "__main__":
    ways = {"0": {}, "2": {"num_workers": 2}, "2, persistent": {"num_workers": 2, "persistent_workers": True}}
    seen = {name: epochs(**options) for name, options in ways.items()}
    print("workers                 epoch 1                          epoch 2")
    for name, (first, second) in seen.items():
        print(f"{name:23} {first}   {second}")
    assert seen["0"] == seen["2"] and seen["0"][0] == seen["2, persistent"][0]
    assert seen["0"][1] != seen["2, persistent"][1], "persistent workers keep the order now"
EOF
