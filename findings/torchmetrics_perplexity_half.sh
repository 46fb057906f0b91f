#!/usr/bin/env bash
# One surprising character in a thousand makes the perplexity infinite: float16 logits 20 apart are enough.
#
# Guess:   perplexity is exp of the mean cross-entropy: torchmetrics, torcheval and F.cross_entropy agree, and one
#          character that costs 20 nats moves the mean of a thousand by .02.
# Seen:    both packages take the softmax, then the logarithm. In float16 a probability under 6e-8 is 0, so a true
#          character 17 nats below the likeliest makes the perplexity of the whole text infinite; in float32 that
#          happens at 104 nats. The logarithm of the softmax in one function, as in cross_entropy, stays finite.
#          A network under float16 autocast, or of masked logits, needs logits.float().log_softmax(-1).
# Package: torchmetrics 1.9.0, torcheval 0.0.7, PyTorch 2.15.0
# Where:   torchmetrics/functional/text/perplexity.py, torcheval/metrics/functional/text/perplexity.py (softmax, then log)
# Date:    2026-11-28
# Output:
#   one of 1,000 characters costs            20.4 nats   110.4 nats
#   float32, exp(cross_entropy)                 1.46         1.60
#   float32, torchmetrics                       1.46          inf
#   float32, torcheval                          1.46          inf
#   float16, exp(cross_entropy)                 1.46         1.60
#   float16, torchmetrics                        inf          inf
#   float16, torcheval                           inf          inf
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  torchmetrics==1.9.0 torcheval==0.0.7 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import math

import torch
from torcheval.metrics.functional.text import perplexity as torcheval_perplexity
from torchmetrics.functional.text import perplexity as torchmetrics_perplexity

MEASURES = {
    "exp(cross_entropy)": lambda logits, text: torch.nn.functional.cross_entropy(logits[0], text[0]).exp(),
    "torchmetrics": torchmetrics_perplexity,
    "torcheval": torcheval_perplexity,
}


def text_with_one_surprise(logit):
    """(1, 1000, 65) logits: 5 for the true character of each place but one, where it has `logit` and another has 5."""
    logits, text = torch.zeros(1, 1000, 65), torch.zeros(1, 1000, dtype=torch.long)
    logits[..., 0] = 5
    text[0, 0] = 1
    logits[0, 0, 1] = logit
    return logits, text


texts = [text_with_one_surprise(logit) for logit in (-15, -105)]
costs = [-logits.log_softmax(-1)[0, 0, 1].item() for logits, _ in texts]
print(f"one of 1,000 characters costs       {costs[0]:9.1f} nats {costs[1]:7.1f} nats")
seen = {}
for dtype in (torch.float32, torch.float16):
    for name, measure in MEASURES.items():
        values = [float(measure(logits.to(dtype), text)) for logits, text in texts]
        seen[dtype, name] = values
        print(f"{str(dtype).removeprefix('torch.')}, {name:21} {values[0]:17.2f} {values[1]:12.2f}")
for (dtype, name), values in seen.items():
    finite = 2 if "cross" in name else int(dtype == torch.float32)
    assert [math.isfinite(value) for value in values] == [i < finite for i in range(2)], "finite now"
EOF
