"""Autoregressive, diffusion, or diffusion + flow? Quality at equal diversity, against calls and seconds.

    uv run -m benchmarks.frontier                                    over an hour; --resume FOLDER goes on with an interrupted one
    uv run -m benchmarks.frontier --resume results/frontier --rounds 0    derives the figures of results/frontier.json again

A low temperature makes any method look good to an evaluator model and dull to a reader, so every configuration writes at several
temperatures, and its figures are read off where the trigram entropy of its texts (of one seed, all prompts) has a given
value: by linear interpolation between the two temperatures on either side of it. Intervals are 95 % intervals over prompts
(`stats.interval`): all is read off again without each prompt in turn, so that differences are paired. Forward passes are compiled where
that is safe: PyTorch's own overhead is most of a cached call of GPT, and would flatter whoever makes fewer calls.
"""

import itertools
import math
import random
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import pandas as pd

import methods
from benchmarks.configurations import configurations, eager
from benchmarks.readme import PAIRS, SPACED
from benchmarks.timing import Output, clock, show
from lab import cli, experiment, plots, records, stats, trials
from lab.canvas import Canvas
from lab.cli import check
from lab.corpus import Corpus
from lab.quality import measure

MEASURES = ("generative_nll", "jsd_4", "real_words", "repetition", "nfe", "full_passes")
LABELLED = ("GPT", "GPT, draft model", "1-layer GPT", SPACED, "flow, spacing 8", "diffusion, threshold .85")
STORED = cli.ROOT / "results" / "frontier.json"
BELOW = ("GPT", "flow, spacing 8")  # their labels would cover those of their neighbours


@dataclass(frozen=True, kw_only=True)
class Args(Output, experiment.Args):
    seeds: cli.listed(int) = (1, 2, 3)
    prompts: int = 32
    max_new_tokens: int = 240
    batch: int = 32
    timed: int = 0
    entropies: cli.listed(float) = (10.3, 9.2, 8.3)  # bits, at which the configurations are compared
    rounds: int = 2  # timings of each configuration, of slow ones one of one text; 0: those of results/frontier.json
    output_dir: Path = cli.ROOT / "benchmark_reports"  # the texts, in a folder of their own

    def __post_init__(self):
        super().__post_init__()
        enough = self.prompts >= max(self.batch, stats.FEWEST_CLUSTERS)
        check(self.runtime == "torch", "--runtime: PyTorch is what this benchmark compiles and times; leave it out")
        check(enough, "--prompts: at least --batch, and 5 for an interval")
        cli.check_range(self, 0, 100, "rounds")
        check(self.entropies and all(map(math.isfinite, self.entropies)), "--entropies: one number or more")


def write(field, args, reference):
    """A text for each configuration, temperature, seed and prompt -> (rows, their folder)."""
    prompts, todo = experiment.prompts(field[0].engine, reference, args), []
    for one in field:
        flags = replace(args, seeds=args.seeds[:1]) if one.slow else args
        todo += [task for each in one.sets() for task in experiment.batches(*each, flags, prompts)]
    return experiment.generate_rows(todo, args, reference, "frontier", "rows.json")


def jackknifed(rows, reference):
    """Every measure of one setting, of all prompts and without each of them: {measure: (1 + prompts,)}.

    Those of one seed's texts, averaged over seeds: entropy and divergence depend on how much text there is.
    """
    found = []
    for texts in stats.grouped(rows, "seed").values():
        measured = stats.jackknifed([stats.grouped(texts, "prompt")], reference, MEASURES)
        found.append({name: figures for name, (figures,), _ in measured})
    return {name: np.mean([measures[name] for measures in found], axis=0) for name in found[0]}


def at_entropy(curve, target):
    """Every measure where the entropy of a curve passes the target, as `jackknifed`; None where it never does.

    curve: [(temperature, what `jackknifed` says of it)] in order of temperature.
    """
    entropy = np.array([found["trigram_entropy"] for _, found in curve])  # (temperatures, 1 + prompts)
    if not entropy[:, 0].min() <= target <= entropy[:, 0].max():
        return None
    below = entropy < target  # the last rise past it counts: at its coldest a broken sampler is diverse again
    upper = np.where(below.any(0), len(curve) - below[::-1].argmax(0), 1).clip(1, len(curve) - 1)
    pair = np.stack((upper - 1, upper))  # the temperatures on either side
    low, high = np.take_along_axis(entropy, pair, axis=0)
    share = np.divide(target - low, high - low, out=np.zeros_like(low), where=high != low)

    def read_off(values):
        below, above = np.take_along_axis(values, pair, axis=0)
        return (1 - share) * below + share * above

    each = {name: read_off(np.array([found[name] for _, found in curve])) for name in MEASURES}
    return each | {"temp": read_off(np.broadcast_to([[temp] for temp, _ in curve], entropy.shape))}


