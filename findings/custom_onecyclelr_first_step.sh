#!/usr/bin/env bash
# The first step of a warm-up is made at the full rate.
#
# Guess:   the optimiser's own rate does not matter, as in torch's OneCycleLR: the schedule begins at warmup_start_lr
#          and rises to max_lr.
# Seen:    at step 0 the schedule leaves the optimiser's rate as it is, and goes on at warmup_start_lr after that. An
#          optimiser made with the rate of the training, as one makes it, takes its first step a thousand times as long
#          as the second. Adam's first step is as long as its rate whatever the gradient: the step that a warm-up is
#          there to avoid. The plot of the schedule hides it in its first pixel.
# Package: custom-onecyclelr 0.2.0, PyTorch 2.15.0
# Where:   custom_onecyclelr/scheduler.py (get_lr: last_epoch == 0)
# Date:    2026-11-28
# Output:
#   rate at step           0        1        2       50      100
#   torch             0.0010   0.0012   0.0020   0.5005   1.0000
#   custom            1.0000   0.0011   0.0011   0.0316   1.0000
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 custom-onecyclelr==0.2.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from custom_onecyclelr.scheduler import OneCycleLr

RATE, START, STEPS, SHOWN = 1.0, 0.001, 1000, (0, 1, 2, 50, 100)
PHASES = {"warmup_iters": 100, "lr_idling_iters": 0, "annealing_iters": 600, "decay_iters": 300}
RATES = {"max_lr": RATE, "annealing_lr_min": 0.1, "decay_lr_min": 0.01, "warmup_start_lr": START}
SCHEDULES = {
    "torch": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=RATE, total_steps=STEPS, pct_start=101 / STEPS, div_factor=RATE / START
    ),
    "custom": lambda optimizer: OneCycleLr(optimizer, **PHASES, **RATES),
}


def rates(schedule):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler, seen = schedule(optimizer), []
    for _ in range(max(SHOWN) + 1):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


print("rate at step   " + "".join(f"{step:9}" for step in SHOWN))
seen = {name: rates(schedule) for name, schedule in SCHEDULES.items()}
for name, row in seen.items():
    print(f"{name:15}" + "".join(f"{row[step]:9.4f}" for step in SHOWN))
assert abs(seen["torch"][0] - START) < 1e-9 and abs(seen["torch"][100] - RATE) < 1e-3
assert abs(seen["custom"][1] - START) < 1e-3 and abs(seen["custom"][100] - RATE) < 1e-3
assert seen["custom"][0] == RATE, "the warm-up begins at its start now"
EOF
