"""Two-stage decoding over a grid of settings against one-stage decoding, on the same weights, prompts and seeds.

    uv run sweep_new_two_stage_vs_baseline.py --module diffusion

Writes sweep_generate_reports/<module>_<timestamp>/: rows.jsonl (a row per text), run_level.json (for each setting, seed and
prompt new against baseline), agg_vs_baseline.json, summary.json (top_5: those of fewest forward passes among the not worse),
speed_vs_quality.png, speed_vs_parallel.png, top_speed_configs.png.
"""

import operator
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import pandas as pd

import diffusion
import methods
from lab import cli
from lab.cli import comma_list
from lab.measuring import experiment, plots, records, stats
from lab.measuring.quality import TEXT_MEASURES
from methods import ONE_STAGE, STAGED, TWO_STAGE

MARGIN = 0.02  # of `distance`, which the whole interval of the difference may reach
RULE = (
    f"fewer forward passes than the baseline, and the 95 % interval of the difference in distance ends below {MARGIN}"
)


@dataclass(frozen=True)
class Args(experiment.Args):
    seeds: comma_list(int) = (1337, 2027, 7, 42, 123, 314, 2718, 9001, 65537, 8888)
    prompts: int = 1
    max_new_tokens: int = 240
    module: cli.method_name() = "diffusion"  # diffusion or diffusion_flow
    weights: Path | None = None  # default weights/MODULE.pt
    temp: float = STAGED["temp"]  # of all
    top_k: cli.one_number_or_all() = STAGED["top_k"]  # of all
    spacing: int = STAGED["spacing"]  # of all
    base_confidence_threshold: float = ONE_STAGE["confidence_threshold"]
    base_draft_threshold: float = ONE_STAGE["draft_threshold"]
    base_confirm_threshold: float = ONE_STAGE["confirm_threshold"]
    base_replace_margin: float = ONE_STAGE["replace_margin"]
    base_target_chunk_len: int = diffusion.Decoding.target_chunk_len
    sweep_confidence_threshold: comma_list(float) = (TWO_STAGE["confidence_threshold"],)
    sweep_draft_threshold: comma_list(float) = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    sweep_confirm_threshold: comma_list(float) = (0.85, 0.88)
    sweep_replace_margin: comma_list(float) = (0.0, 0.02, 0.05)
    sweep_target_chunk_len: comma_list(int) = (diffusion.Decoding.target_chunk_len,)
    output_dir: Path = cli.ROOT / "sweep_generate_reports"


def decodings(args):
    """Name -> Decoding: the baseline, then the grid."""
    start = methods.masked_decoding(args.module, vars(args))
    baseline = {"baseline": replace(start, **cli.prefixed(args, "base"))}
    return baseline | experiment.grid(start, cli.prefixed(args, "sweep"))


def new_against_baseline(rows):
    """A row for each setting, seed and prompt: every column of the new text and of the baseline's, and their differences."""
    table = pd.DataFrame(rows)
    table["chars_per_call"] = table.chars / table.nfe
    is_baseline = table.name == "baseline"
    pairs = table[~is_baseline].merge(table[is_baseline], on=["seed", "prompt"], suffixes=("", "_baseline"))
    for name in TEXT_MEASURES:
        pairs[f"{name}_difference"] = pairs[name].astype(float) - pairs[f"{name}_baseline"].astype(float)
    return pairs.to_dict("records")


def aggregate(groups, reference):
    """The baseline, then each setting: its measures, its paired differences to the baseline, whether it is not worse."""
    baseline, *others = stats.by_setting(groups.values(), reference)
    for point in others:
        point["differences"] = stats.compare(groups["baseline"], groups[point["name"]], reference)
    distances = [dict(row) for point in others for row in point["differences"] if row["measure"] == "distance"]
    # corrected together: the grid is searched for the settings that are better; without a corpus there is no distance
    for point, row in zip(others, stats.with_verdicts(distances), strict=False):
        point["not_worse"] = row["high"] is not None and row["high"] <= MARGIN
        point["verdict"] = stats.verdict_of(row, "baseline", point["name"])
    return baseline, others


def draw(baseline, others, best, real, folder):
    """The three plots; best: the settings to show as bars."""
    shown = {"two stages": others, "baseline": [baseline]}
    speed = plots.speed_of([baseline, *others])
    for name, y in {"quality": "distance", "parallel": "chars_per_call"}.items():
        title = "Two-stage decoding against one stage"
        plots.against_speed(folder / f"speed_vs_{name}.png", title, speed, y, shown, real)
    title = "Settings that are not worse than the baseline"
    bars = pd.DataFrame([*best, baseline])
    with plots.figure(folder / "top_speed_configs.png", title, "forward passes for a text (\u2190 better)", "") as axes:
        axes.bar_label(axes.barh(bars["name"], bars["nfe"]), fmt="%.0f")
        axes.invert_yaxis()


def main(args):
    """Write the texts, compare every setting with the baseline, draw."""
    engine = methods.load(args.module, args.weights, sampler=args.sampler)
    settings = {name: (engine, decoding) for name, decoding in decodings(args).items()}
    rows, folder, reference = experiment.write(settings, args, methods.load, engine.name)
    groups = stats.grouped(rows, "name")
    baseline, others = aggregate(groups, reference)
    real = stats.real_text(groups["baseline"], reference)
    better = [p for p in others if p.get("not_worse") and p["nfe"] < baseline["nfe"]]
    better.sort(key=operator.itemgetter("nfe"))
    verdicts = [f"{p['name']}: {p['nfe']:.0f} passes; {p['verdict']}" for p in better[:5]]
    summary = {
        "top_5": verdicts,
        "top_5_rule": RULE,
        "settings": len(others),
        "not_worse_and_faster": len(better),
        "real_text": real,
        "stamp": records.stamp(args, weights=engine.weights),
    }
    folder.write("run_level.json", new_against_baseline(rows))
    folder.write("agg_vs_baseline.json", [baseline, *others])
    folder.write("summary.json", summary)
    draw(baseline, others, better[:12], real, folder.path)
    analysis = "analyze_inference_sweep.py", "--inputs", folder.lines, "--tag", "two_stage"
    experiment.print_summary(verdicts or ["no setting has fewer forward passes and is not worse"], folder, *analysis)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
