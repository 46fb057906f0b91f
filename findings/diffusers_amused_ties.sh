#!/usr/bin/env bash
# Equal confidences override the schedule: the first of 16 passes writes half of the text instead of 1 %.
#
# Guess:   the schedule says how many positions a pass fills in; the confidences, with noise at a temperature, say which.
# Seen:    all positions whose confidence is not below the k-th lowest are filled in, ties too. At temperature 0 a network
#          that says .5 .3 .2 everywhere writes every .5 that it drew in the first pass. A network that is sure does so
#          with 18 % of its text in bfloat16, where many confidences are the same number, and with 1 % in float32.
#          What one pass writes at once is blind to itself. Only noise keeps the order, and the default temperature,
#          from 2 to 0, ends without any.
# Package: diffusers 0.42.1, PyTorch 2.15.0
# Where:   diffusers/schedulers/scheduling_amused.py (mask_by_random_topk: masking = confidence < cut_off)
# Date:    2026-11-28
# Output:
#   share of masks after pass           1      2      4      8     16
#   the schedule, cosine             1.00   0.98   0.92   0.71   0.00
#   .5 .3 .2, temperature 2 to 0     0.99   0.98   0.92   0.71   0.00
#   .5 .3 .2, temperature 0          0.51   0.50   0.50   0.48   0.00
#   sure, float32, temperature 0     0.99   0.98   0.92   0.71   0.00
#   sure, bfloat16, temperature 0    0.82   0.82   0.81   0.71   0.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 diffusers==0.42.1 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import math

import torch
from diffusers import AmusedScheduler

torch.set_num_threads(1)
ROWS, LENGTH, STEPS, SHOWN = 32, 256, 16, (1, 2, 4, 8, 16)


def left(logits, temperature):
    """Share of masks after each pass; the network says the same at each position in every pass."""
    torch.manual_seed(0)
    mask = logits.shape[-1]
    scheduler = AmusedScheduler(mask_token_id=mask)
    scheduler.set_timesteps(STEPS, temperature=temperature)
    text, shares = torch.full((ROWS, LENGTH), mask), []
    for t in scheduler.timesteps:
        text = scheduler.step(logits, t, text).prev_sample
        shares.append((text == mask).float().mean().item())
    return shares


torch.manual_seed(0)
plain = torch.tensor([0.5, 0.3, 0.2]).log().repeat(ROWS, LENGTH, 1)
sure = 10 * torch.randn(ROWS, LENGTH, 65)
seen = {
    "the schedule, cosine": [math.cos(math.pi / 2 * step / STEPS) for step in range(1, STEPS + 1)],
    ".5 .3 .2, temperature 2 to 0": left(plain, (2, 0)),
    ".5 .3 .2, temperature 0": left(plain, 0),
    "sure, float32, temperature 0": left(sure, 0),
    "sure, bfloat16, temperature 0": left(sure.bfloat16(), 0),
}
print("share of masks after pass     " + "".join(f"{step:7}" for step in SHOWN))
for name, shares in seen.items():
    print(f"{name:30}" + "".join(f"{shares[step - 1]:7.2f}" for step in SHOWN))
assert all(shares[-1] < 1e-9 for shares in seen.values())
assert seen[".5 .3 .2, temperature 2 to 0"][0] > 0.98
assert seen["sure, float32, temperature 0"][0] > 0.98 > 0.9 > seen["sure, bfloat16, temperature 0"][0]
assert abs(seen[".5 .3 .2, temperature 0"][0] - 0.5) < 0.05, "ties wait for their pass now"
EOF
