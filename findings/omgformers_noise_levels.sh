#!/usr/bin/env bash
# The default schedule masks nothing at the noise level that stands for a text of masks, with which each text begins.
#
# Guess:   a noise level t of T has the share of masks that is documented: none at 0, all at T. The sampler begins
#          with masks alone and tells the network T.
# Seen:    linear, sqrt and square do so. cosine, the default, and adaptive run the other way: at level 10 of 10 no
#          character is masked, at level 1 nearly all are. A network that is trained with them has read clean texts at
#          the level that it is told at first, and texts of masks at the one that it is told at last.
# Package: omgformers 2.0.6, PyTorch 2.15.0
# Where:   omgformers/diffusion.py (MaskScheduler.get_mask_ratio, ParallelDecoder.generate)
# Date:    2026-11-29
# Output:
#   masked share of a text while training, by noise level of 10
#   level         1      5     10
#   linear     0.10   0.50   1.00
#   sqrt       0.32   0.71   1.00
#   square     0.01   0.25   1.00
#   cosine     0.98   0.50   0.00
#   adaptive   0.93   0.38   0.00
#   masked share of a text while writing, by the level that the network is told
#   level         1      5     10
#   cosine     0.02   0.50   1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 omgformers==2.0.6 torch==2.15.0 numpy==2.4.6

CUDA_VISIBLE_DEVICES="" .venv/bin/python -W ignore - <<'EOF'
from types import SimpleNamespace

import torch
from omgformers.diffusion import MaskScheduler, ParallelDecoder

torch.set_num_threads(1)
torch.manual_seed(0)
SYMBOLS, MASK, LENGTH, LEVELS, SHOWN = 65, 4, 1000, 10, (1, 5, 10)


def scheduler(name):
    return MaskScheduler(LEVELS, name, mask_token_id=MASK, vocab_size=SYMBOLS, random_token_prob=0.0)


def training(name, level):
    """Masked share of texts at a noise level."""
    texts = torch.randint(5, SYMBOLS, (50, LENGTH))
    noisy, _ = scheduler(name).corrupt(texts, torch.full((50,), level), LEVELS)
    return (noisy == MASK).float().mean().item()


class Watched(torch.nn.Module):
    """Knows nothing; notes the masked share of what it reads, by noise level."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = {}

    def forward(self, text, timesteps):
        self.seen[timesteps[0].item()] = (text == MASK).float().mean().item()
        return SimpleNamespace(logits=torch.zeros(*text.shape, SYMBOLS))


def writing(name):
    model = Watched()
    ParallelDecoder(model, scheduler(name)).generate(torch.zeros(1, 0).long(), LENGTH, LEVELS)
    return model.seen


def show(name, shares):
    print(f"{name:8}", *(f"{share:6.2f}" for share in shares))


heading = f"{'level':8}" + "".join(f"{level:7}" for level in SHOWN)
print(f"masked share of a text while training, by noise level of {LEVELS}", heading, sep="\n")
rows = {name: [training(name, level) for level in SHOWN] for name in ("linear", "sqrt", "square", "cosine", "adaptive")}
for name, shares in rows.items():
    show(name, shares)
print("masked share of a text while writing, by the level that the network is told", heading, sep="\n")
seen = writing("cosine")
show("cosine", [seen[level] for level in SHOWN])
assert rows["linear"][-1] == rows["sqrt"][-1] == rows["square"][-1] == 1 and seen[LEVELS] == 1
assert rows["cosine"][-1] == rows["adaptive"][-1] == 0, "the levels run one way now"
EOF
