"""Autoregressive text generation: predict the next character, one at a time (the baseline).

    uv run gpt.py                  write from weights/gpt.pt
    uv run gpt.py --train          train it first

After Karpathy's nanochat/gpt.py and ng-video-lecture/gpt.py, by way of nathan-barry/tiny-diffusion.
"""

import sys
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from lab import cli, command, training
from lab.backbone import Backbone, Cache, Config
from lab.canvas import Frame
from lab.cli import check
from lab.sampling import probabilities, sample_tokens
from lab.training import Recipe

NAME = "gpt"


@dataclass(frozen=True)
class Decoding:
    """How characters are drawn."""

    temp: float = 0.8  # temperature: 0 takes the likeliest character, 1 the model's own probabilities
    top_k: int | None = 2  # draw from the k likeliest characters only; None = from all

    def __post_init__(self):
        check(self.temp >= 0, f"temp must be at least 0, not {self.temp}")
        check(self.top_k is None or self.top_k >= 1, f"top_k must be at least 1, not {self.top_k}")


class Model(nn.Module):
    """Tokens in, logits of each next token out."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_emb = nn.Embedding(config.vocab_size, config.n_embd)
        self.backbone = Backbone(config, is_causal=True)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        nn.init.zeros_(self.lm_head.weight)

    def forward(self, idx, cache=None):
        """idx: (B, T) tokens -> (B, T, V) logits; with a cache, idx follows the positions that it holds."""
        return self.lm_head(self.backbone(self.token_emb(idx), cache))


def loss(model, idx, config, rng):
    """Cross-entropy of each next character, nats per character.

    idx: (B, block_size + 1) tokens of clean text. Returns the scalar and no parts.
    """
    logits = model(idx[:, :-1])  # (B, T, V)
    return F.cross_entropy(logits.mT, idx[:, 1:]), {}


def known_prefix(masked):
    """Characters known at the start of each row: masked (B, L) -> (B,). Raises UserError on a masked span or an empty prompt."""
    known = (~masked).int()
    check(
        known.cumprod(1).equal(known), "gpt writes from left to right and cannot fill a masked span; use diffusion.py"
    )
    check(int(known.sum(1).min()) > 0, "gpt needs a prompt of at least one character")
    return known.sum(1)


@torch.no_grad()
def read_on(model, idx, n, cache):
    """One forward pass that predicts character n from those before it.

    idx: (B, L) tokens; cache: what the pass for character n - 1 returned, or None to start. When it is full, a new one
    starts with the newest half of the context: the model only ever sees windows like those it was trained on.
    Returns the logits (B, 1, V), the cache, and the number of positions computed.
    """
    size = model.config.block_size
    if cache is None or cache.length == size:
        fresh = min(n, size) if cache is None else max(1, size // 2)
        cache = Cache(model.config, len(idx), like=model.lm_head.weight)
    else:
        fresh = 1
    return model(idx[:, n - fresh : n].to(model.lm_head.weight.device), cache)[:, -1:], cache, fresh


@torch.no_grad()
def generate(model, canvas, decoding, rngs):
    """Write the canvas from left to right, one character a pass, with cached keys and values.

    canvas: every row known up to some position and masked from there on; rngs: one generator per row.
    Yields a Frame per forward pass. Raises UserError on a masked span.
    """
    config, cache = model.config, None
    idx, masked = canvas.idx, canvas.masked
    for n in range(int(known_prefix(masked).min()), idx.size(1)):
        logits, cache, fresh = read_on(model, idx, n, cache)
        probs = probabilities(logits, decoding.temp)  # (B, 1, V)
        characters = sample_tokens(probs, decoding.top_k, rngs, masked[:, n])  # (B, 1)
        columns = torch.full_like(characters, n)
        idx = idx.scatter(1, columns, torch.where(masked[:, n : n + 1], characters, idx[:, n : n + 1]))
        masked = masked.scatter(1, columns, False)
        yield Frame(idx, masked, torch.zeros_like(masked), columns, probs, fresh / config.block_size)


@dataclass(frozen=True)
class Args(command.Args):
    """GPT's own defaults: dropout and calibration, since it reads a megabyte thirty times, never under other masks.

    A calibrated model writes at .65 what it would write at .8 otherwise.
    """

    decoding: Decoding = Decoding(temp=0.65, top_k=None)
    recipe: Recipe = Recipe(iters=10000, batch_size=12)
    config: Config = Config(dropout=0.2)
    calibrate: bool = True  # with --train: whether to end by fitting one temperature to held-out text


def main(args):
    """Train when asked to, or when there is nothing to load yet; then write."""
    if command.must_train(args, NAME):
        training.train(NAME, Model, loss, args)
    command.write(args, NAME, Model, generate)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
