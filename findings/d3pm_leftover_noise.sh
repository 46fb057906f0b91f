#!/usr/bin/env bash
# A sampler returns the noise of its last step: all but one of 64 positions are uniformly random symbols.
#
# Guess:   positions that are not accepted are made random for the next pass to look at, and the last pass decides
#          all: with an independent model at temperature 1 the text has the model's probabilities.
# Seen:    the last pass accepts within the entropy budget as any other, and what it does not accept is returned as
#          uniform noise. Nothing that an earlier pass accepted is kept. Where a position has 1.3 nats, the default
#          budget of .1 takes one position; a budget above the whole entropy gives the model's probabilities.
#          The text of a poor model looks like noise because it is, whatever the model knows.
# Package: d3pm 0.0.1, mlx 0.32.4
# Where:   d3pm/_src/accept.py:102-105, d3pm/_src/sampler.py:69 (the last canvas is the result)
# Date:    2026-11-28
# Output:
#   the model's probabilities: 0.500 0.250 0.125 0.075 0.050
#   budget .1, the default:    0.207 0.197 0.192 0.190 0.214
#   budget 1000:               0.506 0.250 0.125 0.069 0.051
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 d3pm==0.0.1 "mlx[cpu]==0.32.4" numpy==2.4.6

.venv/bin/python - <<'EOF'
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
from d3pm._src.config import DiffusionConfig, SamplerConfig
from d3pm._src.process import DiffusionProcess
from d3pm._src.sampler import Sampler

PROBS = np.array([0.5, 0.25, 0.125, 0.075, 0.05])
V = len(PROBS)


class Independent:
    """Every position has the same distribution, whatever stands elsewhere."""

    config = SimpleNamespace(d_model=1)

    def __call__(self, canvas, hint):
        return SimpleNamespace(logits=mx.broadcast_to(mx.log(mx.array(PROBS.astype(np.float32))), (*canvas.shape, V)))

    def encode_logits(self, logits):
        return mx.zeros((*logits.shape[:2], 1))


def shares(budget):
    """Of the symbols, in 40 texts of 64 positions and 16 passes."""
    config = SamplerConfig(16, max_temperature=1.0, min_temperature=1.0, entropy_bound=budget, seq_len=64)
    sampler = Sampler(Independent(), DiffusionProcess(DiffusionConfig(V)), config)
    texts = [np.array(sampler.generate(mx.random.key(seed))) for seed in range(40)]
    return np.bincount(np.ravel(texts), minlength=V) / np.size(texts)


print("the model's probabilities:", *(f"{value:.3f}" for value in PROBS))
default, whole = shares(0.1), shares(1000.0)
print("budget .1, the default:   ", *(f"{value:.3f}" for value in default))
print("budget 1000:              ", *(f"{value:.3f}" for value in whole))
assert abs(default - 1 / V).max() < 0.04, "the text is no longer uniform noise"
assert abs(whole - PROBS).max() < 0.04, "a budget above the entropy no longer gives the model's probabilities"
EOF
