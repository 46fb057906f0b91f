#!/usr/bin/env bash
# In a "masked diffusion" loss a text that is 90 % masked weighs nine times one that is 10 % masked.
#
# Guess:   the bound's weight: 1/t on the sum over masks, that is the same weight for each text once its masked
#          characters are averaged; and a text's weight depends on its own t.
# Seen:    the average is multiplied by 1/(1 - t): the texts that say least about their masks count most.
#          The weights are then divided by the batch's mean: a text's share depends on its neighbours' t, and
#          a batch of one has weight 1 whatever its t.
# Package: bitnet-dllm 1.3.0, PyTorch 2.15.0
# Where:   bitnet_dllm/loss.py:43-46 (t grows with the masks: dataset.py:78-79)
# Date:    2026-11-28
# Output:
#   share of masks:        0.1   0.5   0.9
#   weight, one batch:    0.25  0.46  2.29
#   weight, each alone:   1.00  1.00  1.00
#   the bound's:          1.00  1.00  1.00
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 bitnet-dllm==1.3.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
from bitnet_dllm import BitDiffLMLoss

V, T, MASK = 9, 100, 9


def weights(*shares):
    """What the average loss of each text is multiplied by, in a batch of texts with these shares of masks."""
    share = torch.tensor(shares)
    labels = torch.zeros(len(shares), T, dtype=torch.long)
    idx = torch.where(torch.arange(T) < T * share[:, None], MASK, labels)
    scale = torch.ones(len(shares), requires_grad=True)
    logits = torch.zeros(len(shares), T, V + 1)
    logits[..., 0] = 1.0
    loss = BitDiffLMLoss(mask_token_id=MASK)(scale[:, None, None] * logits, labels, idx, share, torch.ones_like(idx))
    (gradient,) = torch.autograd.grad(loss["loss"], scale)
    (plain,) = torch.autograd.grad(-(scale[:, None] * logits[:, 0]).log_softmax(-1)[:, 0].mean(), scale)
    return (gradient / plain).tolist()


print("share of masks:     ", *(f"{share:5.1f}" for share in (0.1, 0.5, 0.9)))
together = weights(0.1, 0.5, 0.9)
alone = [weights(share)[0] for share in (0.1, 0.5, 0.9)]
print("weight, one batch:  ", *(f"{weight:5.2f}" for weight in together))
print("weight, each alone: ", *(f"{weight:5.2f}" for weight in alone))
print("the bound's:        ", *(f"{1:5.2f}" for _ in together))
assert 8.9 < together[2] / together[0] < 9.1, "a text with more masks no longer weighs more"
assert all(abs(weight - 1) < 0.01 for weight in alone), "a text's own t counts in a batch of one"
EOF
