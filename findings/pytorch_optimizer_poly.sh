#!/usr/bin/env bash
# A polynomial schedule raises the rate without end: 30 times max_lr after 1,000 steps, 800,000 times with order 2.
#
# Guess:   PolyScheduler(max_lr, min_lr, t_max, poly_order) decays from max_lr to min_lr by (1 - t / t_max) ** order, as
#          PolynomialLR of PyTorch and the other schedules of the package do.
# Seen:    the rate is (max_lr - min_lr) times the steps since the warm-up, to that power: it is min_lr right after the
#          warm-up, max_lr a step later, and then grows; t_max has no part in it. The docstring has the
#          formula, and says that max_lr is where the warm-up ends.
# Package: pytorch-optimizer 4.1.0, PyTorch 2.15.0
# Where:   pytorch_optimizer/lr_scheduler/linear_warmup.py (PolyScheduler._step)
# Date:    2026-11-28
# Output:
#   rate at step                            102       500     1,000
#   PolyScheduler, order .5                1.00     19.97     29.98
#   PolyScheduler, order 2                 1.00    159201    808201
#   LinearScheduler                        1.00      0.56      0.00
#   PolynomialLR of PyTorch, order 2       0.81      0.25      0.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 pytorch-optimizer==4.1.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from pytorch_optimizer.lr_scheduler import LinearScheduler, PolyScheduler
from torch.optim.lr_scheduler import PolynomialLR

WARM = {"t_max": 1000, "max_lr": 1.0, "min_lr": 0.0, "init_lr": 0.0, "warmup_steps": 100}


def rates(schedule):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, seen = schedule(optimizer), []
    for _ in range(1001):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return [seen[step] for step in (102, 500, 1000)]


SCHEDULES = {
    "PolyScheduler, order .5": lambda optimizer: PolyScheduler(optimizer, **WARM),
    "PolyScheduler, order 2": lambda optimizer: PolyScheduler(optimizer, poly_order=2, **WARM),
    "LinearScheduler": lambda optimizer: LinearScheduler(optimizer, **WARM),
    "PolynomialLR of PyTorch, order 2": lambda optimizer: PolynomialLR(optimizer, 1000, power=2),
}
print("rate at step                            102       500     1,000")
for name, schedule in SCHEDULES.items():
    seen = rates(schedule)
    print(f"{name:33}", *(f"{rate:9.0f}" if rate > 100 else f"{rate:9.2f}" for rate in seen))
    assert seen[2] > 20 if name.startswith("PolyScheduler") else seen[2] < 0.01, "the rate falls now"
EOF
