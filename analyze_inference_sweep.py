"""What did a sweep find? Each setting's speed, parallelism and quality, with the settings that no other one beats.

    uv run analyze_inference_sweep.py --inputs infer_reports/.../results.json --tag flow_sweep

Reads rows only. Writes infer_analysis/<tag>_: aggregated.csv, pareto_speed_parallel.csv, pareto_speed_quality.csv,
summary.json, speed_vs_parallel.png, speed_vs_quality.png.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from lab import cli, plots, records, stats
from lab.cli import listed
from lab.quality import Reference

NEEDED = ("name", "seed", "prompt", "text", "chars", "nfe", "seconds", "copied_share")


@dataclass(frozen=True)
class Args:
    inputs: listed(Path)  # results.json files, separated by commas
    tag: str = "analysis"  # the files' names begin with it
    data: Path | None = None  # the corpus; default data.txt
    output_dir: Path = cli.ROOT / "infer_analysis"


def shortened(points):
    """The points, named by their module, weights and settings, without those that all have in common."""
    parts = [[str(p.get("module")), str(p.get("weights")), *p["name"].split(", ")] for p in points]
    common = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    names = [", ".join(part for part in each if part not in common) for each in parts]
    return [point | {"name": name or point["name"]} for point, name in zip(points, names, strict=True)]


def draw(points, best, key, label, real, args):
    """Speed against parallelism, and against the distance to real text."""
    what = {
        "parallel": ("chars_per_call", "characters per call"),
        "quality": ("distance", plots.DISTANCE),
    }
    for name, (y, y_label) in what.items():
        path = args.output_dir / f"{args.tag}_speed_vs_{name}.png"
        with plots.figure(path, f"Decoding settings: speed and {y_label.partition(',')[0]}", label, y_label) as axes:
            names = {p["name"] for p in best[name]}
            others = [p for p in points if p["name"] not in names]
            plots.scatter(axes, others, key, y, "#999999", "other settings")
            plots.scatter(axes, best[name], key, y, plots.COLOURS[0], "not beaten by any other", names=names)
            if name == "quality" and real:
                plots.real_line(axes, real["distance"]["mean"])


def main(args):
    """Gather, measure, compare, draw."""
    rows = [row for path in args.inputs for row in records.read_rows(path, NEEDED)]
    reference = Reference.of_data(args.data)
    points = shortened(stats.by_setting(rows, reference))
    first, *_ = stats.grouped(rows, "name", "module", "weights").values()
    real = stats.real_text(first, reference)
    key, label = plots.speed_axis(points)
    negative = [p | {"serial": -p["chars_per_call"]} for p in points]
    best = {"parallel": stats.frontier(negative, key, "serial"), "quality": stats.frontier(points, key, "distance")}
    write = {f"pareto_speed_{name}.csv": found for name, found in best.items()} | {"aggregated.csv": points}
    for name, found in write.items():
        records.write_csv(args.output_dir / f"{args.tag}_{name}", found)
    brief = (
        "name",
        key,
        "chars_per_call",
        "nfe",
        "distance",
        "distance_low",
        "distance_high",
        "generative_nll",
        "trigram_entropy",
    )
    frontier = [{k: p.get(k) for k in brief} for p in best["quality"]]
    summary = {
        "settings": len(points),
        "rows": len(rows),
        "pareto_speed_quality": frontier,
        "real_text": real,
        "stamp": records.stamp(),
    }
    records.write_json(args.output_dir / f"{args.tag}_summary.json", summary)
    draw(points, best, key, label, real, args)
    print(
        *(
            f"{p['name']}: {p[key]:.4g} {key}, distance {p['distance']:.3f}"
            for p in frontier
            if p["distance"] is not None
        ),
        sep="\n",
    )


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