def compare(curves, entropies):
    """The configurations at each entropy: rows with means, intervals, and the differences in generative NLL of PAIRS."""
    rows = []
    for target in entropies:
        found = {name: at_entropy(curve, target) for name, curve in curves.items()}
        for name, each in found.items():
            if each is None:
                continue
            row = {"name": name, "entropy": target} | {key: values[0] for key, values in each.items()}
            row["generative_nll_low"], row["generative_nll_high"], _ = stats.interval(each["generative_nll"])
            for other in PAIRS:
                if found.get(other) and name != other:
                    difference = each["generative_nll"] - found[other]["generative_nll"]
                    row[f"minus {other}"] = [difference[0], *stats.interval(difference)[:2]]
            rows.append(row)
    return rows


def seconds(field, costs, args, prompts):
    """Seconds per 1,000 characters of each configuration: medians over rounds in shuffled order, compiling apart.

    One text at a time, eager as the commands write it and compiled, and `batch` at a time compiled. costs: name -> a row
    with the temperature to write at.
    """
    spent = []
    for turn in range(args.rounds + 1):  # the first is not counted
        for one in random.Random(turn).sample(field, len(field)):
            for size, is_compiled in (1, False), (1, True), (args.batch, True):
                if one.slow and (turn > 1 or size > 1):  # one text only: a batch takes them a minute
                    continue
                _, engine, decoding = one.sets()[0]
                engine = engine if is_compiled else eager(engine)
                decoding = replace(decoding, temp=costs[one.name]["temp"])
                canvas = Canvas.after(experiment.encoded(engine, prompts[:size]), args.max_new_tokens)
                trial = trials.Trial(canvas, decoding, tuple(range(turn * size, turn * size + size)))
                took = 1000 * clock(partial(trials.run, engine, trial)) / (size * args.max_new_tokens)
                spent += [{"name": one.name, "batch": size, "compiled": is_compiled, "seconds": took}] * (turn > 0)
    ways = pd.DataFrame(spent, columns=["name", "batch", "compiled", "seconds"]).groupby(["name", "batch", "compiled"])
    return ways.median().reset_index().to_dict("records")


