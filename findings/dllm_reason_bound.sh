#!/usr/bin/env bash
# The training loss of a masked diffusion model that knows nothing grows with the length of the text.
#
# Guess:   a loss described as the continuous-time bound is ln V nats a position for equal probabilities, whatever
#          the length.
# Seen:    H_L ln V, with H_L = 1 + 1/2 + ... + 1/L. The weight dsigma/sigma makes a bound of the sum over the masks
#          divided by L; here the sum is divided by the number of masks as well. Losses at two lengths, or beside a
#          bound from elsewhere, are not comparable.
# Package: dllm-reason 1.6.1, PyTorch 2.15.0
# Where:   dllm_reason/models/mdlm.py:178-182
# Date:    2026-11-28
# Output:
#   length   loss / ln V   harmonic number   a bound's
#        4          2.10              2.08        1.00
#       16          3.36              3.38        1.00
#       64          4.71              4.74        1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 --no-deps dllm-reason==1.6.1
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6 einops==0.8.2

.venv/bin/python - <<'EOF'
import math

import torch
from dllm_reason.models.mdlm import MDLM


class KnowsNothing(torch.nn.Module):
    def forward(self, idx, t, attention_mask):
        return torch.zeros(*idx.shape, 8)  # equal logits of 7 symbols and the mask


torch.manual_seed(0)
print("length   loss / ln V   harmonic number   a bound's")
for length in 4, 16, 64:
    model = MDLM(vocab_size=7, max_seq_len=length, dim=8, num_layers=1, num_heads=1)
    model.backbone = KnowsNothing()
    losses = [model.compute_loss(torch.randint(7, (4000, length))).item() for _ in range(100)]
    ratio = sum(losses) / len(losses) / math.log(8)
    harmonic = sum(1 / n for n in range(1, length + 1))
    print(f"{length:6}{ratio:14.2f}{harmonic:18.2f}        1.00")
    assert abs(ratio - harmonic) < 0.1, "the loss no longer grows with the length as it did"
EOF
