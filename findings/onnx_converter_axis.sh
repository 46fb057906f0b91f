#!/usr/bin/env bash
# A network converted to another opset computes something else: Hardmax picks three symbols for one.
#
# Guess:   the version converter keeps what a network computes, and refuses what it cannot keep. Softmax, whose meaning
#          changed at opset 13, is its best known case.
# Seen:    up to opset 12 Softmax, LogSoftmax and Hardmax are over all dimensions from `axis` on, later over `axis`
#          alone. From 12 to 13 the first two are rewritten, and Hardmax is left as it is: it has a one for each symbol
#          then, where it had one in all. From 13 to 12 Softmax is left, too: probabilities over the positions of a
#          text, an inner axis, become probabilities over positions and symbols. There is no error and no warning.
# Package: onnx 1.23.2, ONNX Runtime 1.32.0
# Where:   onnx/version_converter/convert.h (adapters of opsets 12 to 13 and 13 to 12)
# Date:    2026-11-29
# Output:
#   sum of the results for one text of 4 positions and 3 symbols
#   operator      opset         before   after
#   Softmax       12 to 13         1.0     1.0
#   Hardmax       12 to 13         1.0     3.0
#   Softmax       13 to 12         3.0     1.0
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, version_converter

onnxruntime.set_default_logger_severity(4)
SHAPE = [1, 4, 3]
SCORES = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def network(operator, opset):
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("scores", "out")]
    node = helper.make_node(operator, ["scores"], ["out"], axis=1)
    graph = helper.make_graph([node], "graph", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def total(model):
    checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"scores": SCORES})[0].sum()


def sums(operator, opset, target):
    model = network(operator, opset)
    return round(float(total(model)), 4), round(float(total(version_converter.convert_version(model, target))), 4)


print("sum of the results for one text of 4 positions and 3 symbols")
print("operator      opset         before   after")
rows = {case: sums(*case) for case in (("Softmax", 12, 13), ("Hardmax", 12, 13), ("Softmax", 13, 12))}
for (operator, opset, target), (before, after) in rows.items():
    print(f"{operator:13} {opset} to {target} {before:11.1f} {after:7.1f}")
assert rows["Softmax", 12, 13] == (1, 1)
assert rows["Hardmax", 12, 13] == (1, 3) and rows["Softmax", 13, 12] == (3, 1), "the meaning is kept now"
EOF
