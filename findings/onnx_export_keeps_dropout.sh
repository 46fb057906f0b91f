#!/usr/bin/env bash
# A network exported to ONNX from its training mode drops out in ONNX Runtime, anew in each run.
#
# Guess:   an exporter of networks for inference turns dropout off, or ONNX Runtime, which does not train, passes it
#          through.
# Seen:    torch.onnx.export(dynamo=True) writes the mode at the call as a constant, and ONNX Runtime on a CPU obeys:
#          half of the features are 0, the rest doubled, others each time. Nothing is printed. The older exporter
#          (dynamo=False) writes inference by default, so a script that never called eval() breaks with the new one.
# Package: PyTorch 2.15.0, onnxscript 0.7.2, ONNX Runtime 1.32.0
# Where:   onnxscript/function_libs/torch_lib/ops/core.py:3284-3294
# Date:    2026-11-28
# Output:
#   train(), run 1   [2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 2.0, 0.0]
#   train(), run 2   [2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 2.0]
#   train(), older   [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
#   eval()           [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0

.venv/bin/python - <<'EOF'
import logging
import warnings

import numpy as np
import onnxruntime
import torch

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

ones = torch.ones(1, 64)


def runs(network, dynamo):
    torch.onnx.export(network, (ones,), "network.onnx", dynamo=dynamo, verbose=False)
    session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
    return [session.run(None, {session.get_inputs()[0].name: ones.numpy()})[0][0].tolist() for _ in range(2)]


first, second = runs(torch.nn.Dropout(0.5).train(), dynamo=True)
older = runs(torch.nn.Dropout(0.5).train(), dynamo=False)[0]
off = runs(torch.nn.Dropout(0.5).eval(), dynamo=True)[0]
for name, row in {"train(), run 1": first, "train(), run 2": second, "train(), older": older, "eval()": off}.items():
    print(f"{name:16} {row[:8]}")
assert off == older == ones[0].tolist()
assert first != second and set(first) == {0.0, 2.0}, "dropout is off in the exported network now"
EOF
