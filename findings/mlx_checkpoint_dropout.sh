#!/usr/bin/env bash
# With checkpointing a dropout layer drops other places in the backward pass: the gradient is another network's.
#
# Guess:   nn.utils.checkpoint saves memory and changes no gradient: the dropout of the same package has the same mask
#          in both passes, as in PyTorch and JAX.
# Seen:    what is computed again draws from the global stream again, which has moved on. Half of the units that the
#          forward pass dropped have a gradient, and half of those that it kept have none. The loss is the same.
# Package: mlx 0.32.4 (CPU)
# Where:   mlx/nn/utils.py (checkpoint), mlx/nn/layers/dropout.py (mx.random.bernoulli without a key)
# Date:    2026-11-29
# Output:
#   gradient of 1,000 units of which dropout keeps a half
#                     kept   dropped
#   no checkpoint      498         0
#   checkpoint         250       251
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 'mlx[cpu]==0.32.4'

.venv/bin/python - <<'EOF'
import mlx.core as mx
from mlx import nn

mx.set_default_device(mx.cpu)


def gradient(layer):
    """Number of units with a gradient: of those that the forward pass keeps, and of those that it drops."""

    def loss(units):
        out = layer(units)
        return out.sum(), out

    mx.random.seed(0)
    (_, out), gradients = mx.value_and_grad(loss)(mx.ones(1000))
    kept, learns = out > 0, gradients > 0
    return (learns & kept).sum().item(), (learns & ~kept).sum().item()


dropout = nn.Dropout(0.5)
rows = {"no checkpoint": gradient(dropout), "checkpoint": gradient(nn.utils.checkpoint(dropout))}
print("gradient of 1,000 units of which dropout keeps a half")
print("                  kept   dropped")
for name, (kept, dropped) in rows.items():
    print(f"{name:15} {kept:6} {dropped:9}")
assert rows["no checkpoint"][1] == 0
assert rows["checkpoint"][1] > 200, "the mask is the same now"
EOF
