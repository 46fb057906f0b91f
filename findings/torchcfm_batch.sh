#!/usr/bin/env bash
# Optimal transport within a batch leaves out 36 % of its texts at each step and takes others up to seven times.
#
# Guess:   the plan that couples a batch of noise with a batch of data is a permutation, for batches of one size: it
#          gives each data point a partner, and each is learned once a step.
# Seen:    the plan is a permutation, and pairs are then drawn from it with replacement. A step uses 41 of 64 data
#          points, as a bootstrap does: the effective batch is smaller, and a pass over the data leaves out a third.
#          replace=False of sample_plan gives the permutation; the class that makes the training pairs
#          (ExactOptimalTransportConditionalFlowMatcher) has no such argument.
# Package: torchcfm 1.0.7, POT 0.9.7.post1, PyTorch 2.15.0
# Where:   torchcfm/optimal_transport.py (sample_map, replace=True)
# Date:    2026-11-29
# Output:
#   of 64 data points of a batch, mean of 100 batches
#   training pairs:    40.8 used, one up to 7 times
#   replace=False:     64.0 used, each at most 1 time
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 pot==0.9.7.post1 torch==2.15.0 numpy==2.4.6
uv pip install -q --python .venv --exclude-newer 2026-11-28 --no-deps torchcfm==1.0.7

.venv/bin/python -W ignore - <<'EOF'
import numpy as np
import torch
from torchcfm import ExactOptimalTransportConditionalFlowMatcher
from torchcfm.optimal_transport import OTPlanSampler

torch.set_num_threads(1)
POINTS, BATCHES = 64, 100
DATA = torch.arange(float(POINTS))[:, None]


def of_the_matcher(noise):
    """Data points of the pairs that a training step is given: x1 = x0 + u for straight paths."""
    time, x_t, velocity = ExactOptimalTransportConditionalFlowMatcher(sigma=0.0).sample_location_and_conditional_flow(
        noise, DATA
    )
    return (x_t + (1 - time[:, None]) * velocity).round()


def without_replacement(noise):
    return OTPlanSampler("exact").sample_plan(noise, DATA, replace=False)[1]


def use(couple):
    """Mean number of data points that are used, and the most copies of one."""
    np.random.seed(0)
    torch.manual_seed(0)
    batches = [couple(20 * torch.randn(POINTS, 1)).long().flatten() for _ in range(BATCHES)]
    counts = torch.stack([torch.bincount(batch, minlength=POINTS) for batch in batches])
    return (counts > 0).sum(1).float().mean().item(), counts.max().item()


print(f"of {POINTS} data points of a batch, mean of {BATCHES} batches")
used, copies = use(of_the_matcher)
print(f"training pairs:    {used:.1f} used, one up to {copies} times")
all_used, once = use(without_replacement)
print(f"replace=False:     {all_used:.1f} used, each at most {once} time")
assert (all_used, once) == (POINTS, 1)
assert 36 < used < 45 and copies > 3, "each data point of a batch is used once now"
EOF
