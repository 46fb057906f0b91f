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
import random
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np

import methods
from benchmarks.configurations import PAIRS, SPACED, configurations, eager
from benchmarks.timing import Output, show, writing_seconds
from lab import cli, experiment, plots, records, stats, trials
from lab.canvas import Canvas
from lab.cli import check
from lab.corpus import Corpus
from lab.quality import measure

MEASURES = ("generative_nll", "jsd_4", "real_words", "repetition", "nfe", "full_passes")
NAMED = ("GPT", "GPT, draft model", "1-layer GPT", SPACED, "flow, spacing 8", "diffusion, threshold .85")
STORED = cli.ROOT / "results" / "frontier.json"


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


def write(configs, args, reference):
    """A text for each configuration, temperature, seed and prompt -> (rows, their folder)."""
    prompts, planned = experiment.prompts(configs[0].engine, reference, args), []
    for config in configs:
        flags = replace(args, seeds=args.seeds[:1]) if config.single_seed else args
        for variant in config.variants():
            planned += experiment.batches(*variant, flags, prompts)
    return experiment.generate_rows(planned, args, reference, "frontier", "rows.json")


def jackknifed(rows, reference):
    """Every measure of one setting, of all prompts and without each of them: {measure: (1 + prompts,)}.

    Those of one seed's texts, averaged over seeds: entropy and divergence depend on how much text there is.
    """
    seeds = []
    for texts in stats.grouped(rows, "seed").values():
        measured = stats.jackknifed([stats.grouped(texts, "prompt")], reference, MEASURES)
        seeds.append({name: values for name, (values,), _ in measured})
    return {name: np.mean([seed[name] for seed in seeds], axis=0) for name in seeds[0]}


def crossing(entropy, target):
    """Where a curve (temperatures,) last rises past the target: the temperature above it, and how far the way to it is gone.

    The last rise counts, because at its coldest a broken sampler is diverse again.
    """
    below = np.flatnonzero(entropy < target)
    above = np.clip(below[-1] + 1 if len(below) else 1, 1, len(entropy) - 1)
    low, high = entropy[above - 1], entropy[above]
    return above, (target - low) / (high - low) if high != low else 0.0


def at_entropy(curve, target):
    """Every measure where the entropy of a curve passes the target, as `jackknifed`; None where it never does.

    curve: [(temperature, what `jackknifed` says of it)] in order of temperature.
    """
    entropy = np.array([found["trigram_entropy"] for _, found in curve])  # (temperatures, 1 + prompts)
    if not entropy[:, 0].min() <= target <= entropy[:, 0].max():
        return None
    places = [crossing(sample, target) for sample in entropy.T]

    def read_off(values):
        samples = zip(np.transpose(values), places, strict=True)
        return np.array([(1 - share) * sample[above - 1] + share * sample[above] for sample, (above, share) in samples])

    temps = np.broadcast_to([[temp] for temp, _ in curve], entropy.shape)
    return {name: read_off([found[name] for _, found in curve]) for name in MEASURES} | {"temp": read_off(temps)}


def compare(curves, entropies):
    """The configurations at each entropy: rows with means, intervals, and the differences in generative NLL of PAIRS."""
    rows = []
    for target in entropies:
        read_off = {name: at_entropy(curve, target) for name, curve in curves.items()}
        reached = {name: measures for name, measures in read_off.items() if measures is not None}
        for name, measures in reached.items():
            nll = measures["generative_nll"]
            row = {"name": name, "entropy": target} | {key: values[0] for key, values in measures.items()}
            row["generative_nll_low"], row["generative_nll_high"], _ = stats.interval(nll)
            for other in PAIRS:
                if other in reached and other != name:
                    difference = nll - reached[other]["generative_nll"]
                    low, high, _ = stats.interval(difference)
                    row[f"minus {other}"] = [difference[0], low, high]
            rows.append(row)
    return rows


def seconds(configs, costs, args, prompts):
    """Seconds per 1,000 characters of each configuration: medians over rounds in shuffled order, compiling apart.

    One text at a time, eager as the commands write it and compiled, and `batch` at a time compiled. costs: name -> a row
    with the temperature to write at.
    """
    spent = {}  # (name, batch, compiled) -> seconds of each round
    for turn in range(args.rounds + 1):  # the first is not counted
        for config in random.Random(turn).sample(configs, len(configs)):
            for size, is_compiled in (1, False), (1, True), (args.batch, True):
                if config.single_seed and (turn > 1 or size > 1):  # one text only: a batch takes them a minute
                    continue
                _, engine, decoding = config.variants()[0]
                engine = engine if is_compiled else eager(engine)
                decoding = replace(decoding, temp=costs[config.name]["temp"])
                canvas = Canvas.after(experiment.encoded(engine, prompts[:size]), args.max_new_tokens)
                trial = trials.Trial(canvas, decoding, tuple(range(turn * size, turn * size + size)))
                took = writing_seconds(engine, trial)
                if turn > 0:
                    spent.setdefault((config.name, size, is_compiled), []).append(took)
    return [
        {"name": name, "batch": batch, "compiled": is_compiled, "seconds": statistics.median(rounds)}
        for (name, batch, is_compiled), rounds in spent.items()
    ]


