#!/usr/bin/env bash
# A seed in the graph is a constant: each run of a network draws the same mask.
#
# Guess:   a seed begins a stream, as it does in ONNX Runtime: runs of one network differ, and the sequence repeats
#          when the network is loaded again. Without a seed each run differs in both.
# Seen:    a random operator with a seed begins anew in each run. A sampler that is exported as one step has the same
#          mask in all of its steps, and draws all of its symbols by the same numbers. Two operators of one graph with
#          one seed draw alike.
# Package: tract 0.23.9, onnx 1.23.2, ONNX Runtime 1.32.0
# Where:   tract-onnx (Random, Multinomial)
# Date:    2026-11-29
# Output:
#   different draws in 20 runs
#                   no seed    seed 3
#   ONNX Runtime         20        20
#   tract                20         1
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  tract==0.23.9 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import onnx
import onnxruntime
import tract
from onnx import TensorProto, helper

RUNS = 20


def write(**seed):
    node = helper.make_node("RandomUniform", [], ["out"], shape=[16], **seed)
    graph = helper.make_graph([node], "graph", [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [16])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    onnx.save(model, "network.onnx")


def by_onnxruntime():
    session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
    return [session.run(None, {})[0] for _ in range(RUNS)]


def by_tract():
    network = tract.onnx().load("network.onnx").into_model().into_runnable()
    return [network.run([])[0].to_numpy() for _ in range(RUNS)]


def different(draw, **seed):
    write(**seed)
    return len({tuple(numbers.tolist()) for numbers in draw()})


print(f"different draws in {RUNS} runs")
print("                no seed    seed 3")
rows = {
    name: (different(draw), different(draw, seed=3.0))
    for name, draw in (("ONNX Runtime", by_onnxruntime), ("tract", by_tract))
}
for name, (without, seeded) in rows.items():
    print(f"{name:14} {without:8} {seeded:9}")
assert rows["ONNX Runtime"] == (RUNS, RUNS)
assert rows["tract"] == (RUNS, 1), "a seed begins a stream now"
EOF
