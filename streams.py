"""Streams: a text in parts that are written in step, each from left to right, all in view of each other.

    uv run streams.py              write from weights/streams.pt
    uv run streams.py --train      train it first

A chunk of 240 characters in 4 streams takes 60 forward passes: pass k writes the k-th character of every stream. A position
sees its own stream up to itself, and of the others, those to the right too, what earlier passes wrote; the end of a stream
knows what it runs into. (As in GPT a token is shown at the position after it: the last one of a stream is in nobody's view.)
One stream is GPT; as many as characters are masked diffusion in one pass. The passes of a chunk compute every position once,
with cached keys and values, and the loss is the exact likelihood of what they write at temperature 1, no bound.

Sources: Scatter (arXiv 2604.24832), ARMD (2601.16971); blocks of BD3-LM (2503.09573). Steps away from gpt.py: [NEW].
"""

import math
import sys
from dataclasses import dataclass
from typing import NamedTuple

import lab.start  # noqa: F401 (before PyTorch)

import torch
from torch import nn
from torch.nn import functional as F

from lab import cli, command
from lab.cli import check_range
from lab.decoding.canvas import Windows
from lab.decoding.sampling import choose_tokens, probabilities, uniforms
from lab.model import backbone
from lab.model.backbone import Backbone, View, empty_layers, zero_linear
from lab.model.likelihood import ROWS
from lab.model.method import Method
from lab.training.trainer import Recipe


@dataclass(frozen=True)
class Config(backbone.Config):
    """Sizes and dropout of a model; stored in its checkpoint."""

    ahead: int = 8  # [NEW] characters on the right that the convolution reaches, where they are in view

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 0, 1000, "ahead")


@dataclass(frozen=True)
class Decoding:
    """How characters are drawn."""

    temp: float = 0.5  # temperature: 0 takes the likeliest character, 1 the model's own probabilities
    top_k: cli.one_number_or_all() = None  # draw from the k likeliest characters only, or from all
    streams: int = 4  # [NEW] parts of a chunk without gaps, which are written in step; 1: from left to right
    target_chunk_len: int = 240  # [NEW] positions of a chunk; the rest of the window shows known text

    def __post_init__(self):
        check_range(self, 0, math.inf, "temp")
        check_range(self, 1, math.inf, "top_k", "streams", "target_chunk_len")


class Model(nn.Module):
    """Tokens in, logits out."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_emb = nn.Embedding(config.vocab_size + 1, config.n_embd)  # [NEW] last row: the mask
        nn.init.normal_(self.token_emb.weight, std=0.02)  # learns faster than from PyTorch's 1
        self.backbone = Backbone(config, is_causal=True, ahead=config.ahead)  # [NEW]
        self.lm_head = zero_linear(config.n_embd, config.vocab_size)

    def forward(self, idx, visible, cache=None, columns=None):
        """idx: (B, S) the token before each position, vocab_size where none is written yet -> (B, S, V) logits of its own.

        visible: (B, S, T) as `visible_to` gives it. With a cache, only the positions in columns (B, S) are computed.
        """
        view = View(visible, self.config.conv_width - 1, self.config.ahead, cache, columns)  # [NEW]
        return self.lm_head(self.backbone(self.token_emb(idx), view))


class Order(NamedTuple):
    """[NEW] When each position is written: (B, T) each."""

    passes: torch.Tensor  # the pass; below 0 and rising where it is known
    begins: torch.Tensor  # the first position of its stream; KNOWN where it is known


KNOWN = -1


def order_of(known, streams, moves=None):
    """[NEW] The Order of streams that write what is not known: masked spans are cut into pieces of ceil(masked / streams).

    known: (B, T) bool; streams: how many, of a text without gaps, or (B, 1); moves: (B, T) bool, whether a position is written
    a pass later than the one before it in its stream, rather than in the same one (default: all).
    """
    i, masked = torch.arange(known.size(1), device=known.device), (~known).sum(1, keepdim=True)
    length = (masked.clamp(min=1) + streams - 1) // streams  # the last one may be shorter
    span = torch.where(known, i + 1, 0).cummax(1).values.clamp(max=known.size(1) - 1)  # its first position
    begins = span + (i - span) // length * length
    moved = (torch.ones_like(known) if moves is None else moves).cumsum(1)
    passes = moved - moved.gather(1, begins.clamp(min=0))
    return Order(passes.where(~known, i - known.size(1)), begins.where(~known, KNOWN))


def shown(before, begins, vocab_size):
    """[NEW] What each position is shown of the token before it, (B, T): the mask where that is another stream's."""
    left = F.pad(begins, (1, 0), value=KNOWN)[:, :-1]
    return before.where((left == begins) | (left == KNOWN), vocab_size)


def visible_to(order, columns=None):
    """[NEW] Who sees whom, (B, S, T) bool: each position of columns (B, S), default all, and what it sees.

    That is its own stream up to itself, and of the others, on either side, what is shown a token of an earlier pass.
    """
    passes, begins = order
    i = torch.arange(passes.size(1), device=passes.device).expand_as(passes)
    columns = i if columns is None else columns
    since = passes.clone()  # the first pass in which the token shown at a position is known
    since[:, 1:] = torch.where(begins[:, 1:] == begins[:, :-1], passes[:, :-1] + 1, passes[:, 1:])
    own = (begins[:, None] == begins.gather(1, columns)[..., None]) & (i[:, None] <= columns[..., None])
    return own | (since[:, None] <= passes.gather(1, columns)[..., None])


