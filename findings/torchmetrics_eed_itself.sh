#!/usr/bin/env bash
# A text has an edit distance from itself, the more the shorter it is: a right line is worse than a wrong page.
#
# Guess:   the extended edit distance of a text from itself is 0, and one of its characters more costs what one less
#          does.
# Seen:    each place of the text that no step ends at counts as not covered, and no step ends before the first
#          character: .3 of (length + 2.3), the text with a space at each side. One character has .09 from itself,
#          three have .06, and 200 of which five are wrong have .04. A mean over texts ranks two models by the length of
#          what they write, too. A character less costs twice what one more does.
# Package: torchmetrics 1.9.0, PyTorch 2.15.0
# Where:   torchmetrics/functional/text/eed.py (_eed_function: number_of_visits)
# Date:    2026-11-29
# Output:
#   characters   itself   5 wrong   one more   one less
#            1    0.091     0.487      0.222      0.444
#            3    0.057     0.718      0.143      0.286
#          200    0.001     0.040      0.004      0.008
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torchmetrics==1.9.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import random
import string

from torchmetrics.functional.text import extended_edit_distance


def distance(written, text):
    return extended_edit_distance([written], [text]).item()


def row(length):
    """Distances of a random text from itself, with five digits in it, with a character more and with one less."""
    rng = random.Random(0)
    text = "".join(rng.choices(string.ascii_lowercase, k=length))
    wrong = list(text)
    for place in rng.sample(range(length), min(5, length)):
        wrong[place] = "0"
    return [distance(written, text) for written in (text, "".join(wrong), text + "0", text[:-1])]


print("characters   itself   5 wrong   one more   one less")
rows = {length: row(length) for length in (1, 3, 200)}
for length, (itself, wrong, more, less) in rows.items():
    print(f"{length:10} {itself:8.3f} {wrong:9.3f} {more:10.3f} {less:10.3f}")
assert all(abs(rows[length][0] - 0.3 / (length + 2.3)) < 0.0001 for length in rows), "a text is at 0 from itself now"
assert rows[3][0] > rows[200][1]
EOF
