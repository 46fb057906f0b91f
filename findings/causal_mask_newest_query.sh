#!/usr/bin/env bash
# Causal attention of one new query over cached keys sees the oldest character alone in three packages, all in a fourth.
#
# Guess:   a causal mask lets a query see itself and what is before it. With five keys and one query, the query is the
#          newest character, as a cache has it. PyTorch's function, which aligns the mask with the first key and says
#          so, is the exception.
# Seen:    JAX, Keras and tinygrad align with the first key, too, and do not say so: the newest character sees the
#          oldest one alone, the last two see one and two characters. MLX aligns with the last key, as its documentation
#          says. ONNX's Attention, whose description says "bottom-right", does so with a cache of its own; with keys
#          that the graph joins before it, it counts from the start. There is no error.
# Package: jax 0.10.2, keras 3.15.1, tinygrad 0.14.0, mlx 0.32.4 (CPU), ONNX Runtime 1.32.0 (onnx 1.23.2)
# Where:   is_causal of jax.nn.dot_product_attention, keras.ops.dot_product_attention,
#          Tensor.scaled_dot_product_attention and Attention (opset 23); mask="causal" of
#          mx.fast.scaled_dot_product_attention
# Date:    2026-11-29
# Output:
#   characters of 5 that the queries see
#                                  the last   the last two
#   JAX                                   1            1 2
#   Keras                                 1            1 2
#   tinygrad                              1            1 2
#   MLX                                   5            4 5
#   ONNX Runtime, keys joined             1            1 2
#   ONNX Runtime, keys cached             5            4 5
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 jax==0.10.2 keras==3.15.1 tinygrad==0.14.0 \
    'mlx[cpu]==0.32.4' onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

JAX_PLATFORMS=cpu KERAS_BACKEND=jax DEV=PYTHON .venv/bin/python -W ignore - <<'EOF'
import jax
import keras
import mlx.core as mx
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from tinygrad import Tensor

mx.set_default_device(mx.cpu)
LENGTH = 5
KEYS = np.zeros((1, 1, LENGTH, LENGTH), np.float32)  # (B, H, T, D): all scores are equal
VALUES = np.eye(LENGTH, dtype=np.float32)[None, None]  # so that the result is the weights


def queries(number):
    return KEYS[:, :, :number]


def of_jax(number):
    arrays = [array.swapaxes(1, 2) for array in (queries(number), KEYS, VALUES)]  # (B, T, H, D)
    return jax.nn.dot_product_attention(*arrays, is_causal=True).swapaxes(1, 2)


def of_keras(number):
    arrays = [array.swapaxes(1, 2) for array in (queries(number), KEYS, VALUES)]
    return keras.ops.dot_product_attention(*arrays, is_causal=True).swapaxes(1, 2)


def of_tinygrad(number):
    query, keys, values = (Tensor(array.copy()) for array in (queries(number), KEYS, VALUES))
    return query.scaled_dot_product_attention(keys, values, is_causal=True).numpy()


def of_mlx(number):
    arrays = [mx.array(array) for array in (queries(number), KEYS, VALUES)]
    return mx.fast.scaled_dot_product_attention(*arrays, scale=1.0, mask="causal")


def of_onnx(feeds, inputs, outputs):
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in feeds.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    node = helper.make_node("Attention", inputs, outputs, is_causal=1)
    graph = helper.make_graph([node], "graph", tensors, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def of_joined(number):
    return of_onnx({"q": queries(number), "k": KEYS, "v": VALUES}, ["q", "k", "v"], ["out"])


def of_cached(number):
    past = LENGTH - number
    feeds = {"q": queries(number), "k": KEYS[:, :, past:], "v": VALUES[:, :, past:]}
    feeds |= {"past_k": KEYS[:, :, :past], "past_v": VALUES[:, :, :past]}
    return of_onnx(feeds, ["q", "k", "v", "", "past_k", "past_v"], ["out", "all_k", "all_v"])


FIRST, LAST = ([1], [1, 2]), ([5], [4, 5])
CASES = {
    "JAX": (of_jax, FIRST),
    "Keras": (of_keras, FIRST),
    "tinygrad": (of_tinygrad, FIRST),
    "MLX": (of_mlx, LAST),
    "ONNX Runtime, keys joined": (of_joined, FIRST),
    "ONNX Runtime, keys cached": (of_cached, LAST),
}
print("characters of 5 that the queries see")
print("                               the last   the last two")
rows = {}
for name, (attention, _) in CASES.items():
    rows[name] = tuple((np.asarray(attention(number))[0, 0] > 0).sum(-1).tolist() for number in (1, 2))
    one, two = rows[name]
    print(f"{name:28} {one[0]:10} {two[0]:12} {two[1]}")
for name, (_, expected) in CASES.items():
    assert rows[name] == expected, "the mask is aligned otherwise now"
EOF
