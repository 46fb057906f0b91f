#!/usr/bin/env bash
# Temperature 0 is greedy in one function of a package and temperature 1 in the other.
#
# Guess:   temperature 0 writes the likeliest symbol, the limit of small temperatures, in both functions that draw a
#          next symbol.
# Seen:    sample_huggingface does not divide by temperatures below .0000001, so that it draws at temperature 1: a
#          millionth is greedy, and zero writes the model's whole distribution. sample_gpt_fast takes at least .00001.
#          A comparison of the two at temperature 0 compares greedy text with sampled text.
# Package: llm-sampler 0.4.0, PyTorch 2.15.0
# Where:   llm_sampler/hf.py (sample_huggingface), llm_sampler/gpt_fast.py (_logits_to_probs)
# Date:    2026-11-29
# Output:
#   share of a symbol of probability .5
#   temperature   sample_huggingface   sample_gpt_fast
#             1                 0.49              0.49
#         1e-06                 1.00              1.00
#             0                 0.49              1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 llm-sampler==0.4.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from llm_sampler import sample_gpt_fast, sample_huggingface

torch.set_num_threads(1)
LOGITS = torch.tensor([0.5, 0.3, 0.2]).log()
DRAWS = 2000


def of_huggingface(temperature):
    return sample_huggingface(LOGITS.repeat(DRAWS, 1, 1), temperature=temperature)


def of_gpt_fast(temperature):
    return torch.cat([sample_gpt_fast(LOGITS.view(1, 1, -1), temperature=temperature) for _ in range(DRAWS)])


def share(draw, temperature):
    torch.manual_seed(0)
    return (draw(temperature) == 0).float().mean().item()


print("share of a symbol of probability .5")
print("temperature   sample_huggingface   sample_gpt_fast")
shares = {}
for temperature in (1.0, 0.000001, 0.0):
    shares[temperature] = [share(draw, temperature) for draw in (of_huggingface, of_gpt_fast)]
    print(f"{temperature:11g} {shares[temperature][0]:20.2f} {shares[temperature][1]:17.2f}")
assert shares[0.000001] == [1, 1] and shares[0.0][1] == 1
assert abs(shares[0.0][0] - shares[1.0][0]) < 0.05, "temperature 0 is greedy now"
EOF
