#!/usr/bin/env bash
# Each new session of a process draws the same "random" characters as the one before.
#
# Guess:   without a seed two sessions draw two texts; after set_seed, called once, the second goes on where the first
#          stopped.
# Seen:    the seed is one number of the process (from the clock, or from set_seed), and a node's engine starts from
#          it and the node's index whenever a session is made. A page or a service that makes a session for each
#          request answers all with one text; within one session draws go on as they should.
# Package: ONNX Runtime 1.32.0 (onnxruntime-node and onnxruntime-web 1.30.0 do the same)
# Where:   compiled (onnxruntime/core/framework/random_seed.cc, providers/cpu/generator/random.h)
# Date:    2026-11-28
# Output:
#   unseeded, session 1     [8, 9, 60, 21, 41, 52] then [20, 62, 6, 43, 52, 2]
#   unseeded, session 2     [8, 9, 60, 21, 41, 52] then [20, 62, 6, 43, 52, 2]
#   set_seed(1), session 3  [8, 29, 14, 44, 60, 33] then [2, 34, 0, 4, 44, 60]
#   no new seed, session 4  [8, 29, 14, 44, 60, 33] then [2, 34, 0, 4, 44, 60]
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

node = helper.make_node("Multinomial", ["logits"], ["ids"], dtype=TensorProto.INT64, sample_size=1)
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [6, 65])
ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [6, 1])
graph = helper.make_graph([node], "sampler", [logits], [ids])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def two_runs():
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [session.run(None, {"logits": np.zeros((6, 65), np.float32)})[0].ravel().tolist() for _ in range(2)]


sessions = {"unseeded, session 1": two_runs(), "unseeded, session 2": two_runs()}
onnxruntime.set_seed(1)
sessions |= {"set_seed(1), session 3": two_runs(), "no new seed, session 4": two_runs()}
for name, (first, second) in sessions.items():
    print(f"{name:23} {first} then {second}")
a, b, c, d = sessions.values()
assert a[0] != a[1] and a != c
assert a == b and c == d, "a new session draws new numbers now"
EOF
