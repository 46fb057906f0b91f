#!/usr/bin/env bash
# Speculative decoding that is exact for one text and draws from another distribution for a batch.
#
# Guess:   speculative decoding keeps the large model's distribution, whatever the draft model, the number of drafted
#          characters and the number of texts at a time.
# Seen:    with one text the symbols are the large model's. With eight and more, each the same prompt, the second new
#          symbol comes from a distribution far from it, further with more texts: rows that accept unequal numbers of
#          drafts are moved to the right together with their cached keys, and what they attend to afterwards differs.
#          At gamma 1 the same batch is right; greedy texts may agree and hide it.
# Package: speculative-decoding 0.2.0, PyTorch 2.15.0
# Where:   speculative_decoding/speculative_decoding.py:212-231 (the branch for more than one row)
# Date:    2026-11-28
# Output:
#   share of symbol 0, large model alone: 0.029
#   gamma 1, 500 texts at a time:           0.030
#   gamma 3,   1 texts at a time:           0.030
#   gamma 3,   8 texts at a time:           0.140
#   gamma 3, 500 texts at a time:           0.216
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 speculative-decoding==0.2.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from speculative_decoding import Decoder, base_decoding, speculative_decoding

torch.manual_seed(0)
large, draft = (Decoder(num_tokens=4, dim=16, depth=1, heads=1, dim_head=16).eval() for _ in range(2))
for weight in (*large.parameters(), *draft.parameters()):
    weight.data *= 4  # untrained, but far from equal probabilities
OPTIONS = {"seq_len": 5, "filter_thres": 0.0}  # no symbol is filtered out


def share(texts):
    """How often the second new symbol is 0."""
    return (texts[:, 1] == 0).float().mean().item()


@torch.no_grad()
def speculative(size, gamma, texts):
    prompts = torch.zeros(size, 2, dtype=torch.long)
    rounds = range(texts // size)
    return share(torch.cat([speculative_decoding(large, draft, prompts, gamma=gamma, **OPTIONS)[0] for _ in rounds]))


with torch.no_grad():
    exact = share(base_decoding(large, torch.zeros(5000, 2, dtype=torch.long), **OPTIONS))
print(f"share of symbol 0, large model alone: {exact:.3f}")
shares = {}
for size, gamma, texts in ((500, 1, 1000), (1, 3, 200), (8, 3, 400), (500, 3, 1000)):
    shares[size, gamma] = speculative(size, gamma, texts)
    print(f"gamma {gamma}, {size:3} texts at a time:       {shares[size, gamma]:9.3f}")
assert abs(shares[500, 1] - exact) < 0.02 and abs(shares[1, 3] - exact) < 0.05, "one text, or gamma 1, is not exact"
assert shares[8, 3] > exact + 0.05 and shares[500, 3] > exact + 0.1, "a batch is drawn from the large model now"
EOF
