"""Where a benchmark writes, and the seconds that it takes an engine to write."""

import sys
import time
from dataclasses import dataclass

import pandas as pd

from lab.cli import ROOT
from lab.decoding.canvas import Canvas
from lab.measuring import records, trials


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


def opening(engine, chars, seeds):
    """A trial that continues the default prompt, of 16 characters, once for each seed."""
    canvas = Canvas.after(engine.alphabet.encode(engine.prompt(16)), chars)
    return trials.Trial(canvas, engine.method.decoding, seeds)


def writing_seconds(engine, trial):
    """Seconds per 1,000 characters of a trial's texts."""
    written = int(trial.canvas.masked[0].sum()) * len(trial.seeds)
    began = time.perf_counter()
    trials.run(engine, trial)
    return 1000 * (time.perf_counter() - began) / written


def show(rows, *columns):
    """Print these columns of rows (dictionaries), or all."""
    table = pd.DataFrame(rows, columns=list(columns) or None)
    print(table.round(3).to_string(index=False, na_rep=""))
