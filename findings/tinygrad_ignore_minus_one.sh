#!/usr/bin/env bash
# ignore_index=-1 ignores nothing: a label of -1 is a position without a loss, and counts in the mean.
#
# Guess:   ignore_index=-1, as nanoGPT has it, leaves positions with the label -1 out of the mean, as each other number
#          does: the documentation refers to PyTorch's CrossEntropyLoss.
# Seen:    -1 stands for "no index is ignored". A label of -1 has no true symbol, so that its loss is 0 and the mean is
#          over all positions: with 15 % of a text masked the loss of a model that knows nothing is .15 ln V, and the
#          fewer are masked the better it looks. With label smoothing the unlabelled positions have a loss, too.
#          With -100, and labels of -100, the mean is PyTorch's.
# Package: tinygrad 0.14.0
# Where:   tinygrad/mixin/op.py (sparse_categorical_crossentropy)
# Date:    2026-11-29
# Output:
#   loss of a model that knows nothing, 65 symbols: 4.17
#   labels   ignore_index=-100   ignore_index=-1
#     100%                4.17              4.17
#      50%                4.17              2.09
#      15%                4.17              0.63
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 tinygrad==0.14.0

DEV=PYTHON .venv/bin/python - <<'EOF'
import math

from tinygrad import Tensor

SYMBOLS, POSITIONS = 65, 20


def loss(labelled, ignore_index):
    labels = [7] * labelled + [ignore_index] * (POSITIONS - labelled)
    logits = Tensor.zeros(POSITIONS, SYMBOLS)
    return logits.sparse_categorical_crossentropy(Tensor(labels), ignore_index=ignore_index).item()


nothing = math.log(SYMBOLS)
print(f"loss of a model that knows nothing, {SYMBOLS} symbols: {nothing:.2f}")
print("labels   ignore_index=-100   ignore_index=-1")
for labelled in (20, 10, 3):
    other, minus_one = loss(labelled, -100), loss(labelled, -1)
    print(f"{labelled / POSITIONS:6.0%} {other:19.2f} {minus_one:17.2f}")
    assert abs(other - nothing) < 0.001
    assert abs(minus_one - nothing * labelled / POSITIONS) < 0.001, "-1 is ignored now"
EOF
