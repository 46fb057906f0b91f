#!/usr/bin/env bash
# A short text against itself: chrF is 100 in one package and 50 or 17 in two others, BLEU 0.
#
# Guess:   a text has the best score against itself, and chrF of three packages with the same settings is the same.
# Seen:    a text shorter than the longest n-gram (six characters for chrF, four for BLEU) has no n-grams of the
#          upper orders. sacrebleu leaves these orders out of chrF; NLTK and torchmetrics count them as 0, so that the
#          score of three characters against themselves is 50, of one 16.7. sacrebleu itself counts a missing order as
#          0 in BLEU unless effective_order is set. Short gaps that a model fills in cannot be scored this way.
# Package: sacrebleu 2.6.0, NLTK 3.10.4, torchmetrics 1.9.0 (PyTorch 2.15.0)
# Where:   sacrebleu/metrics/chrf.py:187-196, nltk/translate/chrf_score.py:221, torchmetrics/functional/text/chrf.py:231
# Date:    2026-11-28
# Output:
#   a text against itself     a    abc  abcdef
#   chrF, sacrebleu        100.0  100.0  100.0
#   chrF, NLTK              16.7   50.0  100.0
#   chrF, torchmetrics      16.7   50.0  100.0
#   BLEU of characters       0.0    0.0  100.0
#   with effective_order   100.0  100.0  100.0
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  sacrebleu==2.6.0 nltk==3.10.4 torchmetrics==1.9.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
from nltk.translate.chrf_score import sentence_chrf
from sacrebleu.metrics import BLEU, CHRF
from torchmetrics.text import CHRFScore


def bleu(text, **options):
    return BLEU(tokenize="char", **options).corpus_score([text], [[text]]).score


MEASURES = {
    "chrF, sacrebleu": lambda text: CHRF().corpus_score([text], [[text]]).score,
    "chrF, NLTK": lambda text: 100 * sentence_chrf(text, text, beta=2.0),
    "chrF, torchmetrics": lambda text: 100 * CHRFScore(n_word_order=0)([text], [[text]]).item(),
    "BLEU of characters": lambda text: bleu(text),
    "with effective_order": lambda text: bleu(text, effective_order=True),
}
print("a text against itself     a    abc  abcdef")
scores = {name: [round(measure(text), 1) for text in ("a", "abc", "abcdef")] for name, measure in MEASURES.items()}
for name, values in scores.items():
    print(f"{name:21}", *(f"{value:6.1f}" for value in values))
best, low = [100, 100, 100], [16.7, 50, 100]
assert [*scores.values()] == [best, low, low, [0, 0, 100], best], "the scores have changed"
EOF
