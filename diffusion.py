"""Masked text diffusion: predict the characters behind masks, and write many of them at once.

    uv run diffusion.py            write from weights/diffusion.pt
    uv run diffusion.py --train    train it first

Time t runs from 1 (all masked) to 0 (text). Sources: MDLM (arXiv 2406.07524), MD4 (2406.04329), LLaDA (2502.09992);
thresholds as in Fast-dLLM (2505.22618) and nathan-barry/tiny-diffusion, spacing as in DUS (2506.19037).
What departs from gpt.py is marked [NEW].
"""

import itertools
import sys
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from lab import cli, command, training
from lab.backbone import Backbone, Config
from lab.canvas import Frame, Windows
from lab.cli import check
from lab.sampling import probabilities, sample_tokens
from lab.training import Recipe
from lab.unmasking import spaced

NAME = "diffusion"


@dataclass(frozen=True)
class Decoding:
    """How characters are drawn, and which of them at each call."""

    temp: float = 0.8  # temperature: 0 takes the likeliest character, 1 the model's own probabilities
    top_k: int | None = 2  # draw from the k likeliest characters only; None = from all
    # [NEW] which positions are filled in one call; probabilities are those after temperature
    confidence_threshold: float = 0.95  # fill a position once its top_k likeliest characters (None: 1) sum to this
    spacing: int = 0  # fill positions more than this apart in one call, surest first; 0 = all that qualify
    draft_threshold: float = 0.7  # fill a position provisionally once it reaches this (1 = never: one stage)
    confirm_threshold: float = 0.85  # make a draft final once the model, not shown it, gives it this
    replace_margin: float = 0.0  # take a draft back when another character is more probable by more than this
    target_chunk_len: int = 240  # characters filled before moving on; the rest of the window shows known text

    def __post_init__(self):
        check(self.temp >= 0, f"temp must be at least 0, not {self.temp}")
        check(self.top_k is None or self.top_k >= 1, f"top_k must be at least 1, not {self.top_k}")
        for name in ("confidence_threshold", "draft_threshold", "confirm_threshold", "replace_margin"):
            check(0 <= getattr(self, name) <= 1, f"{name} must lie in 0..1, not {getattr(self, name)}")
        check(self.spacing >= 0, f"spacing must not be negative, but is {self.spacing}")
        check(self.target_chunk_len >= 1, f"target_chunk_len must be at least 1, not {self.target_chunk_len}")


