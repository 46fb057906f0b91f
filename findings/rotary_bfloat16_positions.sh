#!/usr/bin/env bash
# In bfloat16 neighbouring characters have the same position: 513 rotations for a context of 1,024.
#
# Guess:   rotary embeddings keep positions and angles in float32 and round what they rotate, as autocast is switched
#          off inside on purpose.
# Seen:    positions are counted in the dtype of the queries (rotary-embedding-torch), or taken into that of the module
#          (x-transformers, local-attention). bfloat16 has 8 bits: above 256 up to two neighbours share a number, above
#          512 up to four, and their order is not seen. In rotary-embedding-torch one earlier call in float32 hides
#          it, as its angles are kept: what a network computes depends on what it computed before.
# Package: rotary-embedding-torch 0.9.1, x-transformers 2.31.10, local-attention 1.11.2, PyTorch 2.15.0
# Where:   rotary_embedding_torch.py (get_seq_pos), x_transformers.py (RotaryEmbedding.forward),
#          local_attention/rotary.py (type_as)
# Date:    2026-11-29
# Output:
#   different rotations of 1,024 positions
#                            float32   bfloat16
#   rotary-embedding-torch      1024        513
#     after a float32 call      1024       1024
#   x-transformers              1024        513
#   local-attention             1024        513
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  rotary-embedding-torch==0.9.1 x-transformers==2.31.10 local-attention==1.11.2 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from local_attention.rotary import SinusoidalEmbeddings
from rotary_embedding_torch import RotaryEmbedding
from x_transformers.x_transformers import RotaryEmbedding as OfXTransformers

torch.set_num_threads(1)
torch.manual_seed(0)
POSITIONS, CHANNELS = 1024, 32
QUERY = torch.randn(1, 1, 1, CHANNELS).expand(1, 1, POSITIONS, CHANNELS)


def different(rows):
    return len(torch.unique(rows.reshape(POSITIONS, CHANNELS), dim=0))


def by_rotary_embedding_torch(dtype):
    return different(RotaryEmbedding(CHANNELS).rotate_queries_or_keys(QUERY.to(dtype)))


def the_same_after_float32(dtype):
    rotary = RotaryEmbedding(CHANNELS)
    rotary.rotate_queries_or_keys(QUERY)
    return different(rotary.rotate_queries_or_keys(QUERY.to(dtype)))


def by_x_transformers(dtype):
    return different(OfXTransformers(CHANNELS).to(dtype).forward_from_seq_len(POSITIONS)[0])


def by_local_attention(dtype):
    return different(SinusoidalEmbeddings(CHANNELS).to(dtype)(QUERY)[0])


WAYS = {
    "rotary-embedding-torch": by_rotary_embedding_torch,
    "  after a float32 call": the_same_after_float32,
    "x-transformers": by_x_transformers,
    "local-attention": by_local_attention,
}
counts = {name: [count(dtype) for dtype in (torch.float32, torch.bfloat16)] for name, count in WAYS.items()}
print(f"different rotations of {POSITIONS:,} positions")
print("                         float32   bfloat16")
for name, (full, half) in counts.items():
    print(f"{name:24} {full:7} {half:10}")
assert all(full == POSITIONS for full, _ in counts.values())
assert [half for _, half in counts.values()] == [513, POSITIONS, 513, 513], "positions differ in bfloat16 now"
EOF
