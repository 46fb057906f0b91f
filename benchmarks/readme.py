"""Write the rows of the tables, the sentences with figures and the samples in README.md and docs/ anew, from results/ alone.

    uv run -m benchmarks.readme

A page says itself what a table shows: a comment before it names the rows (`tables.rows`) and gives the pattern of a line.

    <!-- speed.rows | {what} | {unit} | **{ratio:.1f}** | -->
    | measured | unit | times faster |
    |---|---|---|
    <!-- end -->

The line after `<!-- GPT makes {GPT[nfe]:.0f} passes. -->` is this sentence, with the figures of README's table: of the row
GPT its `nfe`. `<!-- samples -->`: the texts.
"""

import re
import string
import sys
from dataclasses import dataclass

import lab.start  # noqa: F401 (before PyTorch)

from benchmarks import tables
from lab import cli
from lab.cli import ROOT
from lab.measuring import records

TABLE = r"(<!-- ([\w.]+) \|(.*)\| -->\n.*\n.*\n)(?:\|.*\n)*<!-- end -->"
SENTENCE = r"(<!-- ([^|>\n]*\{[^|>\n]*) -->\n *).*"
SAMPLES = r"(?s)<!-- samples -->\n.*?<!-- end -->"


@dataclass(frozen=True)
class Args:
    pass


class Cell(string.Formatter):
    """Patterns of cells, with a number format of their own: `digits`, at least three of them.

    A list has its values side by side, or one for all.
    """

    def format_field(self, value, spec):
        """A value in Python's formats, or in that one."""
        if isinstance(value, list):
            values = ["–" if each is None else self.format_field(each, spec) for each in value]
            return " / ".join(values if len({*values}) > 1 else values[:1])
        if spec == "digits":
            return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        return super().format_field(value, spec)


def fill(pattern, row):
    """A pattern with the values of a row; nothing where the row lacks one."""
    try:
        return Cell().vformat(pattern.strip(), (), row)
    except (KeyError, TypeError):
        return ""


def render(page):
    """A page with its tables, sentences and samples as the results have them.

    Raises UserError on an unknown file, KeyError on other unknown names.
    """

    def table(place):
        kept, source, pattern = place.groups()
        lines = [" | ".join(fill(cell, row) for cell in pattern.split("|")) for row in tables.rows(source)]
        return kept + "".join(f"| {line} |\n" for line in lines) + "<!-- end -->"

    def sentence(place):
        return place[1] + Cell().vformat(place[2], (), summary)

    def samples(_):
        texts = [f"$ uv run {each['command']}\n{each['text']}\n" for each in tables.results("shipped")["samples"]]
        return f"<!-- samples -->\n```text\n{''.join(texts)}```\n<!-- end -->"

    summary = {row["name"]: row for row in tables.summary()}
    for place, text in ((TABLE, table), (SENTENCE, sentence), (SAMPLES, samples)):
        page = re.sub(place, text, page)
    return page


def pages():
    """The pages that may have such places."""
    return sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])


def main(args=None):
    """Write every page anew."""
    for path in pages():
        records.write_text(path, render(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
