#!/usr/bin/env bash
# An exponential average of bfloat16 weights does not move: after 20,000 updates it is what it was at first.
#
# Guess:   AveragedModel with a decay of .999 lags behind the weights and arrives to within a few units in the last
#          place: fused operations on bfloat16 compute in float32.
# Seen:    the sum is rounded to bfloat16 at each update, and a thousandth of the difference is less than half a unit in
#          the last place as long as the weight is nearer than four times its own size: from 1 it does not even come to
#          4.5. In float32 it arrives. Averages of a bfloat16 network must be kept in float32; the class keeps the
#          network's dtype and does not warn. A decay of .99 stops a fifth of the way from 1 to 1.5.
# Package: PyTorch 2.15.0
# Where:   torch/optim/swa_utils.py (AveragedModel copies the network; get_ema_multi_avg_fn: torch._foreach_lerp_)
# Date:    2026-11-28
# Output:
#   average of a weight that was 1 at the first of 20,000 updates and then another
#   decay   then   float32   bfloat16
#   .999     1.5     1.500      1.000
#   .999     4.5     4.500      1.000
#   .99      1.5     1.500      1.109
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.set_num_threads(1)


def average(decay, then, dtype):
    network = torch.nn.Linear(1, 1, bias=False).to(dtype)
    torch.nn.init.ones_(network.weight)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))
    averaged.update_parameters(network)
    torch.nn.init.constant_(network.weight, then)
    for _ in range(20000):
        averaged.update_parameters(network)
    return averaged.module.weight.item()


print("average of a weight that was 1 at the first of 20,000 updates and then another")
print("decay   then   float32   bfloat16")
for decay, then, stays in ((0.999, 1.5, True), (0.999, 4.5, True), (0.99, 1.5, False)):
    single, brain = (average(decay, then, dtype) for dtype in (torch.float32, torch.bfloat16))
    print(f"{str(decay)[1:]:5} {then:6} {single:9.3f} {brain:10.3f}")
    assert abs(single - then) < 1e-3
    assert brain == 1 if stays else 1 < brain < then - 0.1, "the average arrives now"
EOF
