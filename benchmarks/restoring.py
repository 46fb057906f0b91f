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
from lab.model.likelihood import ROWS
from lab.progress import Bar

KINDS = ("scattered", "spans", "line ends")
SEARCH = "GPT, both sides"
BASELINE = "diffusion, spaced"
SPACED = {"cool_to": 1.0, "spacing": 8}
WAYS = {  # of each method without a search: its settings
    "diffusion": {BASELINE: SPACED, "diffusion, one pass": SPACED | {"spacing": 0}},
    "diffusion_flow": {"flow model, spaced": SPACED},
    "streams": {"one stream": {"streams": 1}},
}


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    windows: int = 96  # of the test split, as long as the models' own
    searched: int = 24  # of these, for what takes long: the search of GPT
    shares: cli.comma_list(float) = (0.05, 0.15, 0.3, 0.5)  # of the characters, that are missing
    width: int = 16  # texts that a search of GPT keeps; that of n-grams keeps four times as many
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


def by_search(alphabet, width, scorer, text, masked):
    """A text restored by beam search, and the passes that took. scorer: makes the log_probs of `beam_search`."""
    restored = beam_search(scorer(), alphabet.encode(text), masked, width)
    return alphabet.decode(restored), int(masked.sum()) + 1


def by_sampler(engine, settings, text, masked):
    """The same by an engine's own sampler, which takes the likeliest characters."""
    idx = engine.alphabet.encode(text).masked_fill(masked, 0)
    decoding = replace(engine.method.decoding, temp=1.0, top_k=1, target_chunk_len=len(text), **settings)
    (sample,) = trials.run(engine, trials.Trial(Canvas(idx, masked).repeat(1), decoding, (0,)))
    return sample.text, sample.nfe


def ways(engines, corpus, width):
    """Yields (name, way) of restoring: a way takes a text and what is masked of it, and returns it restored, and passes."""
    for engine in engines:
        for name, settings in WAYS.get(engine.name, {}).items():
            yield name, partial(by_sampler, engine, settings)
        if engine.name == "gpt":
            for sees, kept in (("left side", 1), ("both sides", width)):
                yield f"GPT, {sees}", partial(by_search, engine.alphabet, kept, partial(gpt_scorer, engine.model, kept))
    ngrams = NGrams(np.asarray(corpus.train), len(corpus.alphabet), order=6)
    yield "n-grams, both sides", partial(by_search, corpus.alphabet, 4 * width, lambda: partial(by_ngrams, ngrams))


def shares_right(text, restored, masked):
    """Of the missing characters, and of the words that lack some, the shares that are right."""
    same = torch.tensor([a == b for a, b in zip(text, restored, strict=True)])
    words = [slice(*word.span()) for word in re.finditer(r"\S+", text)]
    right = [same[word].all().item() for word in words if masked[word].any()]
    return same[masked].double().mean().item(), np.mean(right or [True])  # a gap between words


def measure(texts, kind, share, ways, searched):
    """A row for each way of restoring these damaged texts: means, the interval of the share of right characters, and its
    difference from the baseline, paired.

    searched: how many of the texts the search of GPT restores.
    """
    rng = generator(kind, share)
    rows = []
    for n, text in enumerate(texts):
        Bar.shown.show(Bar.shown.completed + 1, f"restoring {kind}, {share:.0%}")
        masked = damage(text, kind, share, rng)
        for name, way in ways if masked.any() else ():
            if n < searched or name != SEARCH:
                began = time.perf_counter()
                restored, passes = way(text, masked)
                seconds = time.perf_counter() - began
                rows.append([n, name, *shares_right(text, restored, masked), passes, seconds])
    columns = ["text", "method", "right", "words", "passes", "seconds"]
    table = pd.DataFrame(rows, columns=columns).set_index("text")
    of_methods = dict(list(table.groupby("method", sort=False)))
    for name, found in of_methods.items():
        row = {"kind": kind, "share": share, "method": name, "texts": len(found)}
        row |= found.mean(numeric_only=True).to_dict() | spread("right", found["right"])
        if name != BASELINE and BASELINE in of_methods:
            row |= spread("difference", (found["right"] - of_methods[BASELINE]["right"]).dropna())
        yield row


def spread(name, values):
    """The mean of values, one of each text, with its interval."""
    low, high, _ = stats.mean_interval(values.to_numpy())
    return {name: values.mean(), f"{name}_low": low, f"{name}_high": high}


@torch.no_grad()
def predictions(engine, texts, kind, share):
    """What a masked model makes of the characters that damaged texts (n, T) lack, given the known ones alone.

    Returns of each its text, the probability of the likeliest character, and whether that is right.
    """
    rng = generator(kind, share)
    masked = torch.stack([damage(engine.alphabet.decode(text), kind, share, rng) for text in texts])
    hidden = texts.masked_fill(masked, len(engine.alphabet))
    found = [probabilities(engine.model(x), temp=1).max(-1) for x in hidden.split(ROWS)]
    likeliest, idx = map(torch.cat, zip(*found, strict=True))
    return masked.nonzero()[:, 0], likeliest[masked], (idx == texts)[masked]


def draw(found, folder, name):
    """The share right over the share missing, a line for each way; and the reliability."""
    x, y = "share of the characters missing", "share of them right"
    with plots.panels(folder / f"{name}.png", KINDS, x, y) as panels:
        for kind, axes in zip(KINDS, panels, strict=True):
            of_methods = stats.grouped([row for row in found["rows"] if row["kind"] == kind], "method")
            for (method, rows), colour in zip(of_methods.items(), (*plots.COLOURS, "black", "grey")):
                plots.scatter(axes, rows, "share", "right", colour, size=12)
                axes.plot("share", "right", data=pd.DataFrame(rows), color=colour, label=method)
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
    texts = [*map(corpus.alphabet.decode, windows(corpus.test, size, every=size, most=args.windows))]
    found = [*ways(engines, corpus, args.width)]
    cases = [*itertools.product(KINDS, args.shares)]
    rows = []
    with Bar("restoring", len(texts) * len(cases), unit="texts"):
        for kind, share in cases:
            rows += measure(texts, kind, share, found, args.searched)
    show(rows)
    result = {"rows": rows}
    tokens = windows(corpus.test, size, every=size)  # all of them
    for engine in engines:
        if engine.name == "diffusion":
            told = zip(*(predictions(engine, tokens, *case) for case in cases), strict=True)
            result["reliability"], result["calibration"] = reliability(*map(torch.cat, told), len(tokens))
    args.write(args.name, result, weights=[engine.weights for engine in engines])
    draw(result, args.folder, args.name)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
