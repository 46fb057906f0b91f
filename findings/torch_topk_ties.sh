#!/usr/bin/env bash
# Among equal scores torch.topk takes positions from the middle, argmax the first, ONNX Runtime the first k.
#
# Guess:   on a CPU a tie goes to the lowest index, as in argmax, so topk(zeros(65), 5) is 0 1 2 3 4.
# Seen:    the order of a partial sort. A sampler that commits the k surest positions starts in the middle of the text
#          when a model knows nothing yet, and decodes another text after the export: the same operator in ONNX
#          Runtime, whose rule is the lowest index.
# Package: PyTorch 2.15.0, onnxscript 0.7.2, onnx 1.23.2, ONNX Runtime 1.32.0
# Where:   ATen/native/cpu (compiled; the order is not documented: torch.topk's page leaves it open)
# Date:    2026-11-28
# Output:
#   torch.argmax                0
#   torch.topk, 65 scores       [42, 44, 43, 45, 41]
#   torch.topk, 300 scores      [198, 200, 199, 201, 197]
#   ONNX Runtime, 65 scores     [0, 1, 2, 3, 4]
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0

.venv/bin/python - <<'EOF'
import logging
import warnings

import onnxruntime
import torch

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


class Surest(torch.nn.Module):
    def forward(self, scores):
        return scores.topk(5).indices


def by_onnx(scores):
    program = torch.onnx.export(Surest(), (scores,), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: scores.numpy()})[0].tolist()


short, long = torch.zeros(65), torch.zeros(300)
exported = by_onnx(short)
print(f"torch.argmax                {short.argmax()}")
print(f"torch.topk, 65 scores       {short.topk(5).indices.tolist()}")
print(f"torch.topk, 300 scores      {long.topk(5).indices.tolist()}")
print(f"ONNX Runtime, 65 scores     {exported}")
assert short.argmax() == 0 and exported == [0, 1, 2, 3, 4]
assert short.topk(5).indices.tolist() != exported, "ties go to the lowest index now"
EOF
