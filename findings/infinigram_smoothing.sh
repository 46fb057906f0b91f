#!/usr/bin/env bash
# The smoothed probabilities of an n-gram model of characters add up to a fifth.
#
# Guess:   predict() returns a distribution: with add-one smoothing over 256 bytes its values add up to 1, or are
#          normalised again if only the best are returned.
# Seen:    the 50 likeliest of 256 symbols are returned as they are. Their sum is .21 with smoothing 1 and .69 with
#          .01; without smoothing, with fewer than 50 continuations, it is 1, which hides it. Mixed with another
#          model, or used as a draft's q(x), the missing mass goes nowhere. score() does use all 256, and gives the
#          first character of a text 1/256, whatever it is: no context counts as no knowledge.
# Package: py-infinigram 0.7.0
# Where:   infinigram/infinigram.py:655 (top_k = 50), :686-687
# Date:    2026-11-28
# Output:
#   smoothing  0.0: 1.00 in all, 1.00 with top_k=256
#   smoothing 0.01: 0.69 in all, 1.00 with top_k=256
#   smoothing  1.0: 0.21 in all, 1.00 with top_k=256
#   ln p of a text's first character, t and z: -5.545 -5.545
#   ln 1/256: -5.545
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 py-infinigram==0.7.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import math

from infinigram import Infinigram

model = Infinigram(b"the cat sat on the mat. the rat ate the fat bat.")
context = list(b"the ")


def total(smoothing, **options):
    return sum(model.predict(context, smoothing=smoothing, **options).values())


sums = {smoothing: total(smoothing) for smoothing in (0.0, 0.01, 1.0)}
for smoothing, value in sums.items():
    print(f"smoothing {smoothing:4}: {value:.2f} in all, {total(smoothing, top_k=256):.2f} with top_k=256")
first = [model.score([character]) for character in b"tz"]
print("ln p of a text's first character, t and z:", *(f"{score:.3f}" for score in first))
print(f"ln 1/256: {-math.log(256):.3f}")
assert abs(sums[0.0] - 1) < 1e-9 and sums[0.01] < 0.7 and sums[1.0] < 0.25, "the probabilities add up to 1 now"
assert all(abs(score + math.log(256)) < 1e-6 for score in first), "the first character counts by its frequency now"
EOF
