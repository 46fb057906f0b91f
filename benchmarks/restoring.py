"""Damage held-out text and restore it: how much comes back, by which method, in how many passes and seconds?

    uv run -m benchmarks.restoring
    uv run -m benchmarks.restoring --data my_text.txt --weights my_weights.pt --name mine

Windows of the test split lose a share of their characters: scattered, in spans of 2 to 10, or at the end of each line. The
masked models write the likeliest characters, all in one pass, or spaced in several; one stream writes each gap from left to
right with both sides in view. GPT and n-grams go from left to right by a beam search, which scores the known characters to
the right of a gap as well; of the texts it keeps the most probable character of each position counts. A beam of one text is
GPT that sees the left side only. All restore a text in turn, so that their seconds can be compared.

Then the likeliest characters of masked diffusion, given the known text alone: are those of probability p right in a share p
of cases?
"""

import itertools
import re
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import pandas as pd
import torch

import methods
from benchmarks.draft_model import NGrams
from benchmarks.output import Output, show
from benchmarks.search import beam_search, by_ngrams, gpt_scorer
from lab import cli
from lab.decoding.canvas import Canvas
from lab.decoding.sampling import generator, probabilities
from lab.measuring import experiment, plots, stats, trials
from lab.measuring.calibration import reliability
from lab.model import checkpoint
from lab.model.corpus import Corpus, windows
from lab.progress import Bar

KINDS = ("scattered", "spans", "line ends")
BASELINE = "diffusion, spaced"
SPACED = {"cool_to": 1.0, "spacing": 8}
SAMPLERS = {  # of each method: settings
    "diffusion": {BASELINE: SPACED, "diffusion, one pass": SPACED | {"spacing": 0}},
    "diffusion_flow": {"flow model, spaced": SPACED},
    "streams": {"one stream": {"streams": 1}},
}
GPT_SEARCHES = {"GPT, left side": 1, "GPT, both sides": 16}  # texts that each keeps
NGRAM_WIDTH = 64  # texts that the search of n-grams keeps


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    windows: int = 96  # of the test split, as long as the models' own
    shares: cli.comma_list(float) = (0.05, 0.15, 0.3, 0.5)  # of the characters, that are missing
    data: Path | None = None  # UTF-8 text; default Tiny Shakespeare
    weights: cli.comma_list(Path) = tuple(map(checkpoint.default_path, methods.METHODS))  # each of a method of its own
    name: str = "restoring"  # of the files that it writes


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


def by_search(alphabet, log_probs, width, text, masked):
    """A text restored by beam search, and the passes that took. log_probs, width: of `beam_search`."""
    restored = beam_search(log_probs, alphabet.encode(text), masked, width)
    return alphabet.decode(restored), int(masked.sum()) + 1


def by_sampler(engine, settings, text, masked):
    """The same by an engine's own sampler, which takes the likeliest characters."""
    idx = engine.alphabet.encode(text).masked_fill(masked, 0)
    decoding = replace(engine.method.decoding, temp=1.0, top_k=1, target_chunk_len=len(text), **settings)
    (sample,) = trials.run(engine, trials.Trial(Canvas(idx, masked).repeat(1), decoding, (0,)))
    return sample.text, sample.nfe


def ways(engines, corpus):
    """Yields (name, way) of restoring: a way takes a text and what is masked of it, and returns it restored, and passes."""
    for engine in engines:
        for name, settings in SAMPLERS.get(engine.name, {}).items():
            yield name, partial(by_sampler, engine, settings)
        if engine.name == "gpt":
            for name, width in GPT_SEARCHES.items():
                yield name, partial(by_search, engine.alphabet, gpt_scorer(engine.model, width), width)
    ngrams = NGrams(np.asarray(corpus.train), len(corpus.alphabet), order=6)
    yield "n-grams, both sides", partial(by_search, corpus.alphabet, partial(by_ngrams, ngrams), NGRAM_WIDTH)


