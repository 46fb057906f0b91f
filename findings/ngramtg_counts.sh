#!/usr/bin/env bash
# An n-gram generator counts successors and draws them equally often, and its n-grams of five words are pairs.
#
# Guess:   words are drawn in proportion to what was counted, and with n-grams of n words by the n - 1 words before.
# Seen:    a successor is drawn from the list of those that occur, each alike: of 99 lines with one ending and one with
#          another half of the texts have the rare one. The counts are filled by going through each n-gram in steps of
#          one word, so that ngram_length changes them and no text: in two lines that share a word the first word
#          decides nothing about the last, with pairs and with n-grams of five.
# Package: ngramtg 2019.1
# Where:   ngramtg/ngram.py (create_sentence: random.choice of the keys; generate_word_frequency_map)
# Date:    2026-11-29
# Output:
#   ngram_length   ending of 1 line in 100   first and last word of two lines
#              2                      0.49                               0.49
#              3                      0.49                               0.49
#              5                      0.49                               0.49
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 ngramtg==2019.1

.venv/bin/python - <<'EOF'
import random
from pathlib import Path

from ngramtg.ngram import NgramTextGen

TEXTS = 2000


def sentences(lines, ngram_length):
    Path("corpus.txt").write_text("\n".join(lines) + "\n")
    generator = NgramTextGen("corpus.txt", ngram_length=ngram_length, auto=True)
    random.seed(0)
    return [generator.create_sentence().removesuffix("::END").split() for _ in range(TEXTS)]


def rare(ngram_length):
    """Share of an ending that one line of 100 has."""
    texts = sentences(["long live the king"] * 99 + ["long live the queen"], ngram_length)
    return sum(text[-1] == "queen" for text in texts) / TEXTS


def crossed(ngram_length):
    """Share of texts that begin as one line and end as the other."""
    texts = sentences(["romeo loves juliet"] * 50 + ["hamlet loves ophelia"] * 50, ngram_length)
    return sum((text[0] == "romeo") != (text[-1] == "juliet") for text in texts) / TEXTS


print("ngram_length   ending of 1 line in 100   first and last word of two lines")
rows = {n: (rare(n), crossed(n)) for n in (2, 3, 5)}
for n, (ending, mixed) in rows.items():
    print(f"{n:12} {ending:25.2f} {mixed:34.2f}")
assert all(ending > 0.4 for ending, _ in rows.values()), "counts are used now"
assert all(mixed > 0.4 for _, mixed in rows.values()), "longer n-grams see more now"
EOF