def middle(entropies):
    """The entropy that costs and plots are read off at."""
    return sorted(entropies)[len(entropies) // 2]


def draw(found, folder):
    """A plot for calls, and one for seconds of one text and of many together: generative NLL at the middle entropy."""
    target, batch = middle(found["settings"]["entropies"]), found["settings"]["batch"]
    took = {(row["name"], row["batch"]): row["seconds"] for row in found["seconds"] if row["compiled"]}
    points = {
        row["name"]: row | {"seconds": took.get((row["name"], 1)), "seconds_together": took.get((row["name"], batch))}
        for row in found["matched"]
        if row["entropy"] == target
    }
    missing = sorted({*NAMED} - {*points})
    check(not missing, f"no plots: {', '.join(missing)}: not at {target} bits of entropy; choose other --entropies")
    y = f"generative NLL, nats per character,\nat equal entropy ({target} bits; \u2190 better)"
    draw_flows(points, folder, y)
    plotted = {"nfe": ("calls", "calls for 240 characters")}
    if took:
        plotted["seconds"] = "time", "seconds per 1,000 characters, one text alone, compiled"
        plotted["seconds_together"] = "time", f"seconds per 1,000 characters, {batch} texts together, compiled"
    gpt, spaced = points["GPT"], points[SPACED]
    for key, (what, x) in plotted.items():
        less = gpt[key] / spaced[key]
        share = f"1/{less:.0f} of" if less > 1.5 else f"{1 / less:.1f} times"
        nats = spaced["generative_nll"] - gpt["generative_nll"]
        title = f"Diffusion takes {share} GPT's {what}; its text is {nats:.2f} nats less probable"
        known = {name: point for name, point in points.items() if point[key] is not None}
        with plots.figure(folder / f"frontier_{key}.png", title, x, y) as axes:
            picture(axes, known, key, found["real_text"]["generative_nll"])


def draw_flows(points, folder, y):
    """What the flow does to calls and to generative NLL: an arrow for each way of unmasking. points: by name."""
    place = {name: (point["nfe"], point["generative_nll"]) for name, point in points.items()}
    colours = itertools.cycle((*plots.COLOURS, "black"))
    title = "What the flow changes at equal diversity: from flow off (ring) to flow (dot)"
    with plots.figure(folder / "frontier_flow.png", title, "calls for 240 characters", y) as axes:
        for off, names in PAIRS.items():
            for name in names:
                if "flow off" in off and name in place and off in place:
                    colour = next(colours)
                    axes.annotate("", place[name], place[off], arrowprops={"arrowstyle": "->", "color": colour})
                    axes.plot(*place[off], "o", color=colour, fillstyle="none")
                    axes.plot(*place[name], "o", color=colour, label=name)


def picture(axes, points, x, real):
    """The points over x, six of them named, the line of those that no other beats, and where real text lies."""
    y = "generative_nll"
    plots.log_axes(axes)
    plots.real_line(axes, real)
    best = stats.pareto([point | {"rate": -point[x]} for point in points.values()], ("rate",), (y,))
    line = [point[x] for point in reversed(best)], [point[y] for point in reversed(best)]
    axes.plot(*line, drawstyle="steps-post", color="#777777", zorder=0, label="Pareto frontier")
    plots.scatter(axes, [point for name, point in points.items() if name not in NAMED], x, y, "#bbbbbb")
    for name, colour in zip(NAMED, plots.COLOURS, strict=True):
        if name in points:  # timed
            plots.scatter(axes, [points[name]], x, y, colour, label=name)


def timed(configs, found, args, prompts):
    """What the configurations cost in seconds at the temperatures that `found` has; without rounds, what the last run found."""
    if not args.rounds:
        stored = records.read_json(STORED)
        return {"seconds": stored["seconds"], "timed": stored["timed"]}
    nearest = [row for row in found["matched"] if row["entropy"] == middle(args.entropies)]
    costs = {row["name"]: row for row in found["points"] + found["matched"] + nearest}
    return {"seconds": seconds(configs, costs, args, prompts), "timed": records.stamp(rounds=args.rounds)}


def main(args):
    """Write, measure, time, compare, draw."""
    corpus = Corpus(args.data)
    configs = list(configurations(corpus))
    reference = experiment.reference(args, configs[0].engine, methods.load)
    check(reference is not None and reference.evaluator is not None, "this needs the corpus and weights/evaluator.pt")
    rows, folder = write(configs, args, reference)
    groups = stats.grouped(rows, "name")
    curves = {
        config.name: [(decoding.temp, jackknifed(groups[name], reference)) for name, _, decoding in config.variants()]
        for config in configs
    }
    found = {"matched": compare(curves, args.entropies)}
    found["points"] = [
        {"name": name, "temp": temp} | {key: values[0] for key, values in measures.items()}
        for name, curve in curves.items()
        for temp, measures in curve
    ]
    found |= timed(configs, found, args, list(dict.fromkeys(row["prompt"] for row in rows)))
    real = measure(reference.cut(args.prompts, args.prompt_len, args.max_new_tokens), reference)
    summary = stats.summarise(real, reference)
    found["real_text"] = {key: value["mean"] for key, value in summary.items() if isinstance(value, dict)}
    args.write("frontier", found, weights={config.name: config.engine.weights for config in configs})
    show(found["matched"], "entropy", "name", "temp", "nfe", *MEASURES[:4], "generative_nll_low", "generative_nll_high")
    print(folder.path)
    draw(records.read_json(args.folder / "frontier.json"), args.folder)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
