#!/usr/bin/env bash
# A sampler of any number of passes writes half of the text in the last one; at noise level .5 it reads 97 % masks.
#
# Guess:   at the noise level t the network reads a text of which the share t is masked, as it did while it was trained:
#          each pass writes a part and leaves it.
# Seen:    a pass fills in all masks and masks again the share t_next / t of all positions, where that share is for
#          those that were masked: the more passes, the more is masked. Half is masked before the last pass, however
#          many there are. The network reads texts of masks at levels at which it was trained on nearly whole ones.
# Package: cupydiff 0.2.10 (NumPy)
# Where:   cupydiff/diffusion.py (sample_canvas)
# Date:    2026-11-29
# Output:
#   masked share of the text that the network reads
#   passes   level .5   level .05   last pass
#       16       0.89        0.50        0.50
#       64       0.97        0.74        0.50
#      256       0.99        0.93        0.50
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 cupydiff==0.2.10 numpy==2.4.6

CUDA_VISIBLE_DEVICES="" .venv/bin/python - <<'EOF'
from dataclasses import replace

import numpy as np
from cupydiff import diffusion
from cupydiff.config import MDLModelConfig

SYMBOLS, MASK, LENGTH = 66, 65, 10_000
seen = {}


def network(text, level, params, config, **options):
    """Knows nothing; notes the masked share of what it reads, by noise level."""
    seen.setdefault(round(float(level[0]), 3), (text == MASK).mean())
    logits = np.zeros((*text.shape, SYMBOLS), np.float32)
    edits = np.zeros((1, text.size, 2)), np.zeros((1, text.size - 1, 5))  # nothing is deleted or inserted
    return logits, *edits, None


diffusion.forward_network = network


def masked(levels):
    """Share that is masked at the level nearest to .5, at that nearest to .05, and before the last pass."""
    seen.clear()
    config = MDLModelConfig(vocab_size=SYMBOLS, mask_token_id=MASK, scratch_len=0, canvas_len=LENGTH)
    config = replace(config, steps_per_block=levels, diff_blocks_num=1)
    text = diffusion.sample_canvas({}, np.zeros((1, 1), np.int64), config, np.random.default_rng(0))
    assert (text != MASK).all()
    passes = [level for level in seen if level]
    return [seen[min(passes, key=lambda level: abs(level - place))] for place in (0.5, 0.05, 0)]


print("masked share of the text that the network reads")
print("passes   level .5   level .05   last pass")
for levels in (17, 65, 257):
    half, low, last = masked(levels)
    print(f"{levels - 1:6} {half:10.2f} {low:11.2f} {last:11.2f}")
    assert half > 0.8 and abs(last - 0.5) < 0.05, "what is written stays now"
EOF
