#!/usr/bin/env bash
# With activation checkpointing a mask from a generator of one's own is drawn again: the gradient is another mask's.
#
# Guess:   checkpointing changes memory and time, not gradients: what is computed again in the backward pass has the
#          random numbers of the forward pass, as preserve_rng_state=True says, or the difference is an error.
# Seen:    the state of the default generators alone is put back. A torch.Generator that a block draws from has moved
#          on, so that the backward pass has another mask: half of the gradient is at positions that were dropped.
#          There is no error, as shapes agree. Both ways of checkpointing do so.
# Package: PyTorch 2.15.0
# Where:   torch/utils/checkpoint.py (get_device_states, torch.get_rng_state)
# Date:    2026-11-29
# Output:
#   gradient of 1,000 weights that a mask of one half keeps or drops
#                                    kept   dropped
#   no checkpoint, own generator      502         0
#   checkpoint, default generator     492         0
#   checkpoint, own generator         251       246
#   the same, use_reentrant           251       246
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from torch.utils.checkpoint import checkpoint

torch.set_num_threads(1)


def no_checkpoint(block, weights, rng):
    return block(weights, rng)


def not_reentrant(block, weights, rng):
    return checkpoint(block, weights, rng, use_reentrant=False)


def reentrant(block, weights, rng):
    return checkpoint(block, weights, rng, use_reentrant=True)


def block(weights, rng):
    return weights * (torch.rand(weights.shape, generator=rng) < 0.5)


def gradient(run, rng):
    """Number of weights with a gradient: of those that the forward pass keeps, and of those that it drops."""
    torch.manual_seed(0)
    weights = torch.ones(1000, requires_grad=True)
    out = run(block, weights, rng)
    out.sum().backward()
    kept, learns = out > 0, weights.grad > 0
    return (learns & kept).sum().item(), (learns & ~kept).sum().item()


def own():
    return torch.Generator().manual_seed(1)


rows = {
    "no checkpoint, own generator": gradient(no_checkpoint, own()),
    "checkpoint, default generator": gradient(not_reentrant, None),
    "checkpoint, own generator": gradient(not_reentrant, own()),
    "the same, use_reentrant": gradient(reentrant, own()),
}
print("gradient of 1,000 weights that a mask of one half keeps or drops")
print("                                 kept   dropped")
for name, (kept, dropped) in rows.items():
    print(f"{name:30} {kept:6} {dropped:9}")
drops = [dropped for _, dropped in rows.values()]
assert drops[:2] == [0, 0] and min(drops[2:]) > 200, "the mask is the same now"
EOF
