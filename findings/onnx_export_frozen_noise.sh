#!/usr/bin/env bash
# torch.bernoulli of a constant becomes a constant in the exported network: the same positions are masked in every run.
#
# Guess:   an exported network that masks at random draws anew in each run, as torch.rand does after the export.
# Seen:    the exporter's optimiser computes Bernoulli of a constant probability once and stores the outcome, and
#          Dropout of a weight (an embedding table, say) likewise. It keeps RandomUniform, RandomNormal and
#          Multinomial out of that, not these two. Nothing is said, and each export freezes other noise.
#          torch.rand(shape) < p is safe, and so is optimize=False.
# Package: PyTorch 2.15.0, onnxscript 0.7.2, ONNX Runtime 1.32.0
# Where:   onnxscript/optimizer/_constant_folding.py:49 (_NON_DETERMINISTIC_OPS has no Bernoulli and no Dropout)
# Date:    2026-11-28
# Output:
#   different results of 6 runs        as exported   optimize=False
#   bernoulli(.5) of a constant                  1                6
#   rand < .5                                    6                6
#   dropout of a weight, train()                 1                6
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  torch==2.15.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import logging

import onnxruntime
import torch

logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(3)


class MaskByBernoulli(torch.nn.Module):
    def forward(self, x):
        return torch.where(torch.bernoulli(torch.full(x.shape, 0.5)) > 0, x, -x)


class MaskByRand(torch.nn.Module):
    def forward(self, x):
        return torch.where(torch.rand(x.shape) < 0.5, x, -x)


class DropWeight(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, 64))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x):
        return x + self.dropout(self.weight)


def different_runs(network, optimize):
    x = torch.ones(1, 64)
    program = torch.onnx.export(network.train(), (x,), dynamo=True, optimize=optimize, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    name = session.get_inputs()[0].name
    return len({session.run(None, {name: x.numpy()})[0].tobytes() for _ in range(6)})


NETWORKS = {
    "bernoulli(.5) of a constant": (MaskByBernoulli(), 1),
    "rand < .5": (MaskByRand(), 6),
    "dropout of a weight, train()": (DropWeight(), 1),
}
print("different results of 6 runs        as exported   optimize=False")
for name, (network, expected) in NETWORKS.items():
    optimised, plain = (different_runs(network, optimize) for optimize in (True, False))
    print(f"{name:28} {optimised:17} {plain:16}")
    assert (optimised, plain) == (expected, 6), "another noise is frozen now"
EOF
