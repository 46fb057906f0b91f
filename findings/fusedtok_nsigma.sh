#!/usr/bin/env bash
# Top-n-sigma keeps what lies above the mean less n deviations, not above the maximum less n: nearly all symbols.
#
# Guess:   sample_nsigma keeps the symbols whose logit is within n standard deviations of the largest, as in the paper
#          that it names and in llama.cpp.
# Seen:    the threshold hangs from the mean of the logits. With Zipf's probabilities one deviation keeps 61 of 65
#          symbols, where the paper keeps 2, and 1.5 keep all: the filter does nothing with the values that its
#          description calls the best ones.
# Package: fusedtok 2.5.0 (CPU)
# Where:   fusedtok/__init__.py (sample_nsigma: mean - nsigma * sigma)
# Date:    2026-11-29
# Output:
#   symbols kept of 65
#   deviations   fusedtok   the paper
#          0.5         39           1
#            1         61           2
#            2         65           6
#            3         65          14
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 fusedtok==2.5.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import fusedtok
import numpy as np

LOGITS = -np.log(np.arange(1, 66)).astype(np.float32)


def drawn(deviations):
    return len({fusedtok.sample_nsigma(LOGITS, deviations, seed=seed) for seed in range(8000)})


print("symbols kept of 65")
print("deviations   fusedtok   the paper")
for deviations in (0.5, 1, 2, 3):
    kept, paper = drawn(deviations), (LOGITS >= LOGITS.max() - deviations * LOGITS.std()).sum()
    print(f"{deviations:10} {kept:10} {paper:11}")
    assert kept > paper + 20, "the threshold hangs from the maximum now"
EOF
