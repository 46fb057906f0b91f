#!/usr/bin/env bash
# A mask of 10 % of a text is one of 90 % after the export: ONNX Runtime draws a one with probability 1 - p.
#
# Guess:   the operator Bernoulli writes a one with the probability that its input says, as ONNX describes it and as
#          torch.bernoulli does, which is exported as this operator.
# Seen:    ONNX Runtime takes the function body in ONNX's schema, in which a uniform number is compared with "greater
#          than p": a one has probability 1 - p. ONNX's own reference evaluator follows the description. A network
#          that masks a tenth masks nine tenths in ONNX Runtime, at .5 nobody notices, and a comparison of uniform
#          numbers that is written out, u < p, is right.
# Package: ONNX Runtime 1.32.0, onnx 1.23.2
# Where:   onnx/defs/generator/defs.cc (Bernoulli, the context-dependent function body: Greater)
# Date:    2026-11-29
# Output:
#   share of ones     p = 0.1   p = 0.5   p = 0.9
#   ONNX Runtime        0.897     0.504     0.101
#   its u < p           0.103     0.496     0.899
#   the reference       0.100     0.500     0.900
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

HEAD = '<ir_version: 10, opset_import: ["": 18]> mask (float[n] p) => (float[n] ones)'
OPERATOR = onnx.parser.parse_model(HEAD + " { ones = Bernoulli<seed = 7.0>(p) }")
COMPARED = onnx.parser.parse_model(
    HEAD + " { u = RandomUniformLike<seed = 7.0>(p)  less = Less(u, p)  ones = Cast<to = 1>(less) }"
)
PROBABILITIES = (0.1, 0.5, 0.9)


def in_runtime(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda p: session.run(None, {"p": p})[0]


def by_reference(model):
    evaluator = ReferenceEvaluator(model)
    return lambda p: evaluator.run(None, {"p": p})[0]


def shares(draw, places=100_000):
    return [float(draw(np.full(places, p, np.float32)).mean()) for p in PROBABILITIES]


print("share of ones    ", "   ".join(f"p = {p}" for p in PROBABILITIES))
rows = {
    "ONNX Runtime": shares(in_runtime(OPERATOR)),
    "its u < p": shares(in_runtime(COMPARED)),
    "the reference": shares(by_reference(OPERATOR)),
}
for name, row in rows.items():
    print(f"{name:15}", *(f"{share:9.3f}" for share in row))
for name in ("its u < p", "the reference"):
    assert np.allclose(rows[name], PROBABILITIES, atol=0.01)
assert np.allclose(rows["ONNX Runtime"], [1 - p for p in PROBABILITIES], atol=0.01), "a one has probability p now"
EOF
