#!/usr/bin/env bash
# The logarithm of a softmax is taken of the softmax: a symbol that costs 200 nats costs infinitely many.
#
# Guess:   LogSoftmax and ReduceLogSumExp subtract the maximum first, as ONNX Runtime does: no cost is infinite, and
#          logits of 200 have a finite normaliser.
# Seen:    LogSoftmax is Softmax, then Log: a probability below the smallest float32 number has the logarithm -inf, so
#          that one character of a text decides its likelihood. ReduceLogSumExp takes exponents as they are: for logits
#          above 88 the normaliser is infinite.
# Package: tract 0.23.9, onnx 1.23.2, ONNX Runtime 1.32.0
# Where:   tract-onnx (LogSoftmax, ReduceLogSumExp)
# Date:    2026-11-29
# Output:
#                                  ONNX Runtime   tract
#   log probability, 50 nats             -50.00  -50.00
#   log probability, 200 nats           -200.00    -inf
#   log-sum-exp of 20 and 20              20.69   20.69
#   log-sum-exp of 200 and 200           200.69     inf
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  tract==0.23.9 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import math

import numpy as np
import onnx
import onnxruntime
import tract
from onnx import TensorProto, helper


def network(operator):
    node = helper.make_node(operator, ["logits"], ["out"])
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("logits", "out")]
    if operator == "ReduceLogSumExp":
        tensors[1] = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph([node], "graph", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    onnx.save(model, "network.onnx")


def first(operator, logits):
    """The first number, by ONNX Runtime and by tract."""
    network(operator)
    logits = np.array([logits], np.float32)
    session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
    model = tract.onnx().load("network.onnx").into_model().into_runnable()
    return session.run(None, {"logits": logits})[0].flat[0], model.run([logits])[0].to_numpy().flat[0]


CASES = {
    "log probability, 50 nats": ("LogSoftmax", [-50, 0]),
    "log probability, 200 nats": ("LogSoftmax", [-200, 0]),
    "log-sum-exp of 20 and 20": ("ReduceLogSumExp", [20, 20]),
    "log-sum-exp of 200 and 200": ("ReduceLogSumExp", [200, 200]),
}
print("                               ONNX Runtime   tract")
rows = {name: first(*case) for name, case in CASES.items()}
for name, (runtime, other) in rows.items():
    print(f"{name:30} {runtime:12.2f} {other:7.2f}")
assert all(math.isfinite(runtime) for runtime, _ in rows.values())
small, large, low, high = (other for _, other in rows.values())
assert abs(small + 50) < 0.1 and abs(low - 20.69) < 0.01
assert (large, high) == (-math.inf, math.inf), "large numbers are finite now"
EOF
