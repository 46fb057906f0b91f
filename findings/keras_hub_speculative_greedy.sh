#!/usr/bin/env bash
# Speculative sampling with the target as its own draft writes the likeliest symbol in nine places of ten.
#
# Guess:   with a base sampler SpeculativeSampler is the rejection sampling of the paper that it names: the text has
#          the target's distribution, whatever the draft, by the base sampler's filters.
# Seen:    the draft is always its likeliest symbol, and is accepted as if it had been drawn: with p / q. A draft as
#          good as the target is never rejected, so that four places of five are greedy. Other drafts give other
#          distributions. The base sampler's top-k changes nothing: with k = 1 the text is as random.
# Package: keras-hub 0.32.0, keras 3.15.1 (NumPy)
# Where:   keras_hub/src/samplers/speculative_sampler.py (argmax of the draft)
# Date:    2026-11-29
# Output:
#   shares of three symbols with the probabilities .5 .3 .2
#   without a draft           0.51  0.30  0.19
#   draft .5 .3 .2            0.90  0.06  0.04
#   draft .6 .2 .2            0.79  0.19  0.03
#   draft .1 .1 .8            0.49  0.26  0.25
#     base sampler: top-k 1   0.49  0.26  0.25
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 keras==3.15.1 numpy==2.4.6 scipy==1.17.1 jax==0.10.2 \
    kagglehub==1.0.3 sentencepiece==0.2.3 tokenizers==0.23.3 regex==2026.11.19
uv pip install -q --python .venv --exclude-newer 2026-11-28 --no-deps keras-hub==0.32.0 # without TensorFlow

KERAS_BACKEND=numpy .venv/bin/python -W ignore - <<'EOF'
import numpy as np
from keras_hub.samplers import RandomSampler, SpeculativeSampler, TopKSampler

TARGET = (0.5, 0.3, 0.2)
LENGTH = 2000


def network(probs):
    """Each next symbol has these probabilities."""

    def logits(text, cache, index):
        return np.log(np.array([probs], np.float32)), None, cache

    return logits


def shares(sampler, **draft):
    text = sampler(network(TARGET), np.zeros((1, LENGTH), np.int32), **draft)
    return np.bincount(np.asarray(text).ravel(), minlength=3) / LENGTH


def speculative(draft, base=None):
    sampler = SpeculativeSampler(num_speculative_tokens=4, base_sampler=base or RandomSampler(), seed=1)
    return shares(sampler, draft_next=network(draft))


rows = {
    "without a draft": shares(RandomSampler(seed=1)),
    "draft .5 .3 .2": speculative(TARGET),
    "draft .6 .2 .2": speculative((0.6, 0.2, 0.2)),
    "draft .1 .1 .8": speculative((0.1, 0.1, 0.8)),
    "  base sampler: top-k 1": speculative((0.1, 0.1, 0.8), TopKSampler(k=1)),
}
print("shares of three symbols with the probabilities .5 .3 .2")
for name, row in rows.items():
    print(f"{name:24}", *(f"{share:5.2f}" for share in row))
assert np.allclose(rows["without a draft"], TARGET, atol=0.04)
assert rows["draft .5 .3 .2"][0] > 0.85, "the draft is drawn now"
assert rows["  base sampler: top-k 1"][0] < 0.6, "the base sampler's filter is used now"
EOF
