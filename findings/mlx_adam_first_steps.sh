#!/usr/bin/env bash
# Adam of MLX takes a first step of 3.2 learning rates and a twelfth of 6.6.
#
# Guess:   Adam with its usual defaults: under a constant gradient each step is the learning rate, as in PyTorch and
#          optax, and a recipe carries over.
# Seen:    bias correction is off unless asked for. The second moment starts at 0 and is divided by as it is, so the
#          first steps are up to 6.6 times too long, and a thousand steps go twice as far; step 1,000 is still a
#          quarter too long. A warm-up hides it, a recipe without one meets it. bias_correction=True is the Adam
#          of the paper. AdamW has the same default.
# Package: mlx 0.32.4, mlx-cpu 0.32.4, PyTorch 2.15.0
# Where:   mlx/optimizers/optimizers.py (Adam, AdamW: bias_correction=False)
# Date:    2026-11-28
# Output:
#   steps under a constant gradient, in learning rates
#                                     first   longest       1,000th   sum of 1,000
#   PyTorch Adam                       1.00      1.00          1.00           1000
#   MLX Adam                           3.16      6.57 (12th)   1.26           1997
#   MLX AdamW                          3.16      6.57 (12th)   1.26           1997
#   MLX Adam, bias_correction=True     1.00      1.00          1.00           1000
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 mlx==0.32.4 mlx-cpu==0.32.4 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import mlx.core as mx
import torch
from mlx.optimizers import Adam, AdamW

mx.set_default_device(mx.cpu)
torch.set_num_threads(1)


def steps_in_mlx(optimizer):
    weights, steps = {"w": mx.array([0.0])}, []
    for _ in range(1000):
        moved = optimizer.apply_gradients({"w": mx.array([1.0])}, weights)
        steps.append(weights["w"].item() - moved["w"].item())
        weights = moved
    return steps


def steps_in_torch():
    weight, steps = torch.zeros(1, dtype=torch.float64, requires_grad=True), []
    optimizer = torch.optim.Adam([weight], lr=1.0)
    for _ in range(1000):
        before = weight.item()
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        steps.append(before - weight.item())
    return steps


RUNS = {
    "PyTorch Adam": steps_in_torch,
    "MLX Adam": lambda: steps_in_mlx(Adam(learning_rate=1.0)),
    "MLX AdamW": lambda: steps_in_mlx(AdamW(learning_rate=1.0, weight_decay=0.0)),
    "MLX Adam, bias_correction=True": lambda: steps_in_mlx(Adam(learning_rate=1.0, bias_correction=True)),
}
print("steps under a constant gradient, in learning rates")
print("                                  first   longest       1,000th   sum of 1,000")
for name, run in RUNS.items():
    steps = run()
    longest = max(steps)
    place = f"({steps.index(longest) + 1}th)" if longest > 1.1 else ""
    print(f"{name:31} {steps[0]:7.2f} {longest:9.2f} {place:6} {steps[-1]:6.2f} {sum(steps):14.0f}")
    exact = name in ("PyTorch Adam", "MLX Adam, bias_correction=True")
    assert abs(longest - 1) < 0.01 if exact else longest > 6, "the first steps are the learning rate now"
EOF
