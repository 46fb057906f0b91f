"""Autoregressive text generation: predict the next character, one at a time.

    uv run gpt.py                  write from weights/gpt.pt
    uv run gpt.py --train          train it first

After Karpathy's nanochat/gpt.py and ng-video-lecture/gpt.py, by way of nathan-barry/tiny-diffusion.
"""

import math
import sys
from dataclasses import dataclass

import lab.start  # noqa: F401 (before PyTorch)

import torch
from torch import nn
from torch.nn import functional as F

from lab import cli, command
from lab.cli import check_range
from lab.decoding.canvas import Frame
from lab.decoding.sampling import probabilities, sample_tokens
from lab.model.backbone import Backbone, Cache, Config, zero_linear
from lab.model.likelihood import exact_nll
from lab.model.method import Method
from lab.training.trainer import Recipe


@dataclass(frozen=True)
class Decoding:
    """How characters are drawn."""

    temp: float = 0.65  # temperature: 0 takes the likeliest character, 1 the model's own probabilities
    top_k: cli.one_number_or_all() = None  # draw from the k likeliest characters only, or from all

    def __post_init__(self):
        check_range(self, 0, math.inf, "temp")
        check_range(self, 1, math.inf, "top_k")


class Model(nn.Module):
    """Tokens in, logits out."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_emb = nn.Embedding(config.vocab_size, config.n_embd)
        nn.init.normal_(self.token_emb.weight, std=0.02)  # learns faster than from PyTorch's 1
        self.backbone = Backbone(config, is_causal=True)
        self.lm_head = zero_linear(config.n_embd, config.vocab_size)

    def forward(self, idx, cache=None):
        """idx: (B, T) tokens -> (B, T, V) logits of each next one; with a cache, idx follows the positions that it holds."""
        return self.lm_head(self.backbone(self.token_emb(idx), cache))


def loss(model, idx, config, rng):
    """Cross-entropy of each next character, nats per character.

    idx: (B, block_size + 1) tokens of clean text. Returns the scalar and no parts.
    """
    logits = model(idx[:, :-1])  # (B, T, V)
    return F.cross_entropy(logits.mT, idx[:, 1:]), {}


@torch.inference_mode()
def generate(model, canvas, decoding, rngs):
    """Write the canvas from left to right, one character a pass, with cached keys and values.

    canvas: known up to some position, masked from there on (else UserError); rngs: one generator per row.
    Yields a Frame per forward pass.
    """
    device, idx, masked = model.lm_head.weight.device, canvas.idx, canvas.masked
    cache = Cache(model.config, len(idx), like=model.lm_head.weight)
    for n in range(int(canvas.prompt_lengths().min()), idx.size(1)):
        x = cache.next_input(idx, n)
        probs = probabilities(model(x.to(device), cache)[:, -1:], decoding.temp)  # (B, 1, V)
        drawn = sample_tokens(probs, decoding.top_k, rngs, masked[:, n])  # (B, 1)
        column = torch.full_like(drawn, n)
        idx = idx.scatter(1, column, torch.where(masked[:, n : n + 1], drawn, idx[:, n : n + 1]))
        masked = masked.scatter(1, column, False)
        yield Frame(idx, masked, torch.zeros_like(masked), column, probs, x.size(1) / cache.size)


METHOD = Method(
    name="gpt",
    title="GPT",
    config=Config(dropout=0.2),
    recipe=Recipe(iters=5000, batch_size=12),
    decoding=Decoding(),
    Model=Model,
    loss=loss,
    generate=generate,
    nll=exact_nll,
    is_exact=True,
    is_causal=True,
)


if __name__ == "__main__":
    sys.exit(command.run(METHOD))
