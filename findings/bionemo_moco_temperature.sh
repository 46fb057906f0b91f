#!/usr/bin/env bash
# At temperature .5 one step of 64 writes 93 % of the text: the temperature decides when symbols are written, too.
#
# Guess:   the temperature sharpens or flattens the symbols that a step draws; how many it draws is the schedule's.
# Seen:    the tempered probabilities are not normalised again before they are weighed against staying masked. At
#          temperature .5 the 65 equal symbols weigh 1/65 together, and nearly all positions wait for the last step,
#          which draws them at once, blind to each other; at 1.5 two thirds are written after 16 steps of 64. The shares
#          of the symbols are as they should be, so that no histogram shows it.
# Package: bionemo-moco 0.0.2.2, PyTorch 2.15.0
# Where:   bionemo/moco/interpolants/continuous_time/discrete/mdlm.py (MDLM.step: the log-probabilities are divided by
#          the temperature, then exponentiated)
# Date:    2026-11-28
# Output:
#   share written after step        8     16     32     48     63     64
#   temperature 1.0              0.12   0.25   0.50   0.75   0.99   1.00
#   temperature 0.9              0.08   0.16   0.36   0.59   0.94   1.00
#   temperature 0.5              0.00   0.00   0.01   0.02   0.07   1.00
#   temperature 1.5              0.41   0.67   0.94   1.00   1.00   1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 bionemo-moco==0.0.2.2 torch==2.15.0 numpy==1.26.4

.venv/bin/python -W ignore - <<'EOF'
import torch
from bionemo.moco.distributions.prior import DiscreteMaskedPrior
from bionemo.moco.distributions.time import UniformTimeDistribution
from bionemo.moco.interpolants import MDLM
from bionemo.moco.schedules.inference_time_schedules import LinearInferenceSchedule
from bionemo.moco.schedules.noise.continuous_noise_transforms import LogLinearExpNoiseTransform

torch.set_num_threads(1)
V, STEPS, ROWS, LENGTH = 65, 64, 32, 256
SHOWN = (8, 16, 32, 48, 63, 64)
prior = DiscreteMaskedPrior(V, inclusive=False)
mdlm = MDLM(UniformTimeDistribution(), prior, LogLinearExpNoiseTransform())
schedule = LinearInferenceSchedule(STEPS, direction="diffusion")


def written(temperature):
    """Share of the positions that hold a symbol after each step; the network gives every symbol the same logit."""
    torch.manual_seed(0)
    text, shares = prior.sample((ROWS, LENGTH)), []
    for t, dt in zip(schedule.generate_schedule(), schedule.discretize()):
        logits = torch.zeros(ROWS, LENGTH, V + 1)
        text = mdlm.step(logits, t.expand(ROWS), text, dt.expand(ROWS), temperature=temperature)
        shares.append((text != V).float().mean().item())
    return shares


print("share written after step  " + "".join(f"{step:7}" for step in SHOWN))
seen = {}
for temperature in (1.0, 0.9, 0.5, 1.5):
    seen[temperature] = written(temperature)
    print(f"temperature {temperature:<14}" + "".join(f"{seen[temperature][step - 1]:7.2f}" for step in SHOWN))
assert all(shares[-1] == 1 for shares in seen.values())
assert abs(seen[1.0][31] - 0.5) < 0.03
assert seen[0.5][62] < 0.1 and seen[1.5][15] > 0.6, "the temperature leaves the schedule alone now"
EOF