def middle(entropies):
    """The entropy that costs and plots are read off at."""
    return sorted(entropies)[len(entropies) // 2]


def draw(found, folder):
    """A plot for calls, and one for seconds of one text and of many together: generative NLL at the middle entropy."""
    target = middle(found["settings"]["entropies"])
    batch = found["settings"]["batch"]
    took = {(r["name"], r["batch"]): r["seconds"] for r in found["seconds"] if r["compiled"]}
    points = [
        row | {"seconds": took.get((row["name"], 1)), "seconds_together": took.get((row["name"], batch))}
        for row in found["matched"]
        if row["entropy"] == target
    ]
    missing = sorted({*LABELLED} - {point["name"] for point in points})
    check(not missing, f"no plots: {', '.join(missing)}: not at {target} bits of entropy; choose other --entropies")
    y = f"generative NLL, nats per character,\nat equal entropy ({target} bits)"
    draw_flows(points, folder, y)
    axes = {"nfe": ("calls", "calls for 240 characters")}
    if took:
        axes["seconds"] = "time", "seconds per 1,000 characters, one text alone, compiled"
        axes["seconds_together"] = "time", f"seconds per 1,000 characters, {batch} texts together, compiled"
    for key, (what, x) in axes.items():
        gpt, spaced = (next(p for p in points if p["name"] == name) for name in ("GPT", SPACED))
        less = gpt[key] / spaced[key]
        share = f"1/{less:.0f} of" if less > 1.5 else f"{1 / less:.1f} times"
        title = f"Diffusion takes {share} GPT's {what}; its text is "
        title += f"{spaced['generative_nll'] - gpt['generative_nll']:.2f} nats less probable"
        known = [p for p in points if p[key] is not None]
        enough = 0.9 * spaced[key], spaced["generative_nll"] - 0.02  # less is noise
        beaten = [p["name"] for p in known if p[key] < enough[0] and p["generative_nll"] < enough[1]]
        better = "; ".join(name for name in LABELLED if name in beaten)
        title += f"\nBetter than diffusion in both: {better}" if better else ""
        with plots.figure(folder / f"frontier_{key}.png", title, x, y) as axes:
            picture(axes, known, key, found["real_text"]["generative_nll"])


def draw_flows(points, folder, y):
    """What the flow does to calls and to generative NLL: an arrow for each way of unmasking."""
    named = {point["name"]: (point["nfe"], point["generative_nll"]) for point in points}
    asked = [(name, off) for off, names in PAIRS.items() if "flow off" in off for name in names]
    pairs = [pair for pair in asked if {*pair} <= {*named}]
    title = "What the flow changes at equal diversity: from flow off (ring) to flow (dot)"
    with plots.figure(folder / "frontier_flow.png", title, "calls for 240 characters", y) as axes:
        for colour, (name, off) in zip(itertools.cycle((*plots.COLOURS, "black")), pairs, strict=False):
            axes.annotate("", named[name], named[off], arrowprops={"arrowstyle": "->", "color": colour})
            axes.plot(*named[off], "o", color=colour, fillstyle="none")
            axes.plot(*named[name], "o", color=colour, label=name)


def picture(axes, points, x, real):
    """The points over x, six of them labelled, the line of those that no other beats, and where real text lies."""
    plots.log_axes(axes)
    named = {p["name"]: p for p in points}
    best = stats.pareto([p | {"rate": -p[x]} for p in points], ("rate",), ("generative_nll",))[::-1]
    near = {"textcoords": "offset points", "fontsize": 11, "zorder": 1, "bbox": {"color": "white", "pad": 0.5}}
    grey, levels = {"color": "#777777", "zorder": 0}, [p["generative_nll"] for p in best]
    axes.plot([p[x] for p in best], levels, drawstyle="steps-post", **grey)
    above = 22 if best[0]["name"] in LABELLED else 6
    axes.annotate("Pareto frontier", (best[0][x], levels[0]), (6, above), color="#777777", **near)
    axes.axhline(real, linestyle="--", **grey)
    axes.text(0.99, real, "real text", transform=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=11)
    plots.scatter(axes, [p for p in points if p["name"] not in LABELLED], x, "generative_nll", "#bbbbbb")
    for name, colour in zip(LABELLED, plots.COLOURS, strict=True):
        if name not in named:  # not timed
            continue
        p = named[name]
        plots.scatter(axes, [p], x, "generative_nll", colour)
        right = p[x] > 0.6 * max(q[x] for q in points)  # a label there would leave the picture
        place, side = ((-7, 5), "right") if right else ((7, -15 if name in BELOW else 5), "left")
        axes.annotate(name, (p[x], p["generative_nll"]), place, ha=side, color=colour, **near)
    axes.annotate("better", (0.8, 0.8), (0.86, 0.9), "axes fraction", fontsize=11, arrowprops={"arrowstyle": "->"})


def timed(field, found, args, prompts):
    """What the configurations cost in seconds at the temperatures that `found` has; without rounds, what the last run found."""
    if not args.rounds:
        return {key: records.read_json(STORED)[key] for key in ("seconds", "timed")}
    nearest = [row for row in found["matched"] if row["entropy"] == middle(args.entropies)]
    costs = {row["name"]: row for row in found["points"] + found["matched"] + nearest}
    return {"seconds": seconds(field, costs, args, prompts), "timed": records.stamp(rounds=args.rounds)}


def main(args):
    """Write, measure, time, compare, draw."""
    corpus = Corpus(args.data)
    field = configurations(corpus)
    reference = experiment.reference(args, field[0].engine, methods.load)
    check(reference is not None and reference.evaluator is not None, "this needs the corpus and weights/evaluator.pt")
    rows, folder = write(field, args, reference)
    groups, prompts = stats.grouped(rows, "name"), list(dict.fromkeys(row["prompt"] for row in rows))
    curves = {one.name: [(d.temp, jackknifed(groups[n], reference)) for n, _, d in one.sets()] for one in field}
    found = {"matched": compare(curves, args.entropies)}
    measured = [(name, temp, values) for name, curve in curves.items() for temp, values in curve]
    found["points"] = [{"name": n, "temp": t} | {key: x[0] for key, x in values.items()} for n, t, values in measured]
    found |= timed(field, found, args, prompts)
    real = measure(reference.cut(args.prompts, args.prompt_len, args.max_new_tokens), reference)
    found["real_text"] = {k: x["mean"] for k, x in stats.summarise(real, reference).items() if isinstance(x, dict)}
    args.write("frontier", found, weights={one.name: one.engine.weights for one in field})
    show(found["matched"], "entropy", "name", "temp", "nfe", *MEASURES[:4], "generative_nll_low", "generative_nll_high")
    print(folder.path)
    draw(records.read_json(args.folder / "frontier.json"), args.folder)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
