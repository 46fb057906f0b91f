"""Masked text diffusion: predict the characters behind masks, and write many of them at once.

    uv run diffusion.py            write from weights/diffusion.pt
    uv run diffusion.py --train    train it first

Time t runs from 1 (all masked) to 0 (text). No logit for the mask, and known characters stay: MDLM (arXiv 2406.07524).
The likelihood bound: MD4 (2406.04329). The network is not told t: LLaDA (2502.09992). Steps away from gpt.py: [NEW].
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
from lab.decoding import two_stage
from lab.decoding.canvas import Windows
from lab.decoding.revision import revised
from lab.decoding.sampling import sample_tokens
from lab.decoding.unmasking import MOST, reverse_step, select_positions, two_temps
from lab.model.backbone import Backbone, Config, zero_linear
from lab.model.likelihood import nelbo
from lab.model.method import Method
from lab.training.trainer import Recipe


@dataclass(frozen=True)
class Decoding:
    """How characters are drawn."""

    temp: float = 0.8  # temperature: 0 takes the likeliest character, 1 the model's own probabilities
    top_k: cli.one_number_or_all() = None  # draw from the k likeliest characters only, or from all
    # [NEW] which positions a pass unmasks: those with enough confidence, apart from each other, or at random (steps)
    confidence_threshold: float = 0.0  # unmask positions at least this confident; if none is, the most confident one
    spacing: int = 8  # positions unmasked in one pass lie more than this apart; 0: anywhere
    draft_threshold: float = 1.0  # below confidence_threshold: two stages, with drafts at least this confident
    confirm_threshold: float = 0.85  # two stages: a draft becomes final at this probability
    replace_margin: float = 0.0  # two stages: a draft is masked again when another character leads by more than this
    steps: int = 0  # ancestral sampling in this many passes a chunk, whatever the confidence; 0: by confidence
    target_chunk_len: int = 240  # positions of a chunk, from a masked one on; the rest of the window shows known text
    cool_to: float = 0.0  # share of the temperature that is left when a chunk is full; 1: it stays, above 1: it rises
    revise: int = 0  # sweeps over the written text, each of 9 passes a chunk that redraw every ninth character

    def __post_init__(self):
        check_range(self, 0, math.inf, "temp", "cool_to")
        check_range(self, 0, MOST, "spacing", "steps", "revise")
        check_range(self, 1, math.inf, "top_k", "target_chunk_len")
        check_range(self, 0, 1, "confidence_threshold", "draft_threshold", "confirm_threshold", "replace_margin")


class Model(nn.Module):
    """Tokens in, logits out."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_emb = nn.Embedding(config.vocab_size + 1, config.n_embd)  # [NEW] last row: the mask
        nn.init.normal_(self.token_emb.weight, std=0.02)  # learns faster than from PyTorch's 1
        self.backbone = Backbone(config, is_causal=False)  # [NEW] both sides are seen
        self.lm_head = zero_linear(config.n_embd, config.vocab_size)

    def forward(self, idx):
        """idx: (B, T) tokens, vocab_size where masked -> (B, T, V) logits."""
        return self.lm_head(self.backbone(self.token_emb(idx)))


def corrupt(x0, config, rng):
    """[NEW] Mask each character of a window with probability t; a second copy masks exactly the others.

    x0: (B, T) clean tokens -> xt (2B, T), x0 twice (2B, T), masked (2B, T). Complementary masks lower the variance, and
    every character counts once. t is logit-normal, not uniform: values near 1/2 teach faster (arXiv 2605.13026).
    """
    t = torch.special.ndtri(rng.stratified(len(x0))).sigmoid()  # (B,), logit-normal: uniform numbers, made normal
    masked = rng.rand(*x0.shape) < t[:, None]
    masked, x0 = torch.cat((masked, ~masked)).to(x0.device), torch.cat((x0, x0))
    return x0.masked_fill(masked, config.vocab_size), x0, masked


def loss(model, idx, config, rng):
    """Cross-entropy of the masked characters, nats per character.

    idx: (B, block_size + 1) tokens of clean text. Returns the scalar and no parts.
    """
    xt, x0, masked = corrupt(idx[:, :-1], config, rng)  # [NEW]
    nll = F.cross_entropy(model(xt).mT, x0, reduction="none")  # (2B, T), each character at its own position
    return (nll * masked).sum() / masked.sum(), {}  # [NEW] masked positions only; unlike MDLM without weight 1 / t


def unmask(window, probs, conf_probs, decoding, rngs):
    """[NEW] A denoising step: positions by conf_probs, tokens from probs, (B, W, V) both -> idx, masked, drafts (B, W)."""
    drawn = sample_tokens(probs, decoding.top_k, rngs, window.masked.any(1))
    if decoding.steps:  # ancestral sampling, whatever the confidence
        return reverse_step(window, drawn, decoding.steps, rngs)
    chosen = select_positions(conf_probs, window.masked, decoding)  # lowest entropy first, `spacing` apart
    if two_stage.is_on(decoding):
        return two_stage.verify_drafts(window, conf_probs, chosen, drawn, decoding)
    return torch.where(chosen, drawn, window.idx), window.masked & ~chosen, window.drafts


@revised  # [NEW]
@torch.inference_mode()
def generate(model, canvas, decoding, rngs):
    """Fill the canvas chunk after chunk, many characters a pass; each pass computes a whole window.

    canvas: masked positions anywhere; rngs: one generator per row.
    Yields a Frame per forward pass.
    """
    device, config = model.lm_head.weight.device, model.config
    windows = Windows(canvas, config.block_size, decoding.target_chunk_len)  # [NEW]
    while windows.masked.any():
        window = windows.next_window()  # [NEW]
        # [NEW] hidden: masked, or a draft that is checked
        x = window.idx.masked_fill(window.hidden, config.vocab_size)
        probs, conf_probs = two_temps(model(x.to(device)), decoding, window)  # to draw by, to choose by: (B, W, V)
        yield windows.commit(window, *unmask(window, probs, conf_probs, decoding, rngs), probs)


METHOD = Method(
    name="diffusion",
    title="Masked diffusion",
    config=Config(),
    recipe=Recipe(iters=10000, muon_lr=0.015, adam_lr=0.0045, eval_every=500),
    decoding=Decoding(),
    Model=Model,
    loss=loss,
    generate=generate,
    nll=nelbo,  # [NEW] the likelihood bound
)


if __name__ == "__main__":
    sys.exit(command.run(METHOD))