class Model(nn.Module):
    """Tokens with masks in, logits of the characters behind them out."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_emb = nn.Embedding(config.vocab_size + 1, config.n_embd)  # [NEW] last row: the mask
        self.backbone = Backbone(config, is_causal=False)  # [NEW] both sides are seen
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        nn.init.zeros_(self.lm_head.weight)

    def forward(self, idx):
        """idx: (B, T) tokens, vocab_size where masked -> (B, T, V) logits."""
        return self.lm_head(self.backbone(self.token_emb(idx)))


def corrupt(x0, config, rng):
    """[NEW] Mask a random share t of each window's characters, and the other 1 - t in its complement.

    x0: (B, T) clean tokens -> xt (2B, T), x0 twice (2B, T), masked (2B, T). Mirror images halve the variance, and
    every character counts once.
    """
    t = rng.strata(len(x0))  # (B,)
    masked = rng.rand(*x0.shape) < t[:, None]
    masked, x0 = torch.cat((masked, ~masked)).to(x0.device), torch.cat((x0, x0))
    return x0.masked_fill(masked, config.vocab_size), x0, masked


def loss(model, idx, config, rng):
    """Cross-entropy of the masked characters, nats per character.

    Each of them counts the same, however many its window has: not the likelihood bound, which averages windows.
    idx: (B, block_size + 1) tokens of clean text. Returns the scalar and no parts.
    """
    xt, x0, masked = corrupt(idx[:, :-1], config, rng)  # [NEW]
    nll = F.cross_entropy(model(xt).mT, x0, reduction="none")  # (2B, T)
    return (nll * masked).sum() / masked.sum(), {}  # [NEW] masked positions only


def choose(probs, masked, decoding):
    """[NEW] The positions of which the model is sure enough, or the surest one: (B, W) bool, and how sure, (B, W).

    probs: (B, W, V); masked: (B, W) bool, which positions may be chosen. Draws nothing.
    """
    sure = probs.topk(min(decoding.top_k or 1, probs.size(-1))).values.sum(-1)
    entropy = torch.special.entr(probs).sum(-1)
    passing = spaced(entropy, masked & (sure >= decoding.confidence_threshold), decoding.spacing)
    best = F.one_hot(sure.masked_fill(~masked, -1).argmax(-1), sure.size(-1)).bool()
    return torch.where(passing.any(-1, keepdim=True), passing, best & masked), sure


def settle(probs, idx, masked, draft, decoding, rngs):
    """[NEW] Fill in the positions of which the model is sure, draft those of which it is nearly sure, evaluator old drafts.

    probs: (B, W, V); idx: (B, W) tokens; masked: (B, W) bool, which positions may be filled; draft: (B, W) bool, the
    provisional characters that the model did not see (so that it cannot just repeat them): a confirmed one is final,
    one that is less probable than another character is masked again (arXiv 2507.18578, 2604.18738). Each unfinished row
    gets at least one final character. Returns the new idx, masked and draft; changes nothing in place.
    """
    own = probs.gather(-1, torch.where(draft, idx, 0)[..., None])[..., 0]  # (B, W)
    confirmed = draft & (own >= decoding.confirm_threshold)
    doubted = draft & ~confirmed & (probs.amax(-1) - own > decoding.replace_margin)
    chosen, sure = choose(probs, masked, decoding)
    chosen = chosen & ~((sure < decoding.confidence_threshold) & confirmed.any(1, keepdim=True))  # a draft will do
    nearly = masked & ~chosen & (sure >= decoding.draft_threshold) & (sure < decoding.confidence_threshold)
    drawn = sample_tokens(probs, decoding.top_k, rngs, masked.any(1))
    idx = torch.where(chosen | nearly, drawn, idx)
    return idx, (masked & ~chosen & ~nearly) | doubted, (draft & ~confirmed & ~doubted) | nearly


def on_trial(draft, call):
    """[NEW] The drafts (B, L) that a call hides from the model: every other position, in turn, neighbours apart."""
    return draft & ((torch.arange(draft.size(1)) + call) % 2 == 0)


def settle_window(probs, columns, fillable, trial, state, decoding, rngs):
    """[NEW] `settle` on each row's window, the columns (B, W) of the canvas; a full window's remaining drafts stand.

    fillable: (B, W) bool; trial: (B, L) bool, the drafts that this call hid and so can evaluator; state: idx, masked, draft
    (B, L). Returns the new state.
    """
    idx, masked, draft = (x.gather(1, columns) for x in state)
    hidden = trial.gather(1, columns)
    characters, still, drafts = settle(probs, idx, fillable, hidden, decoding, rngs)
    drafts = (draft & ~hidden | drafts) & still.any(1, keepdim=True)
    new = characters, masked & ~fillable | still, drafts
    return tuple(x.scatter(1, columns, y) for x, y in zip(state, new, strict=True))


@torch.no_grad()
def generate(model, canvas, decoding, rngs):
    """Fill the canvas chunk after chunk, many characters a pass.

    canvas: masked positions anywhere, masked spans included; rngs: one generator per row.
    Yields a Frame per forward pass.
    """
    config, device = model.config, model.lm_head.weight.device
    state = idx, masked, draft = canvas.idx, canvas.masked, torch.zeros_like(canvas.masked)
    windows = Windows(canvas, config.block_size, decoding.target_chunk_len)  # [NEW]
    for call in itertools.count():
        if not masked.any():
            return
        columns, fillable = windows.move(masked)  # (B, W)
        trial = on_trial(draft, call)  # [NEW]
        xt = idx.masked_fill(masked | trial, config.vocab_size).gather(1, columns)
        probs = probabilities(model(xt.to(device)), decoding.temp)  # (B, W, V)
        state = idx, masked, draft = settle_window(probs, columns, fillable, trial, state, decoding, rngs)
        yield Frame(idx, masked, draft, columns, probs, columns.size(1) / config.block_size)


@dataclass(frozen=True)
class Args(command.Args):
    decoding: Decoding = Decoding(temp=0.5, top_k=None, confidence_threshold=0.0, spacing=5, draft_threshold=1.0)
    recipe: Recipe = Recipe(iters=10000, batch_size=4, eval_every=500)
    config: Config = Config()
    # [NEW] any masked span can be filled
    infill: str | None = None  # a text whose missing characters, each written as _ (the mask symbol), are filled in

    def __post_init__(self):
        super().__post_init__()
        both = self.infill is not None and self.prompt is not None
        check(not both, "--infill fills a text that you give, --prompt goes on from one: choose one")


def main(args):
    """Train when asked to, or when there is nothing to load yet; then write."""
    if command.must_train(args, NAME):
        training.train(NAME, Model, loss, args)
    command.write(args, NAME, Model, generate, args.infill)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
