#!/usr/bin/env bash
# In bfloat16 no symbol is rarer than one in 128: Categorical(probs) says 4.84 nats of every rare character.
#
# Guess:   Categorical(probs).log_prob(k) is ln p_k to the precision of the format: 6.9 nats for a probability of .001,
#          which bfloat16 holds to three parts in a thousand.
# Seen:    probabilities are clamped to the machine epsilon of their dtype before the logarithm: .0078 in bfloat16,
#          .00098 in float16, 1.2e-7 in float32. Under each of these all symbols cost the same, impossible ones too,
#          so a model that gives the true character .001 has the likelihood of .0078, and the mean over a text is too
#          good, the more so the worse the model. scikit-learn's log_loss clips in the same way. Categorical(logits)
#          does not.
# Package: PyTorch 2.15.0, scikit-learn 1.9.1
# Where:   torch/distributions/utils.py (clamp_probs, probs_to_logits), sklearn/metrics/_classification.py (log_loss)
# Date:    2026-11-28
# Output:
#   nats of a symbol of probability   1e-03  1e-06  1e-09      0
#   true                               6.91  13.82  20.72    inf
#   probs in float32                   6.91  13.82  15.94  15.94
#   probs in float16                   6.91   6.93   6.93   6.93
#   probs in bfloat16                  4.84   4.84   4.84   4.84
#   logits in bfloat16                 6.91  13.81  20.75    inf
#   log_loss in float32                6.91  13.82  15.94  15.94
#   log_loss in float16                6.91   6.93   6.93   6.93
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 scikit-learn==1.9.1 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import math

import torch
from sklearn.metrics import log_loss
from torch.distributions import Categorical

RARE = (1e-3, 1e-6, 1e-9, 0.0)


def by_probs(rare, dtype):
    return -Categorical(probs=torch.tensor([1 - rare, rare], dtype=dtype)).log_prob(torch.tensor(1)).item()


def by_logits(rare, dtype):
    logits = torch.tensor([1 - rare, rare]).double().log().to(dtype)
    return -Categorical(logits=logits).log_prob(torch.tensor(1)).item()


def by_log_loss(rare, dtype):
    return log_loss([1], torch.tensor([[1 - rare, rare]], dtype=dtype).numpy(), labels=[0, 1])


def row(name, values):
    print(f"{name:32}", *(f"{value:6.2f}" for value in values))
    return values


print(f"{'nats of a symbol of probability':32}", *(f"{rare:6.0e}" if rare else "     0" for rare in RARE))
row("true", [-math.log(rare) if rare else math.inf for rare in RARE])
single = row("probs in float32", [by_probs(rare, torch.float32) for rare in RARE])
half = row("probs in float16", [by_probs(rare, torch.float16) for rare in RARE])
brain = row("probs in bfloat16", [by_probs(rare, torch.bfloat16) for rare in RARE])
logits = row("logits in bfloat16", [by_logits(rare, torch.bfloat16) for rare in RARE])
clipped = row("log_loss in float32", [by_log_loss(rare, torch.float32) for rare in RARE])
clipped_half = row("log_loss in float16", [by_log_loss(rare, torch.float16) for rare in RARE])
assert abs(logits[0] - 6.91) < 0.05 and abs(logits[2] - 20.72) < 0.1
assert set(brain) == {4.84375}, "rare symbols have their probability in bfloat16 now"
assert all(abs(values[3] - 15.94) < 0.01 for values in (single, clipped))
assert all(abs(values[3] - 6.93) < 0.01 for values in (half, clipped_half))
EOF
