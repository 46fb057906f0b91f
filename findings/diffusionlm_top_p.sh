#!/usr/bin/env bash
# The strategy "top-p" returns a text of masks only; "beam" writes the likeliest symbol everywhere.
#
# Guess:   strategy chooses how a step draws: top-p from the smallest set of symbols that reaches p, beam by the score
#          of several texts. What is returned has no mask.
# Seen:    top-p filters a copy of the probabilities, which is thrown away, and draws nothing: all positions are masks
#          after any number of steps. A beam holds the k-th symbol of every position, so that the first one wins
#          always: num_beams changes nothing. "random", the default, draws among the top_k = 50 symbols; top_p is
#          never read there.
# Package: diffusionlm 0.1.9, datasets 5.0.1, transformers 4.57.6, PyTorch 2.15.0
# Where:   diffusionLM/model/diffusionLM.py (LLaDAModel.generate)
# Date:    2026-11-28
# Output:
#   share of each symbol     .5     .3     .2   mask
#   random                 0.50   0.30   0.21   0.00
#   top-p                  0.00   0.00   0.00   1.00
#   beam                   1.00   0.00   0.00   0.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  diffusionlm==0.1.9 datasets==5.0.1 transformers==4.57.6 huggingface-hub==0.36.2 torch==2.15.0 numpy==2.4.6

TRANSFORMERS_VERBOSITY=error .venv/bin/python -W ignore - <<'EOF'
import torch
from diffusionLM.model import DiffusionConfig, DiffusionLLM

torch.set_num_threads(1)
PROBS, LENGTH, STEPS = torch.tensor([0.5, 0.3, 0.2]), 1024, 16
MASK = len(PROBS)
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
TOKENS = {"vocab_size": MASK + 1, "mask_token_id": MASK, "eos_token_id": MASK, "pad_token_id": MASK}


def independent(idx, **options):
    """Logits: every position has the same distribution, whatever stands elsewhere; the mask is never predicted."""
    logits = torch.cat([PROBS.log(), torch.tensor([-1e9])])
    return {"logits": logits.repeat(*idx.shape, 1)}


model = DiffusionLLM(DiffusionConfig(**SMALL, **TOKENS)).eval()
model.model.forward = independent


def shares(**options):
    torch.manual_seed(0)
    text = model.generate(max_length=LENGTH, num_inference_steps=STEPS, **options)["tokens"]
    return [(text == symbol).float().mean().item() for symbol in range(MASK + 1)]


print("share of each symbol     .5     .3     .2   mask")
seen = {}
for strategy, options in {"random": {}, "top-p": {"top_p": 0.9}, "beam": {"num_beams": 3}}.items():
    seen[strategy] = shares(strategy=strategy, **options)
    print(f"{strategy:20}" + "".join(f"{share:7.2f}" for share in seen[strategy]))
assert abs(seen["random"][0] - 0.5) < 0.05 and seen["random"][3] == 0
assert seen["top-p"] == [0, 0, 0, 1], "top-p draws now"
assert seen["beam"] == [1, 0, 0, 0], "the beams differ now"
EOF
