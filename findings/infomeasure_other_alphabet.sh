#!/usr/bin/env bash
# A text that shares no character with the model has cross-entropy 0, and a divergence below that of the text itself.
#
# Guess:   the cross-entropy of a text under the frequencies of another is infinite if the other lacks one of its
#          characters, or an error; a Kullback-Leibler divergence is never negative.
# Seen:    characters that the other text lacks are left out of the sum: what a model holds impossible costs nothing.
#          The more characters are unknown the better the score: 0 bits for a text without a known one, against 1 bit
#          for the text itself, and the divergence, taken from it, falls to -1 bit. The Jensen-Shannon divergence is
#          right. A warning is logged only where no character at all is known.
# Package: infomeasure 0.6.3
# Where:   infomeasure/estimators/entropy/discrete.py (_cross_entropy)
# Date:    2026-11-29
# Output:
#   bits of abab... under   cross-entropy   Kullback-Leibler   Jensen-Shannon
#   itself                           1.00               0.00             0.00
#   acac...                          0.50              -0.50             0.50
#   cdcd...                          0.00              -1.00             1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 infomeasure==0.6.3 numpy==2.4.6

.venv/bin/python - <<'EOF'
import logging

import infomeasure as im

logging.disable()  # no warnings

TEXT = list("ab" * 50)
MODELS = {"itself": "ab" * 50, "acac...": "ac" * 50, "cdcd...": "cd" * 50}
MEASURES = (im.cross_entropy, im.kullback_leiber_divergence, im.jensen_shannon_divergence)


def bits(measure, model):
    return float(measure(TEXT, list(model), approach="discrete", base=2)) + 0.0


rows = {name: [bits(measure, model) for measure in MEASURES] for name, model in MODELS.items()}
print("bits of abab... under   cross-entropy   Kullback-Leibler   Jensen-Shannon")
for name, row in rows.items():
    print(f"{name:21} {row[0]:15.2f} {row[1]:18.2f} {row[2]:16.2f}")
cross, divergence, symmetric = ([round(value, 6) for value in column] for column in zip(*rows.values(), strict=True))
assert symmetric == [0, 0.5, 1]
assert cross == [1, 0.5, 0] and divergence == [0, -0.5, -1], "an unknown character costs something now"
EOF
