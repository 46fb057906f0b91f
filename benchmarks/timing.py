"""Two ways of doing one thing, timed in turn in one run: the ratio is what can be trusted on a noisy machine."""

import statistics
import sys
import time

from rich.table import Table

from lab import records
from lab.cli import ROOT


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


def report(name, rows, **settings):
    """Print the rows as a table and write them to results/NAME.json with what they depend on.

    rows: dictionaries with keys what, unit, ours, theirs, ratio; settings: whatever else a reader must know.
    """
    table = Table("measured", "unit", "ours", "against", "ratio", title=name)
    for row in rows:
        table.add_row(row["what"], row["unit"], f"{row['ours']:.4g}", f"{row['theirs']:.4g}", f"{row['ratio']:.2f}")
    records.show(table)
    write_results(name, rows, **settings)


def write_results(name, rows, **settings):
    """Write rows to results/NAME.json with the command that made them, its settings and the versions."""
    path = ROOT / "results" / f"{name}.json"
    records.write_json(path, records.stamp(**settings) | {"rows": rows})
    print(f"{path}: written", file=sys.stderr)
