#!/usr/bin/env bash
# One Categorical draws by the softmax of its logits and reports the probabilities of another distribution.
#
# Guess:   Categorical(logits) is softmax(logits) throughout: draws, probs, log_prob and entropy speak of one
#          distribution, and a constant added to the logits changes nothing.
# Seen:    sample, entropy and kl_divergence take the softmax; probs and log_prob divide the logits by their sum. The
#          likelihood of the text that was drawn is wrong by any amount: of log-probabilities (all negative) the
#          rarest symbol is said to be the likeliest, and a logit of 0 has a log-probability of minus infinity.
#          A REINFORCE or perplexity loss on log_prob trains something else than what sample writes.
# Package: paddlepaddle 3.3.1
# Where:   paddle/distribution/categorical.py (_prob = logits / sum in __init__; sample, entropy: softmax)
# Date:    2026-11-28
# Output:
#   log-probabilities of .6 .3 .1:     drawn [0.6 0.3 0.1], said by probs [0.127 0.3   0.573]
#   the same plus 10:                  drawn [0.6 0.3 0.1], said by probs [0.365 0.339 0.296]
#   entropy .898 nats both times, as it should be
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 paddlepaddle==3.3.1 numpy==2.4.6 setuptools==80.9.0

.venv/bin/python -W ignore - <<'EOF'
import numpy as np
import paddle
from paddle.distribution import Categorical

TRUE = np.array([0.6, 0.3, 0.1], dtype=np.float32)
SYMBOLS = paddle.arange(3)
paddle.seed(0)
entropies = []
for name, constant, said in (
    ("log-probabilities of .6 .3 .1:", 0, np.log(TRUE) / np.log(TRUE).sum()),
    ("the same plus 10:", 10, (np.log(TRUE) + 10) / (np.log(TRUE) + 10).sum()),
):
    model = Categorical(paddle.to_tensor(np.log(TRUE) + np.float32(constant)))
    drawn = np.bincount(model.sample([20000]).numpy().ravel(), minlength=3) / 20000
    probs = model.probs(SYMBOLS).numpy()
    entropies.append(model.entropy().item())
    print(f"{name:34} drawn {drawn.round(2)}, said by probs {probs.round(3)}")
    assert np.abs(drawn - TRUE).max() < 0.02, "not drawn by the softmax"
    assert np.allclose(probs, said, atol=1e-3), "probs is the softmax now"
    assert np.allclose(model.log_prob(SYMBOLS).numpy(), np.log(said), atol=1e-3)
print(f"entropy {entropies[0]:.3f} nats both times, as it should be".replace("0.", "."))
assert np.allclose(entropies, -(TRUE * np.log(TRUE)).sum(), atol=1e-3)
EOF
