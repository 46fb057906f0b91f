#!/usr/bin/env bash
# A query that may see nothing gets 0 in PyTorch; exported it gets the mean of the values hidden from it, or 0, by opset.
#
# Guess:   NaN below opset 23 (a softmax of nothing but -inf), 0 from its Attention operator on.
# Seen:    at opset 18 and 20 (the exporter's default) the mask is the lowest finite number, not -inf: the softmax of
#          a row of them is uniform, and the output is the mean of the values that the mask hides. The exporter's
#          guard against NaN never acts. Padded rows, and the first of a block of masks, differ between a network and
#          its export.
# Package: PyTorch 2.15.0, onnxscript 0.7.2, ONNX Runtime 1.32.0
# Where:   onnxscript/function_libs/torch_lib/ops/nn.py:2087-2098
# Date:    2026-11-28
# Output:
#   PyTorch        [0.0, 0.0]
#   opset 18       the mean of all values: [-0.037, 0.2738]
#   opset 20       the mean of all values: [-0.037, 0.2738]
#   opset 23       [0.0, 0.0]
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0

.venv/bin/python - <<'EOF'
import logging
import warnings

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


class Attention(torch.nn.Module):
    def forward(self, q, k, v, seen):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen)


torch.manual_seed(0)
q, k, v = (torch.randn(1, 1, 4, 2) for _ in range(3))
seen = torch.ones(4, 4, dtype=torch.bool).tril(-1)  # the first position sees no key
mean = v.mean(2).flatten().numpy()
rows = {"PyTorch": Attention()(q, k, v, seen)[0, 0, 0].numpy()}
for opset in (18, 20, 23):
    program = torch.onnx.export(Attention(), (q, k, v, seen), dynamo=True, opset_version=opset, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {i.name: x.numpy() for i, x in zip(session.get_inputs(), (q, k, v, seen))}
    out = session.run(None, feeds)[0]
    assert np.allclose(out[0, 0, 1:], Attention()(q, k, v, seen)[0, 0, 1:], atol=1e-5)
    rows[f"opset {opset}"] = out[0, 0, 0]
for name, row in rows.items():
    print(f"{name:14} {'the mean of all values: ' if np.allclose(row, mean, atol=1e-5) else ''}{[round(float(x), 4) for x in row]}")
assert not rows["PyTorch"].any() and not rows["opset 23"].any()
assert all(np.allclose(rows[f"opset {n}"], mean, atol=1e-5) for n in (18, 20)), "a row that sees nothing is another value now"
EOF
