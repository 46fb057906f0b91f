#!/usr/bin/env bash
# A line with one unknown symbol costs nothing: the perplexity of a text falls when nonsense with a j is added.
#
# Guess:   as in SRILM, whose format and conventions the report has: an unknown word is left out and counted, the rest
#          of its sentence is scored.
# Seen:    the model that the package trains has no <unk>, and the whole sentence with an unknown symbol goes. 200 lines
#          of random characters raise the perplexity from 3 to 31; with one letter more that the corpus lacks they cost
#          nothing. Only "zeroprobs" tells it. Of two texts or alphabets the one with more unknown symbols looks better.
# Package: kaldingram 0.1.2
# Where:   kaldingram/ppl.py (compute_ppl: a KeyError passes over the line)
# Date:    2026-11-28
# Output:
#   perplexity of                 lines   unknown   zeroprobs   perplexity
#   the words                        85         0           0         2.81
#   and 200 lines of nonsense       285         0           0        31.01
#   and a j in each of the 200      285       200         200         2.81
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 kaldingram==0.1.2

TQDM_DISABLE=1 .venv/bin/python -W ignore - <<'EOF'
import random

from kaldingram.cli import main
from kaldingram.ppl import compute_ppl
from kaldingram.prune import ArpaParser

NOVEL = (
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness it was "
    "the epoch of belief it was the epoch of incredulity it was the season of light it was the season of darkness it "
    "was the spring of hope it was the winter of despair we had everything before us we had nothing before us we were "
    "all going direct to heaven we were all going direct the other way"
).split()
WORDS = [" ".join(word) for word in NOVEL]  # a word a line, its characters as the symbols
with open("words.txt", "w") as file:
    file.write("\n".join(WORDS) + "\n")
main(["train", "--ngram-order", "3", "--text", "words.txt", "--lm", "words.arpa"])
model = ArpaParser().loadf("words.arpa")[0]
draw = random.Random(0)
NONSENSE = [" ".join(draw.sample(sorted(set("".join(NOVEL))), 8)) for _ in range(200)]
TEXTS = {
    "the words": WORDS,
    "and 200 lines of nonsense": WORDS + NONSENSE,
    "and a j in each of the 200": WORDS + [line + " j" for line in NONSENSE],
}
print("perplexity of                 lines   unknown   zeroprobs   perplexity")
seen = {}
for name, lines in TEXTS.items():
    report = compute_ppl(model, lines)
    seen[name] = report["ppl"]
    print(f"{name:28} {len(lines):6} {report['num_oov']:9} {report['num_zeroprobs']:11} {report['ppl']:12.2f}")
words, nonsense, unknown = seen.values()
assert nonsense > 5 * words
assert unknown == words, "a line with an unknown symbol is scored now"
EOF
