#!/usr/bin/env bash
# Temperature 0 of a discrete DDIM scheduler is greedy in one step only: with 64 steps it samples.
#
# Guess:   temperature 0, the default, writes the likeliest symbol nearly everywhere, with any number of steps, as it
#          does in autoregressive and masked generation.
# Seen:    the temperature acts on the predicted clean symbol alone. The canvas starts as random symbols, every step
#          adds noise, and a model that knows its noise predicts what stands there once little noise is left: a symbol
#          of probability .5 fills all positions after one step, half of them after 64. A sweep over the number of
#          steps at "temperature 0" is a sweep over the temperature. At temperature 1 every number of steps is exact.
# Package: diffusers 0.42.1, PyTorch 2.15.0
# Where:   diffusers/schedulers/scheduling_discrete_ddim.py:116 (only there), step() below :185
# Date:    2026-11-28
# Output:
#   the model's probabilities:  0.500 0.250 0.125 0.075 0.050
#   temperature 1,  1 steps:    0.506 0.244 0.122 0.075 0.053
#   temperature 1,  8 steps:    0.510 0.246 0.125 0.072 0.047
#   temperature 1, 64 steps:    0.502 0.248 0.125 0.076 0.049
#   temperature 0,  1 steps:    1.000 0.000 0.000 0.000 0.000
#   temperature 0,  8 steps:    0.600 0.185 0.102 0.072 0.041
#   temperature 0, 64 steps:    0.515 0.214 0.134 0.086 0.051
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 diffusers==0.42.1 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from diffusers import DiscreteDDIMScheduler

torch.set_num_threads(1)
PROBS = torch.tensor([0.5, 0.25, 0.125, 0.075, 0.05])
V = len(PROBS)


def exact(noisy, kept):
    """Logits of a clean symbol, given one that was kept with this probability and else drawn from all: Bayes' rule."""
    return (kept * torch.nn.functional.one_hot(noisy, V) + (1 - kept) / V).clamp(min=1e-30).log() + PROBS.log()


def shares(steps, temperature):
    torch.manual_seed(0)
    scheduler = DiscreteDDIMScheduler(num_inference_steps=steps)
    scheduler.set_timesteps(steps)
    text = torch.randint(V, (200, 32))
    for step in range(steps):
        text = scheduler.step(exact(text, step / steps), step, text, temperature=temperature).prev_sample
    return torch.bincount(text.flatten(), minlength=V) / text.numel()


print("the model's probabilities: ", *(f"{value:.3f}" for value in PROBS))
for temperature in 1.0, 0.0:
    for steps in 1, 8, 64:
        share = shares(steps, temperature)
        print(f"temperature {temperature:.0f}, {steps:2} steps:   ", *(f"{value:.3f}" for value in share))
        if temperature == 1:
            assert (share - PROBS).abs().max() < 0.03, "temperature 1 is no longer exact"
        elif steps == 1:
            assert share[0] == 1, "one step at temperature 0 is no longer greedy"
assert (share - PROBS).abs().max() < 0.06, "64 steps at temperature 0 no longer sample"
EOF
