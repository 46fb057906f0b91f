#!/usr/bin/env bash
# An any-order model is never trained on its last step: one position masked, all others known.
#
# Guess:   the collater of an order-agnostic model masks 1 to D of D positions, each number equally often, as its
#          source (autoregressive diffusion) defines: one term for each step of writing.
# Seen:    2 to D. No text ever has a single mask, though generation ends with one, and a sum over steps lacks its
#          easiest term. Texts of two positions are always masked whole: what one symbol says about the other is
#          neither trained nor measured, and an exact toy of two positions shows the entropies of its single symbols.
# Package: evodiff 1.1.2, PyTorch 2.15.0
# Where:   evodiff/collaters.py:90-91 (the upper end of randint is exclusive)
# Date:    2026-11-28
# Output:
#   share of the texts that have n masks
#   positions      1      2      3      4      5      6
#           2   0.00   1.00
#           3   0.00   0.50   0.50
#           6   0.00   0.20   0.20   0.21   0.20   0.19
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 evodiff==1.1.2 torch==2.15.0 "numpy<2" setuptools==79.0.1

.venv/bin/python - <<'EOF'
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import torch
from evodiff.collaters import OAMaskCollater
from evodiff.utils import Tokenizer

np.random.seed(0)
torch.manual_seed(0)
collate = OAMaskCollater(Tokenizer())
print("share of the texts that have n masks")
print("positions", *(f"{n:6}" for n in range(1, 7)))
for text in "AC", "ACD", "ACDEFG":
    masks = collate([(text,)] * 3000)[3].sum(1).long()
    share = (torch.bincount(masks, minlength=7)[1:] / 3000).tolist()
    print(f"{len(text):9}", *(f"{value:6.2f}" for value in share[: len(text)]))
    assert share[0] == 0 and share[len(text) - 1] > 0, "a single mask occurs now"
EOF
