#!/usr/bin/env bash
# At t = 1, "everything masked", a masking function leaves four symbols of every alphabet readable.
#
# Guess:   apply_masking masks each symbol with probability t, and every one at t = 1; symbols are exempt if the
#          caller lists them as special.
# Seen:    ids 0 to 3 are never masked unless a table of special ids is handed in, and an empty list of special ids
#          does not mean "none". A character alphabet sorted as usual loses newline, space, ! and $: the model is told
#          where every word ends, and no loss falls on these positions.
# Package: telos-ml 1.2.0, PyTorch 2.15.0
# Where:   telos/diffusion/mdlm.py:80
# Date:    2026-11-28
# Output:
#   alphabet begins with ['\n', ' ', '!', '$']
#   at t = 1: _____ ________\n______ __ _______ ___ ________ ____ __ _____!
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 telos-ml==1.2.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from telos.diffusion.mdlm import apply_masking

text = "First Citizen:\nBefore we proceed any further, hear me speak!"
alphabet = sorted(set(text + "$"))
idx = torch.tensor([[alphabet.index(character) for character in text]])
masked, positions, t = apply_masking(idx, t_values=torch.ones(1, 1), mask_token_id=len(alphabet))
print("alphabet begins with", alphabet[:4])
print("at t = 1:", "".join("_" if i == len(alphabet) else alphabet[i] for i in masked[0].tolist()).replace("\n", "\\n"))
kept = ~positions[0]
assert set(idx[0, kept].tolist()) == {0, 1, 2} and (masked[0, kept] == idx[0, kept]).all(), "other symbols stay"
EOF
