#!/usr/bin/env bash
# A learning-rate finder recommends a rate at which the network unlearns everything.
#
# Guess:   the suggested rate, that at which the loss falls steepest, lies below the rate of the lowest loss, beyond
#          which training comes apart.
# Seen:    the steepest fall is looked for in the whole record but its last five steps. Where training has come apart
#          the loss jumps, and a jump down is the steepest fall of all. Without smoothing (smooth_f=0), or with half,
#          the suggestion is four times the rate of the lowest loss, and a training with it ends at the loss of a
#          network that knows nothing. The default, an average over 20 steps, hides it here.
# Package: torch-lr-finder 0.2.2, PyTorch 2.15.0
# Where:   torch_lr_finder/lr_finder.py:543 (np.gradient(losses).argmin())
# Date:    2026-11-29
# Output:
#   knows nothing: 4.17 nats
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  torch-lr-finder==0.2.2 torch==2.15.0 matplotlib==3.11.2 numpy==2.4.6

MPLBACKEND=agg .venv/bin/python -W ignore - <<'EOF'
import contextlib
import io
import math

import torch
from torch.utils.data import DataLoader, TensorDataset
from torch_lr_finder import LRFinder

torch.set_num_threads(1)
SYMBOLS, BATCH, STEPS = 65, 32, 300
NEXT = torch.softmax(3 * torch.randn(SYMBOLS, SYMBOLS, generator=torch.Generator().manual_seed(0)), -1)


def pairs(count, seed):
    """Characters and their successors, of one Markov chain."""
    rng = torch.Generator().manual_seed(seed)
    first = torch.randint(SYMBOLS, (count,), generator=rng)
    return first, torch.multinomial(NEXT[first], 1, generator=rng)[:, 0]


def network():
    torch.manual_seed(0)
    layers = torch.nn.Embedding(SYMBOLS, 64), torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, SYMBOLS)
    return torch.nn.Sequential(*layers)


def suggestion(smooth_f):
    """The suggested rate, and that of the lowest loss."""
    model = network()
    finder = LRFinder(model, torch.optim.Adam(model.parameters(), lr=1e-7), torch.nn.CrossEntropyLoss(), device="cpu")
    torch.manual_seed(1)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder.range_test(DataLoader(TensorDataset(*pairs(3200, 1)), BATCH, shuffle=True), end_lr=10, smooth_f=smooth_f)
        suggested = finder.plot()[1]
    return suggested, finder.history["lr"][finder.history["loss"].index(min(finder.history["loss"]))]


def loss_after(rate):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for first, following in zip(*(part.split(BATCH) for part in pairs(BATCH * STEPS, 2)), strict=True):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(first), following).backward()
        optimizer.step()
    first, following = pairs(5000, 3)
    return torch.nn.functional.cross_entropy(model(first), following).item()


print(f"knows nothing: {math.log(SYMBOLS):.2f} nats; at .003: {loss_after(0.003):.2f}")
print("smooth_f   suggested rate   rate of the lowest loss   loss after training with the suggestion")
rows = {smooth_f: suggestion(smooth_f) for smooth_f in (0.05, 0.5, 0)}
losses = {smooth_f: loss_after(suggested) for smooth_f, (suggested, _) in rows.items()}
for smooth_f, (suggested, lowest) in rows.items():
    print(f"{smooth_f:8} {suggested:16.3f} {lowest:25.3f} {losses[smooth_f]:41.2f}")
assert rows[0.05][0] < rows[0.05][1]
for smooth_f in (0.5, 0):
    suggested, lowest = rows[smooth_f]
    assert suggested > 2 * lowest and losses[smooth_f] > 3.5, "the suggestion lies below the lowest loss now"
EOF
