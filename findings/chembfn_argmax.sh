#!/usr/bin/env bash
# A Bayesian flow network whose loss is exactly the entropy, and whose samples are not of that distribution.
#
# Guess:   an exact model of independent symbols, sampled in 100 steps or more, gives its own probabilities.
# Seen:    a symbol of probability .50 comes up .66 of the time, at 100 as at 400 steps. Each step updates towards the
#          likeliest symbol of the output distribution, where the published algorithm draws one from it. The loss of
#          the same model is its entropy, as it should be: low losses say nothing about samples here, and samples
#          look surer, and less diverse, than the model.
# Package: bayesianflow-for-chem 3.0.4, PyTorch 2.15.0
# Where:   bayesianflow_for_chem/model.py:753
# Date:    2026-11-28
# Output:
#   loss of the exact model: 1.29 nats; entropy: 1.30
#   its probabilities: 0.500 0.250 0.125 0.075 0.050
#   100 steps:         0.665 0.199 0.072 0.039 0.024
#   400 steps:         0.662 0.208 0.071 0.034 0.026
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 --no-deps bayesianflow-for-chem==3.0.4
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from bayesianflow_for_chem.model import ChemBFN

torch.set_num_threads(1)
PROBS = torch.tensor([0.5, 0.25, 0.125, 0.075, 0.05])
V = len(PROBS)


class Exact(ChemBFN):
    """Bayes' rule for independent symbols of known probabilities; the input is 2 theta - 1."""

    def forward(self, x, t, mask=None, y=None):
        return ((x + 1) / 2).clamp(min=1e-30).log() + PROBS.log()


torch.manual_seed(0)
model = Exact(V, channel=16, num_layer=1, num_head=1).eval()
text = torch.multinomial(PROBS.expand(2000, V), 16, replacement=True)
losses = [V * model.cts_loss(text, torch.rand(2000, 1, 1), None)[0].item() for _ in range(10)]
loss, entropy = sum(losses) / len(losses), -(PROBS * PROBS.log()).sum().item()
print(f"loss of the exact model: {loss:.2f} nats; entropy: {entropy:.2f}")
print("its probabilities:", *(f"{value:.3f}" for value in PROBS))
for steps in 100, 400:
    drawn, _ = model.sample(64, 64, None, sample_step=steps)
    share = torch.bincount(drawn.flatten(), minlength=V) / drawn.numel()
    print(f"{steps} steps:        ", *(f"{value:.3f}" for value in share))
    assert share[0] > 0.6, "samples have the model's probabilities now"
assert abs(loss - entropy) < 0.05, "the loss of the exact model is no longer its entropy"
EOF
