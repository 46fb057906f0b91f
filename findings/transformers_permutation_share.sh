#!/usr/bin/env bash
# A share of .9 hides the whole text: the collator for any order rounds the room of a span down.
#
# Guess:   plm_probability is the share of a text that is predicted, as its documentation says, from a sixth, the
#          default, to the large shares that a model needs which writes from nothing.
# Seen:    a span of 1 to 5 symbols has room for itself and its context, span / plm_probability symbols, rounded down.
#          That is exact for a sixth and a half. .7 is .79, and from 5/6 on a span has no context: the whole text is
#          hidden, and no text is seen that has a tenth of it left.
# Package: transformers 5.24.0, tokenizers 0.23.3, PyTorch 2.15.0
# Where:   transformers/data/data_collator.py (DataCollatorForPermutationLanguageModeling: context_length)
# Date:    2026-11-29
# Output:
#   plm_probability   predicted
#              0.17        0.17
#              0.30        0.31
#              0.50        0.50
#              0.70        0.79
#              0.80        0.88
#              0.90        1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  transformers==5.24.0 tokenizers==0.23.3 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import string

import torch
from tokenizers import Tokenizer, models
from transformers import DataCollatorForPermutationLanguageModeling, PreTrainedTokenizerFast

torch.set_num_threads(1)
SYMBOLS = {symbol: number for number, symbol in enumerate([*string.ascii_lowercase, "<mask>", "<pad>"])}
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordLevel(SYMBOLS, "<pad>")), mask_token="<mask>", pad_token="<pad>"
)
torch.manual_seed(0)
texts = [{"input_ids": row} for row in torch.randint(26, (500, 256)).tolist()]


def predicted(share):
    labels = DataCollatorForPermutationLanguageModeling(tokenizer, plm_probability=share)(texts)["labels"]
    return (labels != -100).float().mean().item()


print("plm_probability   predicted")
rows = {share: predicted(share) for share in (1 / 6, 0.3, 0.5, 0.7, 0.8, 0.9)}
for share, seen in rows.items():
    print(f"{share:15.2f} {seen:11.2f}")
assert abs(rows[1 / 6] - 1 / 6) < 0.01 and abs(rows[0.5] - 0.5) < 0.01
assert rows[0.7] > 0.75 and rows[0.9] == 1, "large shares are kept now"
EOF
