#!/usr/bin/env bash
# keras.remat with PyTorch below it draws dropout again in the backward pass: the gradient is another network's.
#
# Guess:   rematerialization changes memory and time, not gradients: PyTorch's checkpoint, which does the work, puts
#          its random state back.
# Seen:    Keras draws by a state of its own, which moves on at each call and which PyTorch's checkpoint knows nothing
#          of. Half of the units that the forward pass dropped have a gradient, and half of those that it kept have
#          none.
# Package: keras 3.15.1, PyTorch 2.15.0
# Where:   keras/src/backend/torch/core.py (remat), keras/src/random/seed_generator.py
# Date:    2026-11-29
# Output:
#   gradient of 1,000 units of which dropout keeps a half
#              kept   dropped
#   as it is    486         0
#   remat       251       293
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 keras==3.15.1 torch==2.15.0 numpy==2.4.6

KERAS_BACKEND=torch CUDA_VISIBLE_DEVICES="" .venv/bin/python -W ignore - <<'EOF'
import keras
import torch

torch.set_num_threads(1)
dropout = keras.layers.Dropout(0.5, seed=3)


def layer(units):
    return dropout(units, training=True)


def gradient(run):
    """Number of units with a gradient: of those that the forward pass keeps, and of those that it drops."""
    units = torch.ones(1000, requires_grad=True)
    out = run(units)
    out.sum().backward()
    kept, learns = out > 0, units.grad > 0
    return (learns & kept).sum().item(), (learns & ~kept).sum().item()


rows = {"as it is": gradient(layer), "remat": gradient(keras.remat(layer))}
print("gradient of 1,000 units of which dropout keeps a half")
print("           kept   dropped")
for name, (kept, dropped) in rows.items():
    print(f"{name:8} {kept:6} {dropped:9}")
assert rows["as it is"][1] == 0
assert rows["remat"][1] > 200, "the mask is the same now"
EOF
