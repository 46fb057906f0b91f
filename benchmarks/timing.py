"""Where a benchmark writes, and two ways of doing one thing timed in turn: on a noisy machine only their ratio can be trusted."""

import statistics
import sys
import time
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import torch

from lab.cli import ROOT
from lab.decoding.canvas import Canvas
from lab.measuring import records, trials
from lab.training.trainer import Trainer, train_steps

RATE = "characters per second"


@dataclass(frozen=True, kw_only=True)
class Output:
    """The flag of every benchmark: a user's run leaves the files that git tracks alone."""

    renew: bool = False  # for maintainers: write to results/, which the pages quote, not to benchmark_reports/

    @property
    def folder(self):
        """Where this run writes."""
        return ROOT / ("results" if self.renew else "benchmark_reports")

    def write(self, name, value, engines=(), **more):
        """Write a dictionary to NAME.json with the command that made it, its settings, the engines and the versions.

        more: settings that are not flags. Raises UserError when the file cannot be written.
        """
        path = self.folder / f"{name}.json"
        more |= {"weights": [engine.weights for engine in engines]} if engines else {}
        records.write_json(path, records.stamp(self, **more) | value)
        print(f"{path}: written", file=sys.stderr)


def clock(function):
    """Seconds that one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def opening(engine, chars, seeds):
    """A trial that continues the default prompt, of 16 characters, once for each seed."""
    canvas = Canvas.after(engine.alphabet.encode(engine.prompt(16)), chars)
    return trials.Trial(canvas, engine.method.decoding, seeds)


def writing_seconds(engine, trial):
    """Seconds per 1,000 characters of a trial's texts."""
    written = int(trial.canvas.masked[0].sum()) * len(trial.seeds)
    return 1000 * clock(partial(trials.run, engine, trial)) / written


def timed(what, unit, ours, theirs, count, rounds):
    """A row that compares two functions, timed in turn after a call of each that is not counted: medians, the ratio's of pairs.

    unit: RATE, or seconds for one of the `count` things that a call does.
    """
    ours()
    theirs()
    pairs = [(clock(ours), clock(theirs)) for _ in range(rounds)]
    a, b = map(statistics.median, zip(*pairs, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    ours, theirs = (count / a, count / b) if unit == RATE else (a / count, b / count)
    return {"what": what, "unit": unit, "ours": ours, "theirs": theirs, "ratio": ratio}


def stepper(method, corpus, config, windows, device, muon=True, compiled=None, bf16=None):
    """A function that takes a training step of a fresh model on so many windows; compiled and in bfloat16 where it pays."""
    torch.manual_seed(0)
    recipe = replace(method.recipe, iters=10**9, batch_size=windows, compile=compiled, bf16=bf16)
    trainer = Trainer(method, method.Model(config).to(device), recipe)
    trainer.compile()
    if not muon:
        trainer.optimisers = [(torch.optim.AdamW(trainer.model.parameters()), recipe.adam_lr)]
    steps = train_steps(trainer, corpus)
    return lambda: next(steps)["batch_total_loss"].item()  # waits for the device


def show(rows, *columns):
    """Print these columns of rows (dictionaries), or all."""
    table = pd.DataFrame(rows, columns=list(columns) or None)
    print(table.round(3).to_string(index=False, na_rep=""))
