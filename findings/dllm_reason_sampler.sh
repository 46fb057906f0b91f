#!/usr/bin/env bash
# A sampler that is told to write 64 positions in 32 steps returns 32 masks, without a word.
#
# Guess:   the number of steps sets how many positions one step fills in; whatever is left is filled in by the last one.
# Seen:    one position a step, whatever the number. 64 positions need 64 steps: fewer leave masks in the result,
#          more make passes that change nothing. Of five schedulers only the cosine one looks at the number.
# Package: dllm-reason 1.6.1, PyTorch 2.15.0
# Where:   dllm_reason/models/base.py:187 (no number of positions is handed over), scheduler/*_scheduler.py (default 1)
# Date:    2026-11-28
# Output:
#   masks left of 64        32 steps   64 steps
#   ConfidenceScheduler           32          0
#   EntropyScheduler              32          0
#   RandomScheduler               32          0
#   LinearScheduler               32          0
#   MaskGITCosineScheduler         0          0
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 --no-deps dllm-reason==1.6.1
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6 einops==0.8.2

.venv/bin/python - <<'EOF'
import torch
from dllm_reason.models.mdlm import MDLM
from dllm_reason.scheduler.confidence_scheduler import ConfidenceScheduler
from dllm_reason.scheduler.entropy_scheduler import EntropyScheduler
from dllm_reason.scheduler.linear_scheduler import LinearScheduler
from dllm_reason.scheduler.maskgit_scheduler import MaskGITCosineScheduler
from dllm_reason.scheduler.random_scheduler import RandomScheduler

torch.manual_seed(0)
model = MDLM(vocab_size=27, max_seq_len=64, dim=32, num_layers=1, num_heads=2)
print("masks left of 64        32 steps   64 steps")
for scheduler in ConfidenceScheduler, EntropyScheduler, RandomScheduler, LinearScheduler, MaskGITCosineScheduler:
    text = [model.sample(scheduler(), num_steps=steps) for steps in (32, 64)]
    left = [(idx == model.mask_token_id).sum().item() for idx in text]
    print(f"{scheduler.__name__:22}{left[0]:10}{left[1]:11}")
    assert left == [0 if scheduler is MaskGITCosineScheduler else 32, 0], "the sampler leaves another number of masks"
EOF
