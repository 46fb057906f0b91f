#!/usr/bin/env bash
# The same temperature and top-p keep two symbols in mlx-lm and three in transformers.
#
# Guess:   top-p is of the distribution that is drawn from: at temperature 3, top-p .8 keeps the symbols that hold .8 of
#          the flattened probabilities, as in transformers.
# Seen:    mlx-lm cuts first, on the probabilities of temperature 1, and applies the temperature to what is left, and
#          min-p likewise. A temperature above 1 reaches fewer symbols than elsewhere, one below 1 more: at .3
#          transformers keeps one symbol and mlx-lm two. "temperature 3, min-p .2" keeps half of this alphabet or
#          all of it. The same two numbers in two papers may be two samplers.
# Package: mlx-lm 0.32.2, mlx 0.32.4, transformers 5.24.0, PyTorch 2.15.0
# Where:   mlx_lm/sample_utils.py (make_sampler: filters, then categorical_sampling with the temperature)
# Date:    2026-11-28
# Output:
#   symbols kept of probabilities .6 .3 .06 .04      mlx-lm   transformers
#   temperature 1, top-p .8                               2              2
#   temperature 3, top-p .8                               2              3
#   temperature .3, top-p .8                              2              1
#   temperature 3, min-p .2                               2              4
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  mlx==0.32.4 mlx-cpu==0.32.4 mlx-lm==0.32.2 transformers==5.24.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import mlx.core as mx
import torch
from mlx_lm.sample_utils import make_sampler
from transformers import LogitsProcessorList, MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper

mx.set_default_device(mx.cpu)
PROBS = [0.6, 0.3, 0.06, 0.04]


def in_mlx(temperature, **options):
    mx.random.seed(0)
    sampler = make_sampler(temp=temperature, **options)
    logprobs = mx.log(mx.array([PROBS]))
    return len({sampler(logprobs).item() for _ in range(400)})


def in_transformers(temperature, top_p=None, min_p=None):
    """In the order of its generate()."""
    warpers = [TemperatureLogitsWarper(float(temperature))]
    warpers += [TopPLogitsWarper(top_p)] if top_p else [MinPLogitsWarper(min_p)]
    logits = LogitsProcessorList(warpers)(None, torch.tensor([PROBS]).log())
    return logits.isfinite().sum().item()


print("symbols kept of probabilities .6 .3 .06 .04      mlx-lm   transformers")
CASES = {
    "temperature 1, top-p .8": (1, {"top_p": 0.8}, (2, 2)),
    "temperature 3, top-p .8": (3, {"top_p": 0.8}, (2, 3)),
    "temperature .3, top-p .8": (0.3, {"top_p": 0.8}, (2, 1)),
    "temperature 3, min-p .2": (3, {"min_p": 0.2}, (2, 4)),
}
for name, (temperature, options, expected) in CASES.items():
    kept = in_mlx(temperature, **options), in_transformers(temperature, **options)
    print(f"{name:45}{kept[0]:10}{kept[1]:15}")
    assert kept == expected, "the order of temperature and filter has changed"
EOF
