#!/usr/bin/env bash
# A moving average with beta = .99 is of the last 1,000 steps, not of the last 100.
#
# Guess:   update_every=10, the default that saves time, makes the same average more cheaply: its ten steps
#          count as ten, so that beta = .99 has a memory of 1 / (1 - beta) = 100 calls of update().
# Seen:    beta is applied once in ten calls and not raised to the tenth power, so the memory is ten times as long; the
#          default of .9999 is of 100,000 steps, longer than many a training. update_every=1 has the horizon that beta
#          says, at the cost of an update in each step.
# Package: ema-pytorch 0.8.3, PyTorch 2.15.0
# Where:   ema_pytorch/ema_pytorch.py (update: returns unless step % update_every == 0; get_current_decay)
# Date:    2026-11-28
# Output:
#   calls of update() until weights that jumped have come 1 - 1/e of the way
#   beta   update_every=10   update_every=1   1 / (1 - beta)
#   .99                991              100              100
#   .995              1991              200              200
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 ema-pytorch==0.8.3 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import math

import torch
from ema_pytorch import EMA

torch.set_num_threads(1)


def horizon(beta, **options):
    """Calls of update() until the average of a weight that jumps from 0 to 1 is 1 - 1/e."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = EMA(network, beta=beta, **options)
    for _ in range(15000):  # past the warm-up of the decay
        average.update()
    torch.nn.init.ones_(network.weight)
    for call in range(1, 5000):
        average.update()
        if average.ema_model.weight.item() > 1 - math.exp(-1):
            return call


print("calls of update() until weights that jumped have come 1 - 1/e of the way")
print("beta   update_every=10   update_every=1   1 / (1 - beta)")
for beta in (0.99, 0.995):
    default, every = horizon(beta), horizon(beta, update_every=1)
    said = round(1 / (1 - beta))
    print(f"{str(beta)[1:]:5}{default:17}{every:17}{said:17}")
    assert abs(every - said) <= 0.03 * said
    assert abs(default - 10 * said) <= 0.3 * said, "the horizon is that of beta now"
EOF
