#!/usr/bin/env bash
# A smoothed n-gram model of NLTK writes texts without any smoothing: what it scores at .87 it never writes.
#
# Guess:   generate() draws from the model's own score(), so that the mean surprise of a long text it wrote is the
#          model's entropy, and unseen continuations come up as often as the model says.
# Seen:    generate() draws among the symbols that were seen after the context, and weighs them by score(): smoothing
#          is in the perplexity and not in the text. A Laplace trigram model of 150 characters gives .87 to unseen
#          continuations along its own text and writes none in 3,000. Its texts look better than its perplexity says.
#          All models of nltk.lm share the function.
# Package: NLTK 3.10.4
# Where:   nltk/lm/api.py (LanguageModel.generate: samples = self.context_counts(...))
# Date:    2026-11-28
# Output:
#   trigrams of characters     unseen, by score   unseen, written
#   Laplace                               0.871             0.000
#   WittenBellInterpolated                0.307             0.000
#   KneserNeyInterpolated                 0.052             0.000
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 nltk==3.10.4

.venv/bin/python - <<'EOF'
from nltk.lm import KneserNeyInterpolated, Laplace, WittenBellInterpolated
from nltk.util import everygrams

TEXT = (
    "the quick brown fox jumps over the lazy dog. that is the question: whether it is nobler in the mind "
    "to suffer the slings and arrows of outrageous fortune. "
)


def unseen_shares(model, length=3000):
    """Share of unseen trigrams along a text that the model wrote: as its scores have it, and as written."""
    model.fit([list(everygrams(list(TEXT), max_len=3))], list(TEXT))
    text = ["t", "h", *model.generate(length, text_seed=["t", "h"], random_seed=1)]
    scored, said, written = {}, 0, 0
    for a, b, c in zip(text, text[1:], text[2:]):
        counts = model.counts[[a, b]]
        if (a, b) not in scored:
            scored[a, b] = sum(model.score(w, [a, b]) for w in model.vocab if counts[w] == 0)
        said += scored[a, b] / length
        written += (counts[c] == 0) / length
    return said, written


print("trigrams of characters     unseen, by score   unseen, written")
for kind, expected in ((Laplace, 0.8), (WittenBellInterpolated, 0.2), (KneserNeyInterpolated, 0.03)):
    said, written = unseen_shares(kind(3))
    print(f"{kind.__name__:24} {said:18.3f} {written:17.3f}")
    assert said > expected and written < expected / 20, "texts are smoothed now"
EOF
