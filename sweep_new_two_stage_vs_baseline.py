"""Two-stage decoding over a grid of settings against one-stage decoding, on the same weights, prompts and seeds.

    uv run sweep_new_two_stage_vs_baseline.py --module diffusion

Writes sweep_generate_reports/<module>_<timestamp>/: rows.json (a row per text), run_level.json (for each setting, seed and
prompt new against baseline), agg_vs_baseline.json, summary.json (top_5: the fastest of the settings that are not worse),
speed_vs_quality.png, speed_vs_parallel.png, top_speed_configs.png.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import methods
from lab import cli, plots, records, stats, trials
from lab.cli import listed
from lab.quality import Pool

NOT_WORSE = 0.02  # bits of `distance` that the whole interval of the difference may reach


@dataclass(frozen=True)
class Args(trials.Args):
    seeds: listed(int) = (1337, 2027, 7, 42, 123, 314, 2718, 9001, 65537, 8888)
    prompts: int = 1
    max_new_tokens: int = 240
    module: str = "diffusion"  # diffusion or diffusion_flow
    weights: Path | None = None  # default weights/MODULE.pt
    temp: float = 0.8  # of all
    top_k: cli.one_number_or_all() = 2  # of all
    spacing: int = 0  # of all
    base_confidence_threshold: float = 0.85
    base_draft_threshold: float = 0.85
    base_confirm_threshold: float = 0.85
    base_replace_margin: float = 1.0
    base_target_chunk_len: int = 240
    sweep_confidence_threshold: listed(float) = (0.95,)
    sweep_draft_threshold: listed(float) = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    sweep_confirm_threshold: listed(float) = (0.85, 0.88)
    sweep_replace_margin: listed(float) = (0.0, 0.02, 0.05)
    sweep_target_chunk_len: listed(int) = (240,)
    output_dir: Path = cli.ROOT / "sweep_generate_reports"


def decodings(args):
    """Name -> Decoding: the baseline, then the grid."""
    start = methods.masked_decoding(args.module, temp=args.temp, top_k=args.top_k, spacing=args.spacing)
    choices = cli.prefixed(args, "sweep")
    varied = [name for name, values in choices.items() if len(values) > 1]
    cells = trials.grid(start, choices)
    baseline = {"baseline": replace(start, **cli.prefixed(args, "base"))}
    return baseline | {trials.name_of(cell, varied).replace("_threshold", ""): cell for cell in cells}


def new_against_baseline(groups, reference):
    """A row for each setting, seed and prompt: every column of the new text and of the baseline's, and their differences."""
    tables = {}
    for name, rows in groups.items():
        table = tables[name] = pd.DataFrame(rows)
        table["chars_per_call"], table["distance"] = table.chars / table.nfe, None
        if reference is not None:
            pool = Pool([[row] for row in rows], reference)
            table["distance"] = pool.figures(np.eye(len(rows)))["distance"]  # of each text
    base = tables.pop("baseline")
    pairs = pd.concat(tables.values()).merge(base, on=["seed", "prompt"], suffixes=("", "_baseline"))
    for name in (*stats.MEASURES, "distance"):
        new, old = (pd.to_numeric(pairs[column]) for column in (name, f"{name}_baseline"))
        pairs[f"{name}_difference"] = new - old
    return pairs.to_dict("records")


def aggregate(rows, groups, reference):
    """One dictionary per setting: its own measures, its paired differences to the baseline, whether it is not worse."""
    points = {point["name"]: point for point in stats.by_setting(rows, reference)}
    for name in groups.keys() - {"baseline"}:
        found = stats.compare(groups["baseline"], groups[name], reference)
        distance = next((each for each in found if each["measure"] == "distance"), {"high": None})
        not_worse = distance["high"] is not None and distance["high"] <= NOT_WORSE
        verdict = stats.in_words(distance, "baseline", name) if "unit" in distance else None
        points[name] |= {"differences": found, "not_worse": not_worse, "verdict": verdict}
    return points


def draw(points, real, folder):
    """The three plots."""
    speed, label = plots.speed_axis(points.values())
    grid, base = [p for p in points.values() if p["name"] != "baseline"], [points["baseline"]]
    axis = {"quality": ("distance", plots.DISTANCE), "parallel": ("chars_per_call", "characters per call")}
    for name, (y, what) in axis.items():
        title = f"Two-stage decoding: speed and {what.partition(',')[0]}"
        with plots.figure(folder / f"speed_vs_{name}.png", title, label, what) as axes:
            plots.log_axis(axes)
            plots.scatter(axes, grid, speed, y, label="two-stage")
            plots.scatter(axes, base, speed, y, plots.COLOURS[1], "baseline: one stage, threshold", "*")
            if name == "quality" and real:
                plots.real_line(axes, real["distance"]["mean"])
    good = sorted((p for p in grid if p["not_worse"]), key=lambda p: -(p[speed] or 0))[:12]
    title = "The fastest settings that are not worse than the baseline"
    with plots.figure(folder / "top_speed_configs.png", title, label, "") as axes:
        for shown, colour, what in ((good, plots.COLOURS[2], "two-stage"), (base, plots.COLOURS[1], "baseline")):
            axes.barh([p["name"] for p in shown], [p[speed] or 0 for p in shown], color=colour, label=what)
        axes.invert_yaxis()


def summary(points, args, writer, real):
    """What the grid found in short: the five settings of fewest calls, of those that beat the baseline and are not worse."""
    better = [p for p in points.values() if p.get("not_worse") and p["nfe"] < points["baseline"]["nfe"]]
    columns = ("name", "nfe", "chars_per_second", "verdict")
    top_5 = [{key: p[key] for key in columns} for p in sorted(better, key=lambda p: p["nfe"])[:5]]
    rule = f"fewer calls than the baseline, and the 95 % interval of the difference in distance ends below {NOT_WORSE} bits"
    short = {"top_5": top_5, "top_5_rule": rule, "settings": len(points) - 1, "not_worse_and_faster": len(better)}
    return short | {"real_text": real, "stamp": records.stamp(**{**vars(args), "weights": writer.weights})}


def main(args):
    """Write the texts, compare every setting with the baseline, draw."""
    writer = methods.load(args.weights, args.module)
    settings = {name: (writer, decoding) for name, decoding in decodings(args).items()}
    reference = trials.reference(args, writer, methods.load)
    rows, folder = trials.experiment(settings, args, reference, args.module, "rows.json")
    groups = stats.grouped(rows, "name")
    points, real = aggregate(rows, groups, reference), stats.real_text(groups["baseline"], reference)
    found = summary(points, args, writer, real)
    folder.write("run_level.json", new_against_baseline(groups, reference))
    folder.write("agg_vs_baseline.json", list(points.values()))
    folder.write("summary.json", found)
    draw(points, real, folder.path)
    verdicts = [f"{p['name']}: {p['nfe']:.0f} calls; {p['verdict']}" for p in found["top_5"]]
    analysis = "analyze_inference_sweep.py", "--inputs", folder.path / "rows.json", "--tag", "two_stage"
    trials.conclude(verdicts or ["no setting has fewer calls and is not worse"], rows, folder, *analysis)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
