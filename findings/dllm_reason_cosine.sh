#!/usr/bin/env bash
# A cosine schedule that names MaskGIT as its source fills in many positions first and one at the end: the reverse.
#
# Guess:   MaskGIT's cosine: few positions while little is known, most of them in the last steps (share still masked
#          after a share r of the steps: cos(pi r / 2)).
# Seen:    cos(pi / 2 (1 - r)) is the share *filled in*: 12 positions in the first of 8 steps and 1 in the last.
#          Two packages' "cosine" in one comparison are two opposite schedules.
# Package: dllm-reason 1.6.1, PyTorch 2.15.0
# Where:   dllm_reason/scheduler/maskgit_scheduler.py:48
# Date:    2026-11-28
# Output:
#   filled in by step:  here 12 12 11 10 8 6 4 1
#   MaskGIT's formula:       1 4 6 8 9 12 12 12
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 --no-deps dllm-reason==1.6.1
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import math
from itertools import pairwise

import torch
from dllm_reason.scheduler.maskgit_scheduler import MaskGITCosineScheduler

torch.manual_seed(0)
length, steps = 64, 8
masked = torch.ones(1, length, dtype=torch.bool)
counts = []
for step in range(steps):
    chosen = MaskGITCosineScheduler().select_positions(
        step=step,
        total_steps=steps,
        current_mask=masked,
        is_unmasked=~masked,
        logits=torch.zeros(1, length, 5),
        confidences=torch.rand(1, length),
    )
    counts.append(int(chosen.sum()))
    masked = masked & ~chosen
left = [round(length * math.cos(math.pi / 2 * step / steps)) for step in range(steps + 1)]
print("filled in by step:  here", *counts)
print("MaskGIT's formula:      ", *(before - after for before, after in pairwise(left)))
assert counts[0] > 10 and counts[-1] <= 1 and sum(counts) == length, "the schedule no longer runs backwards"
EOF
