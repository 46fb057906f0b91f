"""Where a benchmark writes, and two ways of doing one thing timed in turn: on a noisy machine only their ratio can be trusted."""

import statistics
import sys
import time
from dataclasses import dataclass

import pandas as pd
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import readme
from lab import records
from lab.cli import ROOT


@dataclass(frozen=True, kw_only=True)
class Output:
    """The flag of every benchmark: a user's run leaves the files that git tracks alone."""

    renew: bool = False  # for maintainers: write to results/, not to benchmark_reports/, and renew the pages' tables

    @property
    def folder(self):
        """Where this run writes."""
        return ROOT / ("results" if self.renew else "benchmark_reports")

    def write(self, name, value, **more):
        """Write a dictionary to NAME.json with the command that made it, its settings and the versions.

        more: settings that are not flags. Raises UserError when the file cannot be written.
        """
        path = self.folder / f"{name}.json"
        records.write_json(path, records.stamp(**vars(self), **more) | value)
        print(f"{path}: written", file=sys.stderr)
        if self.renew:
            readme.main()


def compare(ours, theirs, rounds):
    """Call both in turn after one call each that is not counted.

    Returns (seconds of ours, seconds of theirs, ratio theirs / ours): medians over rounds, the ratio pair by pair.
    """
    ours(), theirs()
    pairs = [(clock(ours), clock(theirs)) for _ in range(rounds)]
    return (*map(statistics.median, zip(*pairs, strict=True)), statistics.median(b / a for a, b in pairs))


def clock(function):
    """Seconds that one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def flop(function):
    """Floating-point operations of the products in one call."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def show(rows, *columns):
    """Print these columns of rows (dictionaries), or all."""
    table = pd.DataFrame(rows, columns=list(columns) or None)
    print(table.round(3).to_string(index=False, na_rep=""))
