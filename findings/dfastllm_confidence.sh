#!/usr/bin/env bash
# Sampling at temperature 1, surest positions first: a symbol of probability .5 fills 95 % of the text.
#
# Guess:   the order in which positions are filled in does not matter where they are independent: at temperature 1
#          the symbols come up by their probabilities.
# Seen:    every masked position draws anew at every step, and the positions whose *drawn* symbol is likeliest are
#          kept: a rare symbol is drawn and thrown away until a common one is drawn in its place. Only the last steps
#          keep what they get. The order "random" is right. Entropies of texts at "temperature 1" cannot be compared
#          across samplers that rank positions and samplers that do not. The procedure is LLaDA's; others follow it.
# Package: dfastllm 0.0.4, PyTorch 2.15.0
# Where:   dfastllm/engine/diffusion_sampler.py:482-484, :519
# Date:    2026-11-28
# Output:
#   the model's probabilities: 0.500 0.250 0.125 0.075 0.050
#   low_confidence           : 0.953 0.033 0.008 0.004 0.002
#   random                   : 0.497 0.255 0.103 0.092 0.054
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 dfastllm==0.0.4 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
from types import SimpleNamespace

import torch
from dfastllm.engine.diffusion_sampler import diffusion_generate

MASK = 5
PROBS = torch.tensor([0.5, 0.25, 0.125, 0.075, 0.05, 0])


class Independent(torch.nn.Module):
    """Every position has the same distribution, whatever stands elsewhere."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(PROBS.log().clamp(min=-30))

    def forward(self, idx, **ignored):
        return SimpleNamespace(logits=self.weight.detach().repeat(*idx.shape, 1))


def shares(remasking):
    torch.manual_seed(0)
    lengths = {"steps": 16, "gen_length": 64, "block_length": 64}
    prompt = torch.zeros(16, 1, dtype=torch.long)
    text = diffusion_generate(Independent(), prompt, temperature=1.0, mask_id=MASK, remasking=remasking, **lengths)
    return torch.bincount(text[:, 1:].flatten(), minlength=6) / text[:, 1:].numel()


print("the model's probabilities:", *(f"{value:.3f}" for value in PROBS[:5]))
seen = {remasking: shares(remasking) for remasking in ("low_confidence", "random")}
for remasking, share in seen.items():
    print(f"{remasking:25}:", *(f"{value:.3f}" for value in share[:5]))
assert seen["low_confidence"][0] > 0.9, "the order of confidence keeps the probabilities now"
assert abs(seen["random"][0] - 0.5) < 0.05, "the random order no longer keeps the probabilities"
EOF
