"""Where a benchmark writes, and two ways of doing one thing timed in turn: on a noisy machine only their ratio can be trusted."""

import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial

import pandas as pd

from lab.cli import ROOT
from lab.decoding.canvas import Canvas
from lab.measuring import records, trials

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


def in_turn(ours, theirs, rounds, more_is_better=False):
    """Two figures measured in turn -> (ours, theirs, how many times ours is better): medians, the ratio pair by pair."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    ratios = [a / b if more_is_better else b / a for a, b in pairs]
    return *map(statistics.median, zip(*pairs, strict=True)), statistics.median(ratios)


def timed(what, unit, ours, theirs, count, rounds):
    """A row that compares two functions, after a call of each that is not counted.

    unit: RATE, or seconds for one of the `count` things that a call does.
    """
    ours()
    theirs()
    a, b, ratio = in_turn(partial(clock, ours), partial(clock, theirs), rounds)
    ours, theirs = (count / a, count / b) if unit == RATE else (a / count, b / count)
    return {"what": what, "unit": unit, "ours": ours, "theirs": theirs, "ratio": ratio}


def show(rows, *columns):
    """Print these columns of rows (dictionaries), or all."""
    table = pd.DataFrame(rows, columns=list(columns) or None)
    print(table.round(3).to_string(index=False, na_rep=""))
