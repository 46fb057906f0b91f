#!/usr/bin/env bash
# A resumed run has the rest of its epoch, and another order from the next epoch on, if its generator is its own.
#
# Guess:   a data loader that is made to be resumed goes on as the uninterrupted run does: the rest of the epoch, then
#          the same epochs after it. A generator of one's own makes that sure.
# Seen:    the saved state has what the order of this epoch was drawn from, and the position in it. The loader also
#          draws a number of its own from that generator in each epoch. A resumed epoch lacks that draw, and all later
#          ones have another order. Without a generator they have the same.
# Package: torchdata 0.11.0, PyTorch 2.15.0
# Where:   torchdata/stateful_dataloader/sampler.py, torch/utils/data/dataloader.py (_base_seed)
# Date:    2026-11-29
# Output:
#   batches as in the uninterrupted run, resumed after 4 of 10 batches
#                        rest   epoch 2   epoch 3
#   generator of its own  6/6      0/10      0/10
#   no generator          6/6     10/10     10/10
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torchdata==0.11.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
from itertools import islice

import torch
from torchdata.stateful_dataloader import StatefulDataLoader

torch.set_num_threads(1)
TEXTS, BATCH, SEEN, EPOCHS = 200, 20, 4, 3


def loader(is_own):
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0) if is_own else None
    return StatefulDataLoader(range(TEXTS), BATCH, shuffle=True, generator=rng)


def epoch(batches):
    return [batch.tolist() for batch in batches]


def same(is_own):
    """Pairs (equal batches, batches) of the rest of the first epoch and of those after it."""
    whole = loader(is_own)
    wanted = [epoch(whole) for _ in range(EPOCHS)]
    stopped = loader(is_own)
    list(islice(stopped, SEEN))
    resumed = loader(is_own)
    resumed.load_state_dict(stopped.state_dict())
    wanted[0] = wanted[0][SEEN:]
    return [(sum(map(list.__eq__, epoch(resumed), batches)), len(batches)) for batches in wanted]


print(f"batches as in the uninterrupted run, resumed after {SEEN} of {TEXTS // BATCH} batches")
print("                     rest   epoch 2   epoch 3")
rows = {name: same(is_own) for name, is_own in (("generator of its own", True), ("no generator", False))}
for name, pairs in rows.items():
    rest, second, third = (f"{equal}/{count}" for equal, count in pairs)
    print(f"{name:20} {rest:>4} {second:>9} {third:>9}")
own, none = rows.values()
assert own[0] == none[0] == (6, 6) and none[1:] == [(10, 10)] * 2
assert own[1][0] == own[2][0] == 0, "later epochs have the same order now"
EOF
