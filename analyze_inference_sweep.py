"""What did a sweep find? Each setting's speed, parallelism and quality, with the settings that no other one beats.

    uv run analyze_inference_sweep.py --inputs infer_reports/.../results.json --tag flow_sweep

Reads rows only. Writes infer_analysis/<tag>_: aggregated.csv, pareto_speed_parallel.csv, pareto_speed_quality.csv,
summary.json, speed_vs_parallel.png, speed_vs_quality.png. A table and its plot are left out when nothing was measured for
them: speed against parallelism without seconds, quality without a corpus.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

from lab import cli
from lab.cli import comma_list
from lab.measuring import plots, records, stats
from lab.measuring.quality import Reference
from lab.progress import note


@dataclass(frozen=True)
class Args:
    inputs: comma_list(Path)  # results.json files, separated by commas or spaces
    tag: str = "analysis"  # the files' names begin with it
    data: Path | None = None  # the corpus; default data.txt
    output_dir: Path = cli.ROOT / "infer_analysis"


def main(args):
    """Gather, measure, compare, plot."""
    rows = [row for path in args.inputs for row in records.read_rows(path)]
    reference = Reference.of_data(args.data, rows)
    groups = stats.settings(rows)
    points = stats.by_setting(groups.values(), reference)
    real = stats.real_text(next(iter(groups.values())), reference)
    speed = plots.speed_of(points)
    start = f"{args.output_dir / args.tag}_"
    records.write_csv(Path(f"{start}aggregated.csv"), points)
    summary = {"settings": len(points), "rows": len(rows), "real_text": real, "stamp": records.stamp()}
    signs = {"quality": {speed: 1, "distance": -1}, "parallel": {"chars_per_second": 1, "chars_per_call": 1}}
    for name, own in signs.items():
        optimal = stats.pareto(points, own)
        x, y = own
        if not optimal:
            note(f"no pareto_speed_{name}.csv and no plot of it: the rows do not have what it needs")
            continue
        records.write_csv(Path(f"{start}pareto_speed_{name}.csv"), optimal)
        others = [point for point in points if point not in optimal]
        shown = {"other settings": others, "Pareto-optimal settings": optimal}
        plots.against_speed(Path(f"{start}speed_vs_{name}.png"), "Decoding settings", x, y, shown, real, optimal)
        summary[f"pareto_speed_{name}"] = optimal
    records.write_json(Path(f"{start}summary.json"), summary)
    for point in summary.get("pareto_speed_quality", ()):
        print(f"{point['name']}: {point[speed]:.4g} {speed}, distance {point['distance']:.3f}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
