#!/usr/bin/env bash
# A causal network in int8 is not causal any more: later characters change what it says of earlier ones.
#
# Guess:   quantisation rounds each value by itself. A network that does not look ahead in float32 does not look ahead
#          in int8, and what it says of a text does not depend on the other texts of a batch.
# Seen:    dynamic quantisation takes one scale from the smallest and largest activation of the whole tensor, (B, T, C).
#          Other characters in the second half of a text move the logits of its first half, and so do texts beside it,
#          by up to 4 % of their standard deviation (PyTorch: 12 %). The sum over positions is no likelihood any more,
#          a cached pass says something else than a whole one, and scores change with the batch. PyTorch's
#          quantize_dynamic does the same.
# Package: ONNX Runtime 1.32.0, onnx 1.23.2, PyTorch 2.15.0
# Where:   onnxruntime/quantization/onnx_quantizer.py (DynamicQuantizeLinear before each MatMulInteger), ONNX's operator
#          DynamicQuantizeLinear: one scale for the tensor
# Date:    2026-11-28
# Output:
#   largest change / std of the logits   later half changed   8 texts beside it
#   ONNX Runtime, float32                            0.0000              0.0000
#   ONNX Runtime, int8                               0.0430              0.0433
#   PyTorch, float32                                 0.0000              0.0000
#   PyTorch, int8                                    0.1198              0.0977
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  onnx==1.23.2 onnxruntime==1.32.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import logging

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic
from torch import nn

logging.disable(logging.WARNING)
torch.set_num_threads(1)
V, C, LENGTH, ROWS = 65, 64, 32, 8
draw = np.random.default_rng(0)
SHAPES = {"embedding": (V, C), "hidden": (C, 4 * C), "head": (4 * C, V)}
WEIGHTS = {name: (draw.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32) for name, shape in SHAPES.items()}
WEIGHTS["before"] = (np.eye(LENGTH) + np.eye(LENGTH, k=-1)).astype(np.float32)  # a character and the one before it


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(C, 4 * C, bias=False), nn.Linear(4 * C, V, bias=False)
        self.hidden.weight.data, self.head.weight.data = (torch.tensor(WEIGHTS[name].T) for name in ("hidden", "head"))

    def forward(self, idx):
        seen = torch.tensor(WEIGHTS["before"]) @ torch.tensor(WEIGHTS["embedding"])[idx]
        return self.head(self.hidden(seen).relu())


def graph():
    nodes = [
        helper.make_node("Gather", ["embedding", "idx"], ["x"]),
        helper.make_node("MatMul", ["before", "x"], ["seen"]),
        helper.make_node("MatMul", ["seen", "hidden"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["bent"]),
        helper.make_node("MatMul", ["bent", "head"], ["logits"]),
    ]
    takes = [helper.make_tensor_value_info("idx", TensorProto.INT64, ["rows", LENGTH])]
    gives = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", LENGTH, V])]
    weights = [numpy_helper.from_array(value, name) for name, value in WEIGHTS.items()]
    opset = helper.make_opsetid("", 18)
    causal = helper.make_graph(nodes, "causal", takes, gives, weights)
    return helper.make_model(causal, opset_imports=[opset], ir_version=10)


def by_onnxruntime(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda idx: session.run(None, {"idx": idx})[0]


def by_torch(network):
    return lambda idx: network(torch.tensor(idx)).detach().numpy()


onnx.save(graph(), "float32.onnx")
quantize_dynamic("float32.onnx", "int8.onnx")
NETWORKS = {
    "ONNX Runtime, float32": by_onnxruntime("float32.onnx"),
    "ONNX Runtime, int8": by_onnxruntime("int8.onnx"),
    "PyTorch, float32": by_torch(Causal()),
    "PyTorch, int8": by_torch(torch.ao.quantization.quantize_dynamic(Causal(), {nn.Linear})),
}
text, others = draw.integers(0, V, (1, LENGTH)), draw.integers(0, V, (ROWS, LENGTH))
half = LENGTH // 2
changed = np.concatenate([text[:, :half], others[:1, half:]], axis=1)
batch = np.concatenate([text, others])
print("largest change / std of the logits   later half changed   8 texts beside it")
for name, logits in NETWORKS.items():
    alone = logits(text)
    scale = alone.std()
    later = np.abs(logits(changed) - alone)[:, :half].max() / scale
    beside = np.abs(logits(batch)[:1] - alone).max() / scale
    print(f"{name:36} {later:18.4f} {beside:19.4f}")
    if "float32" in name:
        assert later < 1e-5 and beside < 1e-5
    else:
        assert later > 0.01 and beside > 0.01, "an int8 network is causal now"
EOF
