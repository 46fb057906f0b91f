#!/usr/bin/env bash
# With token shift the text that is generated is not the network's: the cache, on by default, forgets the shift.
#
# Guess:   a cache of keys and values saves time: generate() writes the network's own text, whatever options the network
#          has, or does without the cache, as it does for networks with memory tokens.
# Seen:    shift_tokens gives each position a part of the channels of the one before. With the cache a network is shown
#          the new character alone, and what is before it is taken for zeros. attn_data_dependent_alibi, which lets a
#          network forget by what it reads, loses what it read. The text is soon another one, without an error. Position
#          codes and the other options keep the text as it is.
# Package: x-transformers 2.31.10, PyTorch 2.15.0
# Where:   x_transformers/x_transformers.py (ShiftTokens, DataDependentAlibi, can_cache_kv)
# Date:    2026-11-29
# Output:
#   characters of 40 before the greedy texts with and without a cache differ
#   none                           40
#   alibi_pos_bias                 40
#   rotary_pos_emb                 40
#   macaron                        40
#   shift_tokens                    3
#   attn_data_dependent_alibi      15
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 x-transformers==2.31.10 torch==2.15.0 numpy==2.4.6

CUDA_VISIBLE_DEVICES="" .venv/bin/python -W ignore - <<'EOF'
import torch
from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

torch.set_num_threads(1)
LENGTH = 40


def network(**options):
    """A network with random weights, three times as large as they are first: its greedy text is not one character."""
    torch.manual_seed(0)
    decoder = Decoder(dim=128, depth=2, heads=4, attn_dim_head=64, **options)
    model = AutoregressiveWrapper(TransformerWrapper(num_tokens=65, max_seq_len=64, attn_layers=decoder)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(3)
    return model


def agreement(model):
    """Number of characters before the first that the cache changes."""
    prompt = torch.tensor([[5, 17, 42, 3, 61]])
    plain = model.generate(prompt, LENGTH, temperature=0.0, cache_kv=False)
    cached = model.generate(prompt, LENGTH, temperature=0.0)
    assert len(plain.unique()) > 5
    return (plain == cached).long().cumprod(-1).sum().item()


def options(*names):
    return {name: {name: True} for name in names}


KEPT = {"none": {}, **options("alibi_pos_bias", "rotary_pos_emb", "macaron")}
LOST = options("shift_tokens", "attn_data_dependent_alibi")
print("characters of 40 before the greedy texts with and without a cache differ")
rows = {name: agreement(network(**chosen)) for name, chosen in {**KEPT, **LOST}.items()}
for name, same in rows.items():
    print(f"{name:27} {same:5}")
assert all(rows[name] == LENGTH for name in KEPT)
assert all(rows[name] < LENGTH for name in LOST), "the cache keeps what these options need now"
EOF
