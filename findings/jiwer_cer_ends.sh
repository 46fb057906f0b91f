#!/usr/bin/env bash
# The character error rate does not count spaces and newlines at the ends: 5 wrong characters of 10 may be no error.
#
# Guess:   cer is the edit distance of the characters over the length of the reference, each character counted alike.
# Seen:    both texts are stripped first. A gap filled in with a newline and four spaces where there should be nothing
#          has an error rate of 0, and so has each piece of a text that lacks its line break at the end; in the middle
#          a space is a character like any other. Scored piece by piece, a text has another rate than as a whole.
#          ReduceToListOfListOfChars() alone, as reference_transform and hypothesis_transform, counts everything.
# Package: jiwer 4.0.0, rapidfuzz 3.14.6
# Where:   jiwer/transformations.py (cer_default: Strip before ReduceToListOfListOfChars)
# Date:    2026-11-28
# Output:
#   reference      written            edits   edits / length   cer    cer, all characters
#   'to be'        'to be\n    '          5             1.00   0.00                  1.00
#   'to be\n'      'to be'                1             0.17   0.00                  0.17
#   'to be'        'to  be'               1             0.20   0.20                  0.20
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 jiwer==4.0.0 rapidfuzz==3.14.6

.venv/bin/python - <<'EOF'
import jiwer
from rapidfuzz.distance import Levenshtein

every = jiwer.Compose([jiwer.ReduceToListOfListOfChars()])
print("reference      written            edits   edits / length   cer    cer, all characters")
for reference, written, expected in (("to be", "to be\n    ", 0), ("to be\n", "to be", 0), ("to be", "to  be", 0.2)):
    edits = Levenshtein.distance(reference, written)
    rate = edits / len(reference)
    said = jiwer.cer(reference, written)
    whole = jiwer.cer(reference, written, reference_transform=every, hypothesis_transform=every)
    print(f"{reference!r:14} {written!r:17} {edits:6} {rate:16.2f} {said:6.2f} {whole:21.2f}")
    assert abs(whole - rate) < 1e-9
    assert abs(said - expected) < 1e-9, "the ends of a text count now"
EOF
