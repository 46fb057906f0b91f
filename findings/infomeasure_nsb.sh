#!/usr/bin/env bash
# A Bayesian entropy estimator for small samples corrects next to nothing, and from 200 characters on it is NaN.
#
# Guess:   NSB, made for samples that are small against the alphabet, is nearer to the entropy than plain frequencies
#          are, above all where it is told the size of the alphabet, and for large samples the two agree.
# Seen:    of 65 equally likely characters (6.02 bits) 50 draws have 4.92 bits by plain frequencies and 4.93 by NSB,
#          4.95 where it is told the size: the mean is taken over the symbols that were seen. For 200 draws or more it
#          is NaN, without an error: the exponent of the posterior is multiplied by the counts, and overflows. The
#          estimators of Chao and Shen and of Grassberger, in the same package, do what they are for.
# Package: infomeasure 0.6.3
# Where:   infomeasure/estimators/entropy/nsb.py (_neg_log_rho multiplies by the counts, _bayes reads len(counts))
# Date:    2026-11-29
# Output:
#   mean of 10 samples, bits; true: 6.02
#   draws        plain          NSB  NSB, K = 65    Chao-Shen  Grassberger
#      50         4.92         4.93         4.95         5.95         5.69
#     100         5.45         5.51         5.51         6.06         5.91
#     200         5.77          nan          nan         6.04         6.03
#    1000         5.98          nan          nan         5.98         6.02
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 infomeasure==0.6.3 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import logging
import math

import infomeasure as im
import numpy as np

logging.disable()  # no warnings

SYMBOLS = 65
ESTIMATORS = {
    "plain": {"approach": "discrete"},
    "NSB": {"approach": "nsb"},
    "NSB, K = 65": {"approach": "nsb", "K": SYMBOLS},
    "Chao-Shen": {"approach": "chao_shen"},
    "Grassberger": {"approach": "grassberger"},
}


def mean(draws, samples=10, **options):
    rng = np.random.default_rng(0)
    return np.mean([im.entropy(rng.integers(SYMBOLS, size=draws), base=2, **options) for _ in range(samples)])


print(f"mean of 10 samples, bits; true: {math.log2(SYMBOLS):.2f}")
print("draws", *(f"{name:>12}" for name in ESTIMATORS))
rows = {draws: {name: mean(draws, **options) for name, options in ESTIMATORS.items()} for draws in (50, 100, 200, 1000)}
for draws, row in rows.items():
    print(f"{draws:5}", *(f"{bits:12.2f}" for bits in row.values()))
for draws in (50, 100):
    assert abs(rows[draws]["NSB"] - rows[draws]["plain"]) < 0.1, "NSB corrects something now"
assert all(math.isnan(rows[draws][name]) for draws in (200, 1000) for name in ("NSB", "NSB, K = 65")), "no NaN now"
assert abs(rows[100]["Chao-Shen"] - math.log2(SYMBOLS)) < 0.3
EOF