def shares_right(text, restored, masked):
    """Of the missing characters, and of the words that lack some, the shares that are right."""
    same = np.array([*text]) == np.array([*restored])
    words = [slice(*word.span()) for word in re.finditer(r"\S+", text)]
    right = [same[word].all() for word in words if masked[word].any()]
    return same[masked].mean(), np.mean(right or [True])  # a gap between words


def measure(texts, kind, share, ways):
    """A row for each way of restoring these damaged texts: means, the interval of the share of right characters, and its
    difference from the baseline, paired."""
    rng = generator(kind, share)
    found = defaultdict(list)  # figures of each text by way
    for text in texts:
        Bar.shown.show(Bar.shown.work.completed + 1, f"restoring {kind}, {share:.0%}")
        masked = damage(text, kind, share, rng)
        for name, way in ways if masked.any() else ():
            began = time.perf_counter()
            restored, passes = way(text, masked)
            seconds = time.perf_counter() - began
            found[name].append((*shares_right(text, restored, masked), passes, seconds))
    for name, figures in found.items():
        right, words, passes, seconds = np.transpose(figures)
        row = {"kind": kind, "share": share, "method": name, "texts": len(right)} | spread("right", right)
        if name != BASELINE and BASELINE in found:
            row |= spread("difference", right - np.transpose(found[BASELINE])[0])
        yield row | {"words": words.mean(), "passes": passes.mean(), "seconds": seconds.mean()}


def spread(name, values):
    """The mean of values (n,), one of each text, with its interval."""
    low, high, _ = stats.mean_interval(values)
    return {name: values.mean(), f"{name}_low": low, f"{name}_high": high}


@torch.no_grad()
def predictions(engine, texts, kind, share):
    """What a masked model makes of each character that damaged texts lack, given the known ones alone.

    Yields the number of the text, the probability of the likeliest character, and whether that is right.
    """
    rng = generator(kind, share)
    for n, text in enumerate(texts):
        masked = damage(text, kind, share, rng)
        idx = engine.alphabet.encode(text)
        hidden = idx.masked_fill(masked, len(engine.alphabet))
        likeliest, guess = probabilities(engine.model(hidden[None])[0, masked], temp=1).max(-1)
        right = guess == idx[masked]
        yield from zip(itertools.repeat(n), likeliest.tolist(), right.tolist())


def draw(found, folder, name):
    """The share right over the share missing, a line for each way; and the reliability."""
    rows = pd.DataFrame(found["rows"])
    x, y = "share of the characters missing", "share of them right"
    with plots.panels(folder / f"{name}.png", KINDS, x, y) as panels:
        for kind, axes in zip(KINDS, panels, strict=True):
            for method, line in rows[rows["kind"] == kind].groupby("method", sort=False):
                plots.scatter(axes, line, "share", "right", method, ".-")
    if "reliability" in found:
        x, y = "probability of the likeliest character", "share of these characters that are right"
        with plots.figure(folder / f"{name}_reliability.png", "Is a probability what it says?", x, y) as axes:
            plots.scatter(axes, found["reliability"], "probability", "right")
            axes.axline((0, 0), slope=1, color="#777777", zorder=0, label="as it says")


def main(args):
    """Damage and restore in every way; print, store and draw."""
    corpus = Corpus(args.data)
    engines = [methods.load(path=path) for path in args.weights]
    experiment.check_text(corpus.alphabet, corpus.path, *engines)
    size = min(engine.model.config.block_size for engine in engines)
    corpus.require(size)
    texts = [*map(corpus.alphabet.decode, windows(corpus.test, size, every=size, most=args.windows))]
    found = [*ways(engines, corpus)]
    cases = [*itertools.product(KINDS, args.shares)]
    with Bar("restoring", len(texts) * len(cases), unit="texts"):
        rows = [row for case in cases for row in measure(texts, *case, found)]
    show(rows)
    result = {"rows": rows}
    for engine in engines:
        if engine.name == "diffusion":
            told = [row for case in cases for row in predictions(engine, texts, *case)]
            result["reliability"], result["calibration"] = reliability(*np.transpose(told), len(texts))
    args.write(args.name, result, weights=[engine.weights for engine in engines])
    draw(result, args.folder, args.name)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
