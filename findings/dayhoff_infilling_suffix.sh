#!/usr/bin/env bash
# One infilling example in five shows the whole text as the suffix and asks for nothing in the middle.
#
# Guess:   a collator for infilling cuts a text into prefix, middle and suffix, of which each may be empty: put together
#          they are the text.
# Seen:    the suffix is text[-n:], and n may be 0 by default: text[-0:] is the whole text, text[a:-0] is nothing. One
#          of five texts of 16 symbols becomes a prefix, the whole text and an empty middle: the network reads a suffix
#          that repeats the prefix, and learns to end at once. The share falls with the length, as ln L / L.
#          With min_fim_suffix_len=1 all examples are right.
# Package: dayhoff 0.1.2, evodiff 1.1.2, PyTorch 2.15.0
# Where:   dayhoff/collators.py (LMCollator.make_splitter)
# Date:    2026-11-29
# Output:
#   an example: prefix ACDEF, suffix ACDEFGHIKLMNPQRS, middle (empty)
#   share of the examples that are not the text
#   length    by default    with min_fim_suffix_len=1
#       16         0.208            0.000
#       64         0.076            0.000
#      256         0.028            0.000
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 evodiff==1.1.2 torch==2.15.0 "numpy<2" setuptools==79.0.1
uv pip install -q --python .venv --exclude-newer 2026-11-28 --no-deps dayhoff==0.1.2

.venv/bin/python -W ignore - <<'EOF'
import numpy as np
from dayhoff.collators import LMCollator
from dayhoff.constants import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, MSA_ALPHABET_PLUS
from evodiff.utils import Tokenizer

SYMBOLS = "ACDEFGHIKLMNPQRSTVWY"
tokenizer = Tokenizer(protein_alphabet=MSA_ALPHABET_PLUS)


def parts(text, **options):
    """Prefix, suffix and middle of one example."""
    collate = LMCollator(tokenizer, fim_prob=1, fim_mode="psm", **options)
    example = tokenizer.untokenize(collate([(text,)])[0][0])[1:-1]
    before, middle = example.split(FIM_MIDDLE)
    prefix, suffix = before.removeprefix(FIM_PREFIX).split(FIM_SUFFIX)
    return prefix, suffix, middle


def wrong(length, examples=2000, **options):
    """Share of the examples that do not add up to the text, and one of them."""
    np.random.seed(0)
    text = (SYMBOLS * length)[:length]
    cuts = [parts(text, **options) for _ in range(examples)]
    bad = [cut for cut in cuts if cut[0] + cut[2] + cut[1] != text]
    return len(bad) / examples, bad[:1]


rows = {length: (wrong(length), wrong(length, min_fim_suffix_len=1)) for length in (16, 64, 256)}
prefix, suffix, middle = rows[16][0][1][0]
print(f"an example: prefix {prefix}, suffix {suffix}, middle {middle or '(empty)'}")
print("share of the examples that are not the text")
print("length    by default    with min_fim_suffix_len=1")
for length, (default, at_least_one) in rows.items():
    print(f"{length:6} {default[0]:13.3f} {at_least_one[0]:16.3f}")
    assert at_least_one[0] == 0
assert rows[16][0][0] > 0.15, "prefix, middle and suffix are the text now"
EOF
