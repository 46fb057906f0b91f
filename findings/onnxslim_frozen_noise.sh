#!/usr/bin/env bash
# Slimming a network freezes its random numbers: each run has the mask that the slimming drew.
#
# Guess:   constants are what is computed from constants. A random operator has no input, or a constant one, and is no
#          constant: its result is another in each run.
# Seen:    all of them are run once while the network is slimmed and their result is stored: noise, masks, dropout that
#          is switched on, characters drawn from fixed probabilities. Only those whose input is the network's own stay
#          random. There is no error and no warning.
# Package: onnxslim 0.1.98 (ONNX Runtime 1.32.0, onnx 1.23.2)
# Where:   onnxslim, constant folding
# Date:    2026-11-29
# Output:
#   share of 1,000 numbers that two runs have in common
#   operator             before   slimmed
#   RandomUniform          0.00      1.00
#   RandomNormal           0.00      1.00
#   RandomUniformLike      0.00      0.00
#   Bernoulli              0.50      1.00
#   Dropout                0.50      1.00
#   Multinomial            0.50      1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 onnxslim==0.1.98 onnxruntime==1.32.0 onnx==1.23.2 \
    numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import numpy as np
import onnx
import onnxruntime
import onnxslim
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
SHAPE = {"shape": [1000]}
OPERATORS = {  # inputs and attributes
    "RandomUniform": ([], SHAPE),
    "RandomNormal": ([], SHAPE),
    "RandomUniformLike": (["text"], {}),
    "Bernoulli": (["half"], {}),
    "Dropout": (["half", "ratio", "training"], {}),
    "Multinomial": (["even"], {"sample_size": 1000}),
}
CONSTANTS = {
    "half": np.full(1000, 0.5, np.float32),
    "ratio": np.float32(0.5),
    "training": np.bool_(True),
    "even": np.zeros((1, 2), np.float32),
    "flat": np.array([1000]),
}


def network(operator):
    """Adds what an operator draws to the input."""
    inputs, options = OPERATORS[operator]
    text, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1000]) for name in ("text", "out"))
    nodes = [
        helper.make_node(operator, inputs, ["drawn"], **options),
        helper.make_node("Cast", ["drawn"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "flat"], ["noise"]),
        helper.make_node("Add", ["text", "noise"], ["out"]),
    ]
    names = [name for name in (*inputs, "flat") if name in CONSTANTS]
    constants = [numpy_helper.from_array(np.asarray(CONSTANTS[name]), name) for name in names]
    graph = helper.make_graph(nodes, "graph", [text], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def repeated(model):
    """Share of numbers that are the same in two runs of one session."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    one, two = (session.run(None, {"text": np.zeros(1000, np.float32)})[0] for _ in range(2))
    return (one == two).mean()


print("share of 1,000 numbers that two runs have in common")
print("operator             before   slimmed")
for operator in OPERATORS:
    before, slimmed = repeated(network(operator)), repeated(onnxslim.slim(network(operator)))
    print(f"{operator:17} {round(before, 1):9.2f} {slimmed:9.2f}")
    assert before < 0.6
    assert slimmed == (operator != "RandomUniformLike"), "random operators stay random now"
EOF
