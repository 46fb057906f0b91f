#!/usr/bin/env bash
# By one package's Lempel-Ziv complexity a text that is written twice is as complex as one that is new throughout.
#
# Guess:   two packages count the same, and a text of 1,000 characters written twice is about half as complex as 2,000
#          different ones: that is what the measure is for.
# Seen:    lempel-ziv-complexity counts the phrases of LZ78, whose dictionary learns a character a phrase: a copy after
#          1,000 characters is hardly noticed, and one character 2,000 times counts 62. antropy counts those of LZ76,
#          which look back at the whole text: 2 for one character, half for a copy. Of a model that repeats itself one
#          measure tells and the other does not, under one name.
# Package: lempel-ziv-complexity 0.2.2, antropy 0.2.3
# Where:   lempel_ziv_complexity (a set of the phrases so far), antropy/entropy.py (lziv_complexity, Kaspar and Schuster)
# Date:    2026-11-28
# Output:
#   2,000 characters          lempel-ziv-complexity   antropy
#   one character                                62         2
#   random, of 16                               748       660
#   1,000 random, twice                         734       362
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  lempel-ziv-complexity==0.2.2 antropy==0.2.3 numpy==2.4.6 setuptools==79.0.1

.venv/bin/python -W ignore - <<'EOF'
import random

from antropy import lziv_complexity
from lempel_ziv_complexity import lempel_ziv_complexity

rng = random.Random(0)
new = "".join(rng.choice("abcdefghijklmnop") for _ in range(2000))
TEXTS = {"one character": "a" * 2000, "random, of 16": new, "1,000 random, twice": new[:1000] * 2}
print("2,000 characters          lempel-ziv-complexity   antropy")
seen = {}
for name, text in TEXTS.items():
    seen[name] = lempel_ziv_complexity(text), int(lziv_complexity(text))
    print(f"{name:24} {seen[name][0]:22} {seen[name][1]:9}")
one, other = (twice / once for twice, once in zip(seen["1,000 random, twice"], seen["random, of 16"]))
assert other < 0.6
assert one > 0.9, "a copy is noticed now"
EOF
