#!/usr/bin/env bash
# A masked-text wrapper with its default settings has a negative loss: training makes the text less likely.
#
# Guess:   with the weight of "simple masked diffusion" the loss is a bound in nats: near ln V times a positive factor
#          for a model that knows nothing, and falling while the model learns.
# Seen:    the weight is the derivative of the mask share (-1 or less) over the share still visible, so the loss is
#          negative, training lowers it without end, and the cross-entropy of the masked characters rises far above
#          ln V. With use_simple_mdlm_loss_weight=False the same training lowers it.
# Package: x-transformers 2.31.10, PyTorch 2.15.0
# Where:   x_transformers/nonautoregressive_wrapper.py:165-170 (weight), :352 (its use)
# Date:    2026-11-28
# Output:
#   ln V = 2.89        losses of 60 steps    nats per masked character
#   as it comes         -1003.9 to -14.0                14.7
#   without its weight      2.4 to   3.1                 2.7
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 x-transformers==2.31.10 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import math

import torch
import torch.nn.functional as F
from x_transformers import Encoder, NonAutoregressiveWrapper, TransformerWrapper

text = "the same words in the same order, as long as it takes. " * 40
alphabet = sorted(set(text))
V, T = len(alphabet), 32
data = torch.tensor([alphabet.index(character) for character in text])


def train(**options):
    """The losses of 60 steps, and the nats of half-masked text after them."""
    torch.manual_seed(0)
    net = TransformerWrapper(num_tokens=V + 1, max_seq_len=T, attn_layers=Encoder(dim=32, depth=1, heads=2))
    wrapper = NonAutoregressiveWrapper(net, mask_id=V, **options)
    optimiser = torch.optim.Adam(wrapper.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        idx = torch.stack([data[i : i + T] for i in torch.randint(len(data) - T, (16,))])
        loss = wrapper(idx).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    wrapper.eval()
    masked = torch.rand(idx.shape) < 0.5
    with torch.no_grad():
        nats = F.cross_entropy(net(idx.masked_fill(masked, V))[masked], idx[masked]).item()
    return losses, nats


losses, spoilt = train()
plain, nats = train(use_simple_mdlm_loss_weight=False)
print(f"ln V = {math.log(V):.2f}        losses of 60 steps    nats per masked character")
print(f"as it comes      {min(losses):10.1f} to {max(losses):5.1f}{spoilt:20.1f}")
print(f"without its weight{min(plain):9.1f} to {max(plain):5.1f}{nats:20.1f}")
assert max(losses) < 0 < min(plain) and spoilt > 2 * math.log(V) > 2 * nats, "the default loss trains towards the text"
EOF
