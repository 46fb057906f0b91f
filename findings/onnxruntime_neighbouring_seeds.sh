#!/usr/bin/env bash
# In ONNX Runtime neighbouring seeds begin with the same number, and so do two random operators of one graph.
#
# Guess:   set_seed(0), set_seed(1), ... give independent streams, and each random operator of a graph its own.
# Seen:    an engine's first number is a small multiple of its seed: it is below .001 for each of the seeds 0 to 99,
#          so a Gumbel sampler with such a seed never takes symbol 0 first, and the operators of a graph, seeded one
#          apart, begin with numbers .00001 apart. The second numbers are unlike each other. Seeds that are large and
#          far apart avoid it.
# Package: ONNX Runtime 1.32.0
# Where:   compiled (std::default_random_engine, a linear generator: onnxruntime/core/providers/cpu/generator/random.h)
# Date:    2026-11-28
# Output:
#   first uniform number of seeds 0 to 99: 0.0000 to 0.0008; second: 0.02 to 1.00
#   two operators of one graph: first numbers at most 0.00001 apart, second 0.87
#   symbol 0 of 65 wins: 0 of seeds 0 to 99; 14 of 1,000 large seeds (15 expected)
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

nodes = [helper.make_node("RandomUniformLike", ["logits"], [name]) for name in ("one", "two")]
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 65])
made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 65]) for name in ("one", "two")]
graph = helper.make_graph(nodes, "sampler", [logits], made)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def draws(seeds):
    for seed in seeds:
        onnxruntime.set_seed(seed)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        yield np.concatenate(session.run(None, {"logits": np.zeros((1, 65), np.float32)}))


def first_symbol_taken(u):
    """How often symbol 0 of 65 equal ones wins with Gumbel's noise from the first operator."""
    return int((u[:, 0].argmax(-1) == 0).sum())  # the largest uniform number has the largest noise


u = np.stack(list(draws(range(100))))  # (seed, operator, symbol)
far = np.stack(list(draws(np.random.default_rng(0).integers(2**31, size=1000).tolist())))
first, second = u[:, 0, 0], u[:, 0, 1]
print(f"first uniform number of seeds 0 to 99: {first.min():.4f} to {first.max():.4f}; second: {second.min():.2f} to {second.max():.2f}")
apart = abs(u[:, 0] - u[:, 1]).max(0)
print(f"two operators of one graph: first numbers at most {apart[0]:.5f} apart, second {apart[1]:.2f}")
print(f"symbol 0 of 65 wins: {first_symbol_taken(u)} of seeds 0 to 99; {first_symbol_taken(far)} of 1,000 large seeds (15 expected)")
assert second.max() - second.min() > 0.5 and first_symbol_taken(far) > 3
assert first.max() < 0.01 and apart[0] < 0.001 and first_symbol_taken(u) == 0, "neighbouring seeds are spread now"
EOF
