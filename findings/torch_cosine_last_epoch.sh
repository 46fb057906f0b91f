#!/usr/bin/env bash
# A cosine schedule that is resumed by last_epoch starts again at the peak and stays above its curve to the end.
#
# Guess:   last_epoch=4 puts the schedule after its fifth epoch: the rates that the unbroken run has from there.
# Seen:    the first rate is whatever stands in the optimizer (a new one: the peak), and each later rate is the one
#          before times a ratio, so that an optimizer without the old state keeps twice the rate. LambdaLR, which also
#          takes last_epoch, does follow its curve. With the old run's rate in the optimizer the cosine is right, too.
# Package: PyTorch 2.15.0
# Where:   torch/optim/lr_scheduler.py:1428-1429 (first rate), :1448-1454 (ratio)
# Date:    2026-11-28
# Output:
#   epoch                     5       6       7       8       9
#   unbroken             0.5000  0.3455  0.2061  0.0955  0.0245
#   resumed              1.0000  0.6910  0.4122  0.1910  0.0489
#   by LambdaLR          0.5000  0.3455  0.2061  0.0955  0.0245
#   old rate loaded      0.5000  0.3455  0.2061  0.0955  0.0245
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import math
import warnings

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

warnings.simplefilter("ignore")


def rates(schedule, epochs, last_epoch=-1, lr=1.0):
    group = {"params": [torch.nn.Parameter(torch.ones(1))], "initial_lr": 1.0}
    optimizer = torch.optim.AdamW([group], lr=lr)
    scheduler = schedule(optimizer, last_epoch)
    made = []
    for _ in range(epochs):
        made.append(round(optimizer.param_groups[0]["lr"], 4))
        optimizer.step()
        scheduler.step()
    return made


def cosine(optimizer, last_epoch):
    return CosineAnnealingLR(optimizer, 10, last_epoch=last_epoch)


def by_lambda(optimizer, last_epoch):
    return LambdaLR(optimizer, lambda epoch: (1 + math.cos(math.pi * epoch / 10)) / 2, last_epoch=last_epoch)


unbroken, resumed, direct = rates(cosine, 10)[5:], rates(cosine, 5, 4), rates(by_lambda, 5, 4)
print("epoch              " + "".join(f"{epoch:8}" for epoch in range(5, 10)))
loaded = rates(cosine, 5, 4, lr=0.5)
rows = {"unbroken": unbroken, "resumed": resumed, "by LambdaLR": direct, "old rate loaded": loaded}
for name, row in rows.items():
    print(f"{name:19}" + "".join(f"{rate:8.4f}" for rate in row))
assert unbroken == direct == loaded
assert resumed[0] == 1.0 and abs(resumed[3] / unbroken[3] - 2) < 0.01, "last_epoch is enough now"
EOF
