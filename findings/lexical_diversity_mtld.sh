#!/usr/bin/env bash
# A text that repeats no word has the least possible lexical diversity: an MTLD of 0.
#
# Guess:   MTLD is higher the less a text repeats itself, and two packages agree on it; of a text without any repeated
#          word it is at least its length.
# Seen:    lexical-diversity returns 0 for 30 different words, below a text of one word 30 times (5.8), and HD-D is 0 for
#          each text under 42 words. lexicalrichness gives 30. On the 119 words with which A Tale of Two Cities opens
#          both say 17.6; on their first 10 and 20 one says 9.3 and 9.7, the other 10.0 and 10.1. Short
#          samples are ranked by such edges.
# Package: lexical-diversity 0.1.1, lexicalrichness 0.5.1
# Where:   lexical_diversity/lex_div.py (mtld: factors are counted from one pass; hdd: 0 below the sample size)
# Date:    2026-11-28
# Output:
#   MTLD                          lexical-diversity   lexicalrichness
#   30 different words                          0.0              30.0
#   one word 30 times                           5.8               2.0
#   first 10 words of the novel                 9.3              10.0
#   first 20 words                              9.7              10.1
#   119 words                                  17.6              17.6
#   HD-D of 41 different words: 0.0
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  lexical-diversity==0.1.1 lexicalrichness==0.5.1 setuptools==79.0.1

.venv/bin/python -W ignore - <<'EOF'
from lexical_diversity import lex_div
from lexicalrichness import LexicalRichness

NOVEL = (
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness it was "
    "the epoch of belief it was the epoch of incredulity it was the season of light it was the season of darkness it "
    "was the spring of hope it was the winter of despair we had everything before us we had nothing before us we were "
    "all going direct to heaven we were all going direct the other way in short the period was so far like the present "
    "period that some of its noisiest authorities insisted on its being received for good or for evil in the "
    "superlative degree of comparison only"
).split()
DIFFERENT = [a + b for a in "abcdefg" for b in "uvwxyz"]  # 42 words
TEXTS = {
    "30 different words": DIFFERENT[:30],
    "one word 30 times": ["word"] * 30,
    "first 10 words of the novel": NOVEL[:10],
    "first 20 words": NOVEL[:20],
    "119 words": NOVEL,
}
print("MTLD                          lexical-diversity   lexicalrichness")
seen = {}
for name, words in TEXTS.items():
    seen[name] = lex_div.mtld(words), LexicalRichness(" ".join(words)).mtld(threshold=0.72)
    print(f"{name:28} {seen[name][0]:18.1f} {seen[name][1]:17.1f}")
hdd = lex_div.hdd(DIFFERENT[:41])
print(f"HD-D of 41 different words: {hdd:.1f}")
one, other = seen["119 words"]
assert abs(one - other) < 0.1
assert seen["30 different words"][0] == 0 < seen["one word 30 times"][0], "different words are diverse now"
assert hdd == 0
EOF
