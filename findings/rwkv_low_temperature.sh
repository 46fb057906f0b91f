#!/usr/bin/env bash
# A low temperature is an error where the model is unsure, and torch.manual_seed repeats no text.
#
# Guess:   a temperature of .02 is nearly greedy, whatever the logits, and a seed for PyTorch repeats the draws of a
#          sampler that takes a PyTorch tensor.
# Seen:    probabilities are raised to the power of 1 / temperature. Where no symbol has more than .12, the 50th power
#          of each is 0 in float32, and what is drawn from is NaN: the same settings write greedy text where the model
#          is sure, and raise where it is not. On a CPU NumPy's global generator draws; torch.manual_seed repeats
#          the draws on a GPU alone.
# Package: rwkv 0.8.32, PyTorch 2.15.0, NumPy 2.4.6
# Where:   rwkv/utils.py (PIPELINE.sample_logits)
# Date:    2026-11-29
# Output:
#   share of the likeliest symbol, its probability being
#   temperature        0.5       0.02
#             1         0.51       0.02
#           0.1         0.99       0.07
#          0.02         1.00 ValueError: probabilities contain NaN
#   20 draws repeated: False by torch.manual_seed, True by numpy.random.seed
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 rwkv==0.8.32 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import numpy as np
import torch
from rwkv.utils import PIPELINE

torch.set_num_threads(1)
SURE = torch.tensor([0.5, 0.3, 0.2]).log()
UNSURE = torch.linspace(0.5, 0, 65)  # the first has probability .02
pipeline = PIPELINE(None, "rwkv_vocab_v20230424")


def share(logits, temperature):
    """Share of the likeliest symbol, or the error."""
    try:
        return np.mean([pipeline.sample_logits(logits, temperature, top_p=1) == 0 for _ in range(500)])
    except ValueError as error:
        return f"ValueError: {error}"


def repeats(seed):
    draws = []
    for _ in range(2):
        seed(0)
        draws.append([pipeline.sample_logits(SURE, top_p=1) for _ in range(20)])
    return draws[0] == draws[1]


np.random.seed(0)
print("share of the likeliest symbol, its probability being")
print("temperature        0.5       0.02")
rows = {temperature: [share(logits, temperature) for logits in (SURE, UNSURE)] for temperature in (1, 0.1, 0.02)}
for temperature, (sure, unsure) in rows.items():
    print(f"{temperature:11} {sure:12.2f} {unsure if isinstance(unsure, str) else f'{unsure:10.2f}'}")
by_torch, by_numpy = repeats(torch.manual_seed), repeats(np.random.seed)
print(f"20 draws repeated: {by_torch} by torch.manual_seed, {by_numpy} by numpy.random.seed")
assert rows[0.02][0] == 1 and by_numpy
assert "NaN" in str(rows[0.02][1]) and not by_torch, "low temperatures or PyTorch's seed work now"
EOF
