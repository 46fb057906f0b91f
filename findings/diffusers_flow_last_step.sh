#!/usr/bin/env bash
# Of four steps of a flow sampler the last moves a thousandth of the way, and a shift is applied to its start twice.
#
# Guess:   n steps divide the path from noise, sigma 1, to data, sigma 0, evenly. A shift bends all times by one
#          formula, that of the scheduler's own training times.
# Seen:    set_timesteps divides 1 to .001 by n - 1 and adds 0: three steps of a third, and a pass of the network for
#          the last thousandth. Four steps sample like three. The .001 is taken from sigmas that have been shifted, and
#          shifted again: with shift 3 the last pass is at time 8.9, with 1,000 steps too, where training's first time
#          is 3.0. Handing over sigmas=[1, .75, .5, .25] gives the even path.
# Package: diffusers 0.42.1, PyTorch 2.15.0
# Where:   schedulers/scheduling_flow_match_euler_discrete.py (sigma_min in __init__, set_timesteps)
# Date:    2026-11-29
# Output:
#   sigmas of 4 steps
#   by default  1.0 0.667 0.334 0.001 0.0
#   handed over 1.0 0.75 0.5 0.25 0.0
#   shift 3     1.0 0.8577 0.6022 0.0089 0.0
#   last time with shift 3: 3.0 in training, 8.9 in sampling with 1,000 steps
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 diffusers==0.42.1 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

torch.set_num_threads(1)


def sigmas(shift=1.0, **options):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(**options)
    return [round(sigma, 4) for sigma in scheduler.sigmas.tolist()]


def last_times(shift):
    """The smallest time of training, and of sampling with 1,000 steps."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    training = scheduler.timesteps[-1].item()
    scheduler.set_timesteps(1000)
    return round(training, 1), round(scheduler.timesteps[-1].item(), 1)


even = sigmas(num_inference_steps=4)
given = sigmas(sigmas=[1, 0.75, 0.5, 0.25])
shifted = sigmas(shift=3.0, num_inference_steps=4)
print("sigmas of 4 steps")
print("by default ", *even)
print("handed over", *given)
print("shift 3    ", *shifted)
training, sampling = last_times(3.0)
print(f"last time with shift 3: {training} in training, {sampling} in sampling with 1,000 steps")
assert given == [1, 0.75, 0.5, 0.25, 0]
assert last_times(1.0) == (1.0, 1.0)
assert even == [1, 0.667, 0.334, 0.001, 0], "the steps are even now"
assert shifted[-2] > 0.008 and (training, sampling) == (3.0, 8.9), "the shift is applied once now"
EOF
