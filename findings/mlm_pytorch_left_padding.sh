#!/usr/bin/env bash
# Padding before a text raises the share of its masked characters from 15 % to 75 %; padding after it does not.
#
# Guess:   mask_prob = .15 masks 15 % of the characters that are no padding, wherever the padding stands. A random
#          symbol replaces only characters that are to be predicted.
# Seen:    the surplus is cut by position, not by number: columns are dropped once enough characters have gone by, and
#          where a text begins with padding none has. Of 20 characters after 80 of padding 15 are masked, of 10 after
#          90 all, and padding with them. random_token_prob = .1 replaces a tenth of all symbols, padding too; most of
#          them are not scored, so that a tenth of what the network sees is wrong without a word.
# Package: mlm-pytorch 0.1.0, PyTorch 2.15.0
# Where:   mlm_pytorch/mlm_pytorch.py (get_mask_subset_with_prob: mask_excess from mask.cumsum; MLM.forward)
# Date:    2026-11-28
# Output:
#   padding of 100   share of the characters masked, padding after   before
#                0                                           0.15     0.15
#               50                                           0.16     0.30
#               80                                           0.15     0.75
#               90                                           0.20     1.00
#   random_token_prob .1: share of the padding replaced 0.10
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 mlm-pytorch==0.1.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from mlm_pytorch import MLM

torch.set_num_threads(1)
PAD, MASK, V, ROWS, LENGTH = 0, 1, 66, 400, 100


class Watching(torch.nn.Module):
    """Keeps what it is shown; every symbol has the same logit."""

    def forward(self, idx):
        self.shown = idx
        return torch.zeros(*idx.shape, V)


def shown(text, **options):
    torch.manual_seed(0)
    network = Watching()
    MLM(network, mask_token_id=MASK, pad_token_id=PAD, num_tokens=V, **options)(text)
    return network.shown


def share_masked(text):
    return (shown(text, replace_prob=1.0)[text != PAD] == MASK).float().mean().item()


print("padding of 100   share of the characters masked, padding after   before")
torch.manual_seed(0)
text, seen = torch.randint(2, V, (ROWS, LENGTH)), {}
for padding in (0, 50, 80, 90):
    after, before = text.clone(), text.clone()
    after[:, LENGTH - padding :], before[:, :padding] = PAD, PAD
    seen[padding] = share_masked(after), share_masked(before)
    print(f"{padding:14} {seen[padding][0]:46.2f} {seen[padding][1]:8.2f}")
half = text.clone()
half[:, LENGTH // 2 :] = PAD
replaced = (shown(half, random_token_prob=0.1)[half == PAD] != PAD).float().mean().item()
print(f"random_token_prob .1: share of the padding replaced {replaced:.2f}")
assert abs(seen[0][1] - 0.15) < 0.01 and all(after < 0.21 for after, _ in seen.values())
assert seen[80][1] > 0.7 and seen[90][1] == 1, "padding before a text counts no more now"
assert 0.08 < replaced < 0.12
EOF
