"""Damage held-out text and restore it: how many characters and words come back, by which method, in how many passes?

    uv run -m benchmarks.restoring

Windows of the test split lose a share of their characters: scattered, in spans of 2 to 10, or at the end of each line. The
masked models write the likeliest characters, all in one pass, or spaced in several. GPT and n-grams go from left to right by a
beam search, which scores the known characters to the right of a gap as well; of the texts it keeps the most probable
character of each position counts. A beam of one text is GPT that sees the left side only.
"""

import re
import sys
from dataclasses import dataclass, replace
from functools import partial

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

import methods
from benchmarks.draft_model import NGrams
from benchmarks.timing import Output, show
from lab import cli
from lab.decoding.sampling import generator
from lab.measuring import stats
from lab.model.backbone import Cache
from lab.model.corpus import Corpus, windows
from lab.progress import Bar
from restore import restore

KINDS = ("scattered", "spans", "line ends")
FIGURES = ["right", "words", "passes", "expected"]


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    windows: int = 32  # of the test split, 256 characters each
    shares: cli.comma_list(float) = (0.05, 0.15, 0.3, 0.5)  # of the characters, that are missing
    searched: cli.comma_list(float) = (0.15,)  # those at which GPT and n-grams restore too, which takes long
    width: int = 16  # texts that a beam search of GPT keeps; that of n-grams keeps four times as many


def damage(text, kind, share, rng):
    """Which characters of a text are missing, about that share of them: (len(text),) bool, never the first (GPT begins there)."""
    masked = torch.zeros(len(text), dtype=torch.bool)
    if kind == "scattered":
        masked = torch.rand(len(text), generator=rng) < share
    while kind == "spans" and masked.double().mean() < share:
        start = torch.randint(len(text), (1,), generator=rng)
        length = torch.randint(2, 11, (1,), generator=rng)
        masked[start : start + length] = True
    if kind == "line ends":
        for line in re.finditer("(.+)\n", text):
            end = line.end(1)
            masked[end - round(share * len(line[1])) : end] = True
    masked[0] = False
    return masked


@torch.no_grad()
def beam(log_probs, idx, masked, width):
    """A text (L,) restored from left to right: of the `width` likeliest texts each position's most probable character.

    log_probs: (texts (width, t), first, parents (width,): which of the texts before each goes on from) -> (width, t - first
    + 1, V), of characters first .. t. Returns the text (L,).
    """
    texts = idx.repeat(width, 1)
    first = 1
    parents = torch.arange(width)
    nll = torch.zeros(width, dtype=torch.float64).masked_fill(parents > 0, torch.inf)  # at first all are one text
    for k in [*masked.nonzero().flatten().tolist(), len(idx)]:
        log_p = log_probs(texts[:, :k], first, parents)
        V = log_p.size(-1)
        known = texts[:, first:k, None]  # between the last gap and this one
        nll = nll - log_p[:, :-1].gather(-1, known)[..., 0].sum(1)
        if k < len(idx):
            nll, best = (nll[:, None] - log_p[:, -1]).flatten().sort()
            nll = nll[:width]
            best = best[:width]
            parents = best // V
            first = k + 1
            texts = texts[parents]
            texts[:, k] = best % V
    votes = torch.einsum("n,nlv->lv", (-nll).softmax(0), F.one_hot(texts, V).double())
    return votes.argmax(-1)


def gpt_scorer(model, width):
    """The log_probs of `beam` by GPT, with cached keys and values."""
    cache = Cache(model.config, width, like=model.lm_head.weight)

    def log_probs(texts, first, parents):
        for held in (cache.keys, cache.values, cache.inputs):
            held.copy_(held[:, parents])
        return model(texts[:, first - 1 :], cache).double().log_softmax(-1)

    return log_probs


def by_ngrams(ngrams, texts, first, parents):
    """The log_probs of `beam` by n-grams."""

    def probs(text, position):
        context = text[max(0, position + 1 - ngrams.order) : position]
        return ngrams.tempered(tuple(context), 1)[0]

    positions = range(first, texts.size(1) + 1)
    return torch.stack([torch.stack([probs(text, k) for k in positions]) for text in texts.tolist()]).log()


def by_masked(engine, text, masked):
    """A text restored by a masked model: yields (how, restored text, passes, share that it expects to be right)."""
    mask = engine.alphabet.mask
    passes = []
    damaged = "".join(mask if gap else character for gap, character in zip(masked, text, strict=True))
    decoding = replace(engine.method.decoding, temp=1.0, cool_to=1.0, top_k=1, target_chunk_len=len(text))
    found = list(restore(engine, damaged, mask, decoding, passes.append))
    for how, rank, nfe in (("spaced", 0, len(passes)), ("one pass", 1, 1)):  # what was written, what is likeliest
        characters = list(text)
        expected = []
        for position, best in found:
            characters[position], probability = best[rank]
            expected.append(probability)
        yield f"{engine.name}, {how}", characters, nfe, np.mean(expected)


def by_search(gpt, ngrams, width, text, masked):
    """The same by beam search, which expects nothing."""
    scorers = (
        ("GPT, left side", 1, gpt_scorer(gpt.model, 1)),
        ("GPT, both sides", width, gpt_scorer(gpt.model, width)),
        ("n-grams, both sides", 4 * width, partial(by_ngrams, ngrams)),
    )
    for how, kept, log_probs in scorers:
        found = beam(log_probs, gpt.alphabet.encode(text), masked, kept)
        yield how, gpt.alphabet.decode(found), int(masked.sum()) + 1, np.nan


def shares_right(text, restored, masked):
    """Shares of the missing characters, and of the words that lack some, that are restored without a mistake."""
    same = torch.tensor([a == b for a, b in zip(text, restored, strict=True)])
    words = [slice(*word.span()) for word in re.finditer(r"\S+", text)]
    right = [same[word].all().item() for word in words if masked[word].any()]
    return same[masked].double().mean().item(), np.mean(right or [True])  # a gap between words


def measure(texts, kind, share, ways):
    """A row for each way of restoring these damaged texts: means, and the interval of the share of right characters."""
    rng = generator(kind, share)
    rows = []
    for n, text in enumerate(texts, 1):
        Bar.shown.show(0, f"{kind}, {share:.0%}, text {n}")
        masked = damage(text, kind, share, rng)
        for way in ways if masked.any() else ():
            for name, restored, *cost in way(text, masked):
                rows.append([name, *shares_right(text, restored, masked), *cost])
    for name, found in pd.DataFrame(rows, columns=["method", *FIGURES]).groupby("method", sort=False):
        low, high, _ = stats.mean_interval(found["right"].to_numpy())
        row = {"kind": kind, "share": share, "method": name, "texts": len(found), "low": low, "high": high}
        yield row | found[FIGURES].mean().to_dict()


def main(args):
    """Damage and restore in every way; print and store."""
    engines = {name: methods.load(name) for name in ("gpt", "diffusion", "diffusion_flow")}
    corpus = Corpus()
    texts = [corpus.alphabet.decode(text) for text in windows(corpus.test, 256, every=256, most=args.windows)]
    ngrams = NGrams(np.asarray(corpus.train), len(corpus.alphabet), order=6)
    masked = [partial(by_masked, engines[name]) for name in ("diffusion", "diffusion_flow")]
    search = partial(by_search, engines["gpt"], ngrams, args.width)
    rows = []
    for kind in KINDS:
        for share in args.shares:
            ways = [*masked, search] if share in args.searched else masked
            rows += measure(texts, kind, share, ways)
    show(rows)
    args.write("restoring", {"rows": rows}, engines.values())


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
