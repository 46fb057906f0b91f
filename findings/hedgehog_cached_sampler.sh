#!/usr/bin/env bash
# A sampler of 50 steps writes what a single step would: every prediction is made from the empty text.
#
# Guess:   "Cached DDPM" computes what has not changed only once, and writes what the plain sampler writes.
# Seen:    it asks the network once, for the text of masks alone, and each step draws all positions anew from that
#          answer: only the last draw is kept, no position sees another, and steps have no effect. A network that
#          knows that all characters of a text are equal writes texts of equal characters with any sampler that looks
#          at the text; here 8 characters are equal in one of 128 texts, as independent draws are. (The other
#          samplers raise an AttributeError for vocab_size, and this one for more than one text.)
# Package: hedgehog-dlm 0.2.0, PyTorch 2.15.0
# Where:   hedgehog/samplers/__init__.py (DDPMCachedSampler.sample)
# Date:    2026-11-28
# Output:
#   texts of 8 equal characters, of 1,000
#   ddpm_cache,    2 steps: .008
#   ddpm_cache,   50 steps: .003
#   independent draws:      .008; one position after the other: 1.000
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  hedgehog-dlm==0.2.0 torch==2.15.0 transformers==5.24.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from hedgehog.diffusion import create_diffusion
from hedgehog.samplers import create_sampler

torch.set_num_threads(1)
MASK = 2


def all_equal(idx, timesteps=None):
    """Exact network of texts whose characters are all 0 or all 1: it follows any character that it sees."""
    seen = torch.stack([(idx == symbol).any(-1) for symbol in range(2)], -1).float()  # (B, 2)
    probs = torch.where(seen.any(-1, keepdim=True), seen / seen.sum(-1, keepdim=True).clamp(min=1), 0.5)
    logits = torch.cat([probs, torch.zeros(len(idx), 1)], -1).clamp(min=1e-9).log()
    return logits[:, None].expand(-1, idx.shape[1], -1)


def share(texts):
    return (texts == texts[:, :1]).all(-1).float().mean().item()


def by_the_package(steps):
    torch.manual_seed(0)
    diffusion = create_diffusion("mdlm", vocab_size=3, num_timesteps=steps)
    sampler = create_sampler("ddpm_cache", diffusion, all_equal, MASK)
    return share(torch.cat([sampler.sample(1, 8, "cpu") for _ in range(1000)]))  # it refuses more than one text


def one_after_the_other():
    texts = torch.full((1000, 8), MASK)
    for position in range(8):
        texts[:, position] = torch.multinomial(all_equal(texts)[:, position].exp(), 1)[:, 0]
    return share(texts)


print("texts of 8 equal characters, of 1,000")
few, many, right = by_the_package(2), by_the_package(50), one_after_the_other()
for steps, value in ((2, few), (50, many)):
    print(f"ddpm_cache, {steps:4} steps: {value:.3f}".replace("0.", "."))
print(f"independent draws:      {2 ** -7:.3f}; one position after the other: {right:.3f}".replace(" 0.", " ."))
assert right == 1
assert max(few, many) < 0.02, "positions see each other now"
EOF
