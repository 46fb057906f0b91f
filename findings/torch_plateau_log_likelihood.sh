#!/usr/bin/env bash
# A scheduler that waits for a plateau never sees one in a log-likelihood: what stands still counts as better.
#
# Guess:   ReduceLROnPlateau(mode="max") on a log-likelihood that stays at -1.5 nats lowers the rate after `patience`
#          evaluations, just as mode="min" on a loss that stays at 1.5 does.
# Seen:    the threshold is relative: better is more than best * (1 + 1e-4), and with a negative best that lies below
#          it. The same value counts as an improvement for ever, and so does one that falls by a ten-thousandth each
#          time. The rate is never lowered. A loss below zero (a density's NLL) has it with mode="min". Three packages
#          do the same by default; threshold_mode="abs" does not.
# Package: PyTorch 2.15.0, optax 0.2.8, paddlepaddle 3.3.1
# Where:   torch/optim/lr_scheduler.py (ReduceLROnPlateau._is_better), optax/contrib/_reduce_on_plateau.py,
#          paddle/optimizer/lr.py (ReduceOnPlateau._is_better)
# Date:    2026-11-28
# Output:
#   rate after 40 evaluations     loss 1.5, min   log-likelihood -1.5, max   loss -1.5, min
#   PyTorch                               1e-08                          1                1
#   PyTorch, threshold_mode="abs"         1e-08                      1e-08            1e-08
#   PaddlePaddle                          1e-08                          1                1
#   optax                                 1e-13                          -                1
#   PyTorch, a log-likelihood that falls from -1.5 to -1.54 in 400 evaluations: 1
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  torch==2.15.0 paddlepaddle==3.3.1 optax==0.2.8 jax==0.10.2 numpy==2.4.6 setuptools==80.9.0

.venv/bin/python -W ignore - <<'EOF'
import jax.numpy as jnp
import paddle
import torch
from optax.contrib import reduce_on_plateau
from torch.optim.lr_scheduler import ReduceLROnPlateau


def in_torch(values, mode, **options):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = ReduceLROnPlateau(optimizer, mode=mode, patience=3, **options)
    for value in values:
        optimizer.step()
        scheduler.step(value)
    return optimizer.param_groups[0]["lr"]


def in_torch_absolute(values, mode):
    return in_torch(values, mode, threshold_mode="abs")


def in_paddle(values, mode):
    scheduler = paddle.optimizer.lr.ReduceOnPlateau(1.0, mode=mode, patience=3)
    for value in values:
        scheduler.step(paddle.to_tensor(value))
    return scheduler()


def in_optax(values, mode):
    if mode == "max":
        return None
    weights = {"w": jnp.zeros(1)}
    scheduler = reduce_on_plateau(patience=3)
    state = scheduler.init(weights)
    for value in values:
        _, state = scheduler.update(weights, state, value=jnp.array(value))
    return float(state.scale)


PACKAGES = {
    "PyTorch": in_torch,
    'PyTorch, threshold_mode="abs"': in_torch_absolute,
    "PaddlePaddle": in_paddle,
    "optax": in_optax,
}
print("rate after 40 evaluations     loss 1.5, min   log-likelihood -1.5, max   loss -1.5, min")
for name, package in PACKAGES.items():
    rates = [package([value] * 40, mode) for value, mode in ((1.5, "min"), (-1.5, "max"), (-1.5, "min"))]
    shown = ["-" if rate is None else f"{rate:.0e}" if rate < 1 else "1" for rate in rates]
    print(f"{name:29} {shown[0]:>13} {shown[1]:>26} {shown[2]:>16}")
    low = "abs" in name
    assert rates[0] < 1e-6
    assert all((rate < 1e-6) == low for rate in rates[1:] if rate is not None), "a negative plateau is seen now"
falling = in_torch([-1.5 - 1e-4 * i for i in range(400)], "max")
print(f"PyTorch, a log-likelihood that falls from -1.5 to -1.54 in 400 evaluations: {falling:.0f}")
assert falling == 1
EOF
