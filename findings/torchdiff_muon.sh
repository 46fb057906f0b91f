#!/usr/bin/env bash
# A Muon that neither moves the weights nor decays them where the gradient is small.
#
# Guess:   Muon's step is an orthogonalised matrix, so that its size does not depend on the gradient's: a loss
#          multiplied by 1e-6 trains the same (torch.optim.Muon does), and weight decay acts at every step.
# Seen:    below a gradient norm of 1e-5 (of 1e-4 at the first step, whose momentum is a tenth of the gradient) the
#          matrix is passed over: no step, no decay. A loss that is scaled down silently trains nothing, and a matrix
#          that has converged no longer decays.
# Package: slm388-torchdiff 0.1.74, PyTorch 2.15.0
# Where:   torchdiff/optim.py:79-82 (and :93 for the momentum); optim.py:109 makes it the package's Muon
# Date:    2026-11-28
# Output:
#   gradient's norm       1     1e-4    0.9e-5
#   step here             0.374    0.000    0.000
#   step of PyTorch's     0.373    0.372    0.372
#   0.9e-5 with decay   0.000 here, 0.393 PyTorch's
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 slm388-torchdiff==0.1.74 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from torchdiff.optim import Muon


def moved(optimiser, norm, weight_decay=0.0):
    """How far one step moves a 16 x 16 matrix, for a gradient of this norm."""
    torch.manual_seed(0)
    weight, gradient = torch.nn.Parameter(torch.randn(16, 16)), torch.randn(16, 16)
    weight.grad = gradient * norm / gradient.norm()
    before = weight.detach().clone()
    optimiser([weight], lr=0.1, weight_decay=weight_decay).step()
    return (weight - before).norm().item()


print("gradient's norm       1     1e-4    0.9e-5")
here = [moved(Muon, norm) for norm in (1, 1e-4, 0.9e-5)]
torchs = [moved(torch.optim.Muon, norm) for norm in (1, 1e-4, 0.9e-5)]
print("step here         ", *(f"{step:8.3f}" for step in here))
print("step of PyTorch's ", *(f"{step:8.3f}" for step in torchs))
decayed, torchs_decayed = (moved(optimiser, 0.9e-5, 0.1) for optimiser in (Muon, torch.optim.Muon))
print(f"0.9e-5 with decay   {decayed:.3f} here, {torchs_decayed:.3f} PyTorch's")
assert here[0] > 0.2 and torchs[2] > 0.2, "a large gradient makes no step, or PyTorch's depends on its size"
assert here[1] == here[2] == decayed == 0, "small gradients make a step now"
EOF