def nats(model, idx, order, vocab_size):
    """Cross-entropy of each token after the first of idx (B, T + 1), written in an Order: (B, T)."""
    logits = model(shown(idx[:, :-1], order.begins, vocab_size), visible_to(order))
    return F.cross_entropy(logits.mT, idx[:, 1:], reduction="none")


def loss(model, idx, config, rng):
    """Cross-entropy of the characters that streams write, nats per character.

    idx: (B, block_size + 1) tokens of clean text. Returns the scalar and no parts. [NEW] Rows have 1, 2, 4 or 8 streams, a
    prompt of up to 31 characters, and one in four a known end, too, of up to half the window. In every other row a stream
    may write several characters in a pass, and in one of 16 nothing is known of the text before the window. Processes that
    train together each divide by the characters that they write themselves.
    """
    B, T, device, V = len(idx), config.block_size, idx.device, config.vocab_size
    i, streams = torch.arange(T), 2 ** (4 * rng.stratified(B)).long()[:, None]  # (B, 1)
    prompt, end = (rng.rand(B, 1) * T / 8).floor(), ((1 - 4 * rng.rand(B, 1)).clamp(min=0) * T / 2).floor()
    known = (i < prompt) | (i >= T - end)
    moves = rng.rand(B, T) < 1 / 8 + 7 / 4 * rng.rand(B, 1)
    order = order_of(known.to(device), streams.to(device), moves.to(device))
    first = idx[:, :1].masked_fill(rng.rand(B, 1).to(device) < 1 / 16, V)
    nll, written = nats(model, torch.cat((first, idx[:, 1:]), 1), order, V), order.passes >= 0
    return (nll * written).sum() / written.sum(), {}


@torch.no_grad()
def path_nll(model, windows, masked, streams=Decoding.streams):
    """Exact negative log-likelihood of streams that write some characters at temperature 1, and their forward passes.

    windows: (n, T) windows; masked: (T,) bool, which characters are written, not the first. Returns (n,) nats per character
    and the number of passes.
    """
    order = order_of(~masked[None, 1:].to(windows.device), streams)
    nll = torch.cat([nats(model, idx, order, model.config.vocab_size) for idx in windows.split(ROWS)])
    return (nll * (order.passes >= 0)).sum(1) / masked.sum(), int(order.passes.max()) + 1


def exact_nll(model, windows, repeats=1):
    """The same of whole windows (n, block_size + 1), each starting on the last character of the one before: (n,) nats."""
    return path_nll(model, windows, torch.arange(windows.size(1)) > 0)[0]


def forward_pass(model, before, order, due, cache):
    """[NEW] Compute the positions that are due, (B, T) bool, behind what a cache holds: columns (B, S), logits (B, S, V).

    before: (B, T) the token before each position. Rows with fewer compute others too, which changes nothing that is in view.
    """
    device = model.lm_head.weight.device
    columns = due.long().argsort(dim=1, descending=True, stable=True)[:, : int(due.sum(1).max())]
    x = shown(before, order.begins, model.config.vocab_size).gather(1, columns)
    return columns, model(x.to(device), visible_to(order, columns).to(device), cache, columns.to(device))


@torch.inference_mode()
def generate(model, canvas, decoding, rngs):
    """Write the canvas chunk after chunk, a character of every stream a pass, with cached keys and values.

    canvas: masked positions anywhere; rngs: one generator per row.
    Yields a Frame per forward pass.
    """
    config = model.config
    windows = Windows(canvas, config.block_size, decoding.target_chunk_len)
    B, W = len(canvas.idx), windows.width
    cache = empty_layers(config, B, W, like=model.lm_head.weight)
    order = Order(*torch.zeros(2, B, W, dtype=torch.long))
    while windows.masked.any():
        window = windows.next_window()
        unfinished = window.masked.any(1, keepdim=True)  # (B, 1)
        begins = unfinished & (window.calls == 0)
        if begins.any():
            later = window.hidden & ~window.masked  # of a later chunk: in nobody's view
            chunk = [x.masked_fill(later, W) for x in order_of(~window.masked, decoding.streams)]
            order = Order(*(torch.where(begins, *x) for x in zip(chunk, order, strict=True)))
        due = unfinished & (order.passes.clamp(min=0) == window.calls)  # the known text with the first characters
        before = F.pad(windows.idx, (1, 0), value=config.vocab_size).gather(1, windows.columns)
        columns, logits = forward_pass(model, before, order, due, cache)
        probs = probabilities(logits, decoding.temp)
        u = uniforms(W, rngs, unfinished[:, 0]).gather(1, columns)
        drawn = window.idx.scatter(1, columns, choose_tokens(probs, decoding.top_k, u))
        chosen = due & window.masked
        idx = torch.where(chosen, drawn, window.idx)
        frame = windows.commit(window, idx, window.masked & ~chosen, window.drafts, probs)
        yield frame._replace(columns=windows.start + columns, computed=columns.size(1) / config.block_size)


METHOD = Method(
    name="streams",
    title="Streams",
    config=Config(dropout=0.2),
    recipe=Recipe(iters=10000, batch_size=12, eval_every=500),
    decoding=Decoding(),
    Model=Model,
    loss=loss,
    generate=generate,
    nll=exact_nll,
    is_exact=True,
)


if __name__ == "__main__":
    sys.exit(command.run(METHOD))
