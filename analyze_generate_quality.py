"""Is one way of decoding better text than the other? Every measure of an A/B run, beside real text of the same size.

    uv run analyze_generate_quality.py --input eval_generate_reports/diffusion_xxx/results.json --tag diffusion_ab

Reads rows only. Writes eval_generate_quality/<tag>_summary.json and <tag>_rows.json.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

from lab import cli
from lab.measuring import records, stats
from lab.measuring.quality import Reference


@dataclass(frozen=True)
class Args:
    input: Path  # a results.json
    tag: str = "quality"  # the files' names begin with it
    data: Path | None = None  # the corpus; default data.txt
    output_dir: Path = cli.ROOT / "eval_generate_quality"


def main(args):
    """Measure each set of texts, compare each with the first."""
    rows = records.read_rows(args.input)
    reference = Reference.of_data(args.data, rows)
    groups = stats.common_texts(stats.grouped(rows, "name"))
    first, *others = groups
    summary = stats.comparison(groups, [(first, other) for other in others], reference)
    summary["sets"] = {name: stats.summarise(group, reference) for name, group in groups.items()}
    summary["stamp"] = records.stamp()
    records.write_json(args.output_dir / f"{args.tag}_summary.json", summary)
    records.write_json(args.output_dir / f"{args.tag}_rows.json", rows)
    print(*summary["verdicts"], sep="\n")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
