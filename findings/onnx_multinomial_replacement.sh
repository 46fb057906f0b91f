#!/usr/bin/env bash
# torch.multinomial without replacement is exported to ONNX as drawing with replacement, without a word.
#
# Guess:   the exporter refuses what ONNX's Multinomial cannot do.
# Seen:    the argument is dropped. A sampler that picks four different positions to fill picks one of them four
#          times: of 500 rows that should hold four different numbers, none does.
# Package: PyTorch 2.15.0, onnxscript 0.7.2, ONNX Runtime 1.32.0
# Where:   onnxscript/function_libs/torch_lib/ops/core.py:7006-7019
# Date:    2026-11-28
# Output:
#   rows with a repeat, of 500: PyTorch 0, ONNX Runtime 500; operators: Log, Multinomial
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


class FourPositions(torch.nn.Module):
    def forward(self, probs):
        return torch.multinomial(probs, 4, replacement=False)


probs = torch.tensor([[0.97, 0.01, 0.01, 0.01]]).repeat(500, 1)
program = torch.onnx.export(FourPositions(), (probs,), dynamo=True, verbose=False)
session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
exported = session.run(None, {session.get_inputs()[0].name: probs.numpy()})[0]
repeats = [sum(len(set(row)) < 4 for row in rows.tolist()) for rows in (FourPositions()(probs), exported)]
operators = ", ".join(node.op_type for node in program.model_proto.graph.node)
print(f"rows with a repeat, of 500: PyTorch {repeats[0]}, ONNX Runtime {repeats[1]}; operators: {operators}")
assert repeats[0] == 0 and repeats[1] > 400, "the export draws without replacement now"
EOF
