#!/usr/bin/env bash
# Character n-grams of scikit-learn do not see paragraphs: a run of white space counts as one space.
#
# Guess:   with analyzer="char" and lowercase=False each n-gram is a slice of the text.
# Seen:    two or more white-space characters become one space first, in "char" as in "char_wb": a blank line between
#          speeches is a space, a single newline stays a newline. Texts with and without blank lines have the same
#          counts, the blank line has no n-gram of its own, and a measure of n-grams over plays misses the layout that
#          the model learnt first.
# Package: scikit-learn 1.9.1
# Where:   sklearn/feature_extraction/text.py:214, :281
# Date:    2026-11-28
# Output:
#   blank line  12 trigrams in the text, 11 counted
#   space       11 trigrams in the text, 11 counted
#   newline     11 trigrams in the text, 11 counted
#   counts of blank line and space equal: True; of newline and space: False
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 scikit-learn==1.9.1 numpy==2.4.6

.venv/bin/python - <<'EOF'
from sklearn.feature_extraction.text import CountVectorizer

texts = {"blank line": "to be,\n\nor not", "space": "to be, or not", "newline": "to be,\nor not"}
trigrams = CountVectorizer(analyzer="char", lowercase=False, ngram_range=(3, 3))
counts = dict(zip(texts, trigrams.fit_transform(texts.values()).toarray()))
for name, text in texts.items():
    print(f"{name:10}  {len(text) - 2} trigrams in the text, {counts[name].sum()} counted")
same = (counts["blank line"] == counts["space"]).all()
print(f"counts of blank line and space equal: {same}; of newline and space: {(counts['newline'] == counts['space']).all()}")
assert (counts["newline"] != counts["space"]).any()
assert same and counts["blank line"].sum() == len(texts["space"]) - 2, "white space is counted as it is now"
EOF
