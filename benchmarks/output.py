"""Where a benchmark writes, and what it prints."""

import sys
from dataclasses import dataclass

import pandas as pd

from lab.cli import ROOT
from lab.measuring import records


@dataclass(frozen=True, kw_only=True)
class Output:
    """The flag of every benchmark: a user's run leaves the files that git tracks alone."""

    renew: bool = False  # for maintainers: write to results/, which the pages quote, not to benchmark_reports/

    @property
    def folder(self):
        """Where this run writes."""
        return ROOT / ("results" if self.renew else "benchmark_reports")

    def write(self, name, value, **more):
        """Write a dictionary to NAME.json with the command that made it, its settings and the versions.

        more: settings that are not flags. Raises UserError when the file cannot be written.
        """
        path = self.folder / f"{name}.json"
        records.write_json(path, records.stamp(self, **more) | value)
        print(f"{path}: written", file=sys.stderr)


def show(rows, *columns):
    """Print these columns of rows (dictionaries), or all."""
    table = pd.DataFrame(rows, columns=list(columns) or None)
    print(table.round(3).to_string(index=False, na_rep=""))
