"""What did a sweep find? Each setting's speed, parallelism and quality, with the settings that no other one beats.

    uv run analyze_inference_sweep.py --inputs infer_reports/.../results.json --tag flow_sweep

Reads rows only. Writes infer_analysis/<tag>_: aggregated.csv, pareto_speed_parallel.csv, pareto_speed_quality.csv,
summary.json, speed_vs_parallel.png, speed_vs_quality.png. A table and its plot are left out when nothing was measured for
them: speed against parallelism without seconds, quality without a corpus; older ones of the tag are deleted.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import methods
from lab import cli, files
from lab.cli import comma_list
from lab.measuring import plots, records, stats
from lab.measuring.quality import Reference
from lab.progress import note

BRIEF = ("name", "chars_per_second", "chars_per_call", "nfe", "distance", "distance_low", "distance_high")


@dataclass(frozen=True)
class Args:
    inputs: comma_list(Path)  # results.json files, separated by commas or spaces
    tag: str = "analysis"  # the files' names begin with it
    data: Path | None = None  # the corpus; default data.txt
    output_dir: Path = cli.ROOT / "infer_analysis"


def whole(row):
    """A row with the settings that its version did not have yet, at their defaults."""
    method = methods.METHODS.get(row.get("module"))
    return (vars(method.decoding) if method else {}) | row


def setting_names(rows):
    """A name for the setting of each row: its module, weights and settings, without those that all have in common.

    Those that would have one name are told apart by whatever differs.
    """
    files = [str(row.get("weights")) for row in rows]
    short = [file.partition(" ")[0] for file in files]  # without its digest, unless two files have one name
    files = short if len(set(short)) == len(set(files)) else files
    parts = []
    for row, file in zip(rows, files, strict=True):
        parts.append([str(row.get("module")), file, *row["name"].split(", ")])
    groups = {}
    for row, part in zip(rows, parts, strict=True):
        groups.setdefault(tuple(part), []).append((row, part))
    for same in groups.values():
        keys = dict.fromkeys(key for row, _ in same for key in row if key not in stats.FIXED)
        differing = [key for key in keys if len({str(row.get(key)) for row, _ in same}) > 1]
        for row, part in same:
            part += [f"{key} {row.get(key)}" for key in differing]
    common = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    names = [", ".join(word for word in part if word not in common) for part in parts]
    return [name or row["name"] for name, row in zip(names, rows, strict=True)]


def optimal(points, speed):
    """What speed is set against -> the Pareto-optimal points of that, where there is anything to compare."""
    best = {"quality": stats.pareto(points, [speed], ["distance"])}
    if speed != "chars_per_call":  # else it would stand against itself
        best["parallel"] = stats.pareto(points, [speed, "chars_per_call"])
    for name in {"quality", "parallel"} - {name for name in best if best[name]}:
        note(f"no pareto_speed_{name}.csv and no plot of it: the rows do not have what it needs")
    return {name: found for name, found in best.items() if found}


def plot(path, points, best, speed, label, y, real):
    """Speed against y, with the names of the Pareto-optimal points."""
    what = plots.DISTANCE if y == "distance" else plots.PER_PASS
    with plots.figure(path, "Decoding settings", label, what) as axes:
        plots.scatter(axes, [p for p in points if p not in best], speed, y, "#999999", "other settings")
        plots.scatter(axes, best, speed, y, label="Pareto-optimal settings")
        plots.label(axes, best, speed, y)
        if real and y == "distance":
            plots.real_line(axes, real.get("distance", {}).get("mean"))


def main(args):
    """Gather, measure, compare, plot."""
    rows = [whole(row) for path in args.inputs for row in records.read_rows(path)]
    reference = Reference.of_data(args.data, rows)
    groups = stats.settings(rows)
    points = stats.by_setting(groups, reference)
    names = setting_names([group[0] for group in groups])
    points = [point | {"name": name} for point, name in zip(points, names, strict=True)]
    real = stats.real_text(groups[0], reference)
    speed, label = plots.speed_axis(points)
    start = args.output_dir / args.tag
    records.write_csv(start.with_name(f"{args.tag}_aggregated.csv"), points)
    summary = {"settings": len(points), "rows": len(rows), "real_text": real, "stamp": records.stamp()}
    found = optimal(points, speed)
    for name, y in {"quality": "distance", "parallel": "chars_per_call"}.items():
        table = start.with_name(f"{args.tag}_pareto_speed_{name}.csv")
        picture = start.with_name(f"{args.tag}_speed_vs_{name}.png")
        if name not in found:
            for older in (table, picture):  # of an earlier analysis of the same tag
                with files.writing(older):
                    older.unlink(missing_ok=True)
            continue
        best = found[name]
        records.write_csv(table, best)
        plot(picture, points, best, speed, label, y, real)
        summary[f"pareto_speed_{name}"] = [{key: point.get(key) for key in BRIEF} for point in best]
    records.write_json(start.with_name(f"{args.tag}_summary.json"), summary)
    for point in summary.get("pareto_speed_quality", ()):
        print(f"{point['name']}: {point[speed]:.4g} {speed}, distance {point['distance']:.3f}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
