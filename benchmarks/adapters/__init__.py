"""A file for each project of others that is measured beside ours; here: what several of them want."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

from diffusion import Config

NEVER = -1e6  # logit of what cannot be: the mask


class Network(nn.Module):
    """A masked network as packages want one, which keeps what it is shown.

    predict: tokens (B, L), `mask` where masked -> logits (B, L, V); mask: V.
    """

    def __init__(self, predict, mask, length):
        super().__init__()
        self.predict = predict
        self.mask = mask
        self.config = Config(vocab_size=mask, block_size=length)
        self.lm_head = nn.Linear(1, 1)  # samplers ask parameters for their device
        self.shown = []  # x of each forward pass

    def forward(self, x, *ignored, sure=False, **more):
        """Logits (B, L, V + 1), whose last is never; sure: known characters are certain. Times and masks are ignored."""
        self.shown.append(x.clone())
        logits = F.pad(self.predict(x), (0, 1), value=NEVER)
        if sure:
            certain = torch.full_like(logits, NEVER).scatter(-1, x[..., None], 0.0)
            logits = torch.where((x == self.mask)[..., None], logits, certain)
        return logits


class HuggingFace(nn.Module):
    """A network with its logits in an object, as `transformers` returns them."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, *ignored, **more):
        """Tokens (B, L) -> an object with their logits."""
        return SimpleNamespace(logits=self.net(x))
