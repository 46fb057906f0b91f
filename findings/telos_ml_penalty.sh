#!/usr/bin/env bash
# A sampler's default "repetition penalty" makes characters repeat more, or less: it depends on a constant.
#
# Guess:   a penalty of 1.2 on symbols that the text already has moves the shares of the symbols towards equal.
#          Adding a constant to all logits changes nothing, as without the penalty.
# Seen:    a positive logit of a seen symbol is divided, a negative one multiplied. After a few dozen positions an
#          alphabet of characters has been seen whole, and the penalty is a temperature: with log-probabilities as
#          logits it sharpens (the likeliest symbol comes up more often), with the same logits plus 10 it flattens.
#          It is on by default, so that "temperature 1" of this sampler is not temperature 1.
# Package: telos-ml 1.2.0, PyTorch 2.15.0
# Where:   telos/diffusion/sampler.py:46 (default), :111-118
# Date:    2026-11-28
# Output:
#   share of a symbol of probability .5
#   logits ln p:       0.487 without the penalty, 0.539 by default
#   logits ln p + 10:  0.487 without the penalty, 0.431 by default
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 telos-ml==1.2.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from telos.diffusion.sampler import MDLMSampler

torch.set_num_threads(1)
MASK = 9  # ids 0 to 3 are this package's special tokens
LOGITS = torch.tensor([0, 0, 0, 0, 0.5, 0.25, 0.125, 0.075, 0.05, 0]).log().clamp(min=-30)


class Independent(torch.nn.Module):
    """Every position has the same distribution, whatever stands elsewhere."""

    def __init__(self, constant):
        super().__init__()
        self.weight = torch.nn.Parameter(LOGITS + constant)

    def forward(self, idx):
        return self.weight.detach().repeat(*idx.shape, 1)


def share(constant, **options):
    """Of the likeliest symbol, in eight texts of 256 positions."""
    torch.manual_seed(0)
    sampler = MDLMSampler(Independent(constant), MASK, num_steps=16, **options)
    return torch.cat([sampler.sample(256).flatten() for _ in range(8)]).eq(4).float().mean().item()


print("share of a symbol of probability .5")
plain = [share(constant, repetition_penalty=1.0) for constant in (0, 10)]
default = [share(constant) for constant in (0, 10)]
print(f"logits ln p:       {plain[0]:.3f} without the penalty, {default[0]:.3f} by default")
print(f"logits ln p + 10:  {plain[1]:.3f} without the penalty, {default[1]:.3f} by default")
assert max(abs(value - 0.5) for value in plain) < 0.03, "not the model's probability without the penalty"
assert default[0] > 0.53 and default[1] < 0.47, "the penalty no longer depends on a constant"
EOF
