#!/usr/bin/env bash
# Simplifying a network makes two random masks one: what two layers drop, or two passes draw, is the same.
#
# Guess:   an optimizer that removes what is computed twice knows that a random operator without a seed gives another
#          result each time it stands in a graph. ONNX Runtime, which removes duplicates too, does.
# Seen:    two operators with the same inputs and attributes are one after onnxsim and onnxoptimizer, with their
#          default passes. OpenVINO does the same when it loads a network, to some of them: here to those with an input,
#          as rand_like and randn_like are exported. There is no error, and each mask has the right share of ones.
# Package: onnxsim 0.8.1, onnxoptimizer 0.4.2, OpenVINO 2026.4.1 (ONNX Runtime 1.32.0, onnx 1.23.2)
# Where:   onnxoptimizer, eliminate_common_subexpression; OpenVINO, common optimizations
# Date:    2026-11-29
# Output:
#   share of 1,000 numbers that two operators of one graph have in common
#   operator             ONNX Runtime   onnxsim   onnxoptimizer   OpenVINO
#   RandomUniform                0.00      1.00            1.00       0.00
#   RandomUniformLike            0.00      1.00            1.00       1.00
#   RandomNormalLike             0.00      1.00            1.00       1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 onnxsim==0.8.1 onnxoptimizer==0.4.2 openvino==2026.4.1 \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import numpy as np
import onnx
import onnxoptimizer
import onnxruntime
import onnxsim
import openvino
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(4)
ZEROS = np.zeros(1000, np.float32)


def network(operator):
    """Adds noise to the input twice."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1000]) for name in ("text", "one", "two")]
    inputs, options = (["text"], {}) if operator.endswith("Like") else ([], {"shape": [1000]})
    nodes = [helper.make_node(operator, inputs, [f"noise_{name}"], **options) for name in ("one", "two")]
    nodes += [helper.make_node("Add", ["text", f"noise_{name}"], [name]) for name in ("one", "two")]
    graph = helper.make_graph(nodes, "graph", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def as_it_is(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"text": ZEROS})


def simplified(model):
    return as_it_is(onnxsim.simplify(model)[0])


def optimized(model):
    return as_it_is(onnxoptimizer.optimize(model, onnxoptimizer.get_fuse_and_elimination_passes()))


def in_openvino(model):
    onnx.save(model, "network.onnx")
    return list(openvino.Core().compile_model("network.onnx", "CPU")(ZEROS).values())


def shared(run, operator):
    one, two = run(network(operator))
    assert len(np.unique(one)) > 900
    return (one == two).mean()


RUNS = (as_it_is, simplified, optimized, in_openvino)
print("share of 1,000 numbers that two operators of one graph have in common")
print("operator             ONNX Runtime   onnxsim   onnxoptimizer   OpenVINO")
OPERATORS = ("RandomUniform", "RandomUniformLike", "RandomNormalLike")
rows = {operator: [shared(run, operator) for run in RUNS] for operator in OPERATORS}
for name, (runtime, sim, optimizer, vino) in rows.items():
    print(f"{name:17} {runtime:15.2f} {sim:9.2f} {optimizer:15.2f} {vino:10.2f}")
for name, (runtime, sim, optimizer, vino) in rows.items():
    assert runtime < 0.01
    assert sim == optimizer == 1 and (vino == 1) == name.endswith("Like"), "the masks stay two now"
EOF
