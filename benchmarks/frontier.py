"""Autoregressive, diffusion, or diffusion + flow? Quality at equal diversity, against calls and seconds.

    uv run -m benchmarks.frontier                       over an hour; --resume FOLDER goes on with an interrupted one
    uv run -m benchmarks.frontier --seeds 6,7 --other-prompts --results results/frontier_2 --rounds 0    other seeds and prompts

A low temperature makes any method look good to an evaluator model and dull to a reader, so every configuration writes at several
temperatures, and its figures are read off where the trigram entropy of its texts (of one seed, all prompts) has a given
value: by linear interpolation between the two temperatures on either side of it. Intervals are 95 % bootstrap intervals
over prompts, with the same resamples for all configurations, so that differences are paired. Forward passes are compiled where
that is safe: PyTorch's own overhead is most of a cached call of GPT, and would flatter whoever makes fewer calls.
"""

import random
import sys
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

import diffusion
import diffusion_flow
import gpt
import methods
from benchmarks import controls
from benchmarks.draft_model import DraftModel, NGrams
from benchmarks.timing import clock
from lab import cli, machine, plots, records, stats, trials
from lab.cli import check
from lab.corpus import Corpus
from lab.quality import measure

SPACED = {"top_k": None, "confidence_threshold": 0.0, "draft_threshold": 1.0}
MEASURES = ("generative_nll", "jsd_4", "real_words", "repetition", "nfe", "full_passes")


@dataclass(frozen=True)
class Args(trials.Args):
    seeds: cli.listed(int) = (1, 2, 3, 4, 5)
    prompts: int = 32
    max_new_tokens: int = 240
    batch: int = 32
    timed: int = 0
    other_prompts: bool = False  # held-out openings that a run does not take without this flag
    slow_seeds: int = 1  # seeds of the configurations that need a call for nearly every character
    entropies: cli.listed(float) = (10.3, 9.2, 8.3)  # bits, at which the configurations are compared
    rounds: int = 3  # timings of each configuration (of the slow ones: one); 0: none
    output_dir: Path = cli.ROOT / "frontier_reports"  # the texts, in a folder of their own
    results: Path = cli.ROOT / "results"  # frontier.json and two plots
    redraw: bool = False  # only draw what frontier.json there says

    def __post_init__(self):
        super().__post_init__()
        most = max(self.batch, stats.FEWEST)  # a batch that is timed, an interval
        check(self.prompts >= most, f"prompts must be at least {most} here, not {self.prompts}")


@dataclass(frozen=True)
class Configuration:
    """A way of writing, at several temperatures; slow: a call for nearly every character."""

    name: str
    writer: trials.Writer
    decoding: object
    temps: tuple
    slow: bool = False

    def settings(self):
        """(name, writer, Decoding) for each temperature."""
        return [(f"{self.name}, T {temp}", self.writer, replace(self.decoding, temp=temp)) for temp in self.temps]


def configurations(corpus):
    """All that take part, on the shipped weights."""
    weights = cli.ROOT / "weights"
    large, small = methods.load(None, "gpt"), methods.load(weights / "gpt_1_layer.pt", "gpt")
    masked, flow = methods.load(None, "diffusion"), methods.load(None, "diffusion_flow")
    draft_model = DraftModel(NGrams(np.asarray(corpus.train), len(corpus.alphabet)), drafts=8)
    if machine.can_compile(torch.device("cpu")):
        torch._dynamo.config.recompile_limit = 64  # two GPTs, with and without a cache: beyond it they are not compiled
        for writer in (large, small):
            writer.model.compile()  # a cached call is longer than the one before: its length stays open
        for writer in (masked, flow):
            writer.model.compile(dynamic=False)
    plain, guided = diffusion.Decoding(**SPACED), diffusion_flow.Decoding(**SPACED)
    left, high, low = gpt.Decoding(top_k=None), (0.3, 0.4, 0.6, 0.8, 1.0, 1.1), (0.15, 0.25, 0.35, 0.5, 0.65, 0.85, 1.0)
    calibrated, few_and_slow = (0.2, 0.3, 0.45, 0.6, 0.8, 1.0), ((0.2, 0.35, 0.5, 0.65), True)
    return [
        Configuration("GPT", large, left, calibrated),
        Configuration("GPT, n-gram draft model", replace(large, generate=draft_model.generate), left, calibrated, True),
        Configuration("1-layer GPT", small, left, high),
        Configuration("diffusion, spacing 2", masked, replace(plain, spacing=2), low),
        Configuration("diffusion, spacing 3", masked, replace(plain, spacing=3), low),
        Configuration("diffusion, spacing 5", masked, replace(plain, spacing=5), low),
        Configuration("diffusion, spacing 8", masked, replace(plain, spacing=8), low),
        Configuration("flow, spacing 3", flow, replace(guided, spacing=3), low),
        Configuration("flow, spacing 3, steps of .3", flow, replace(guided, spacing=3, flow_step=0.3), low),
        Configuration("flow, spacing 3, steps of 1", flow, replace(guided, spacing=3, flow_step=1.0), low),
        Configuration("flow, spacing 5", flow, replace(guided, spacing=5), low),
        Configuration("flow off, spacing 3", flow, replace(guided, spacing=3, flow_until=1.0), low),
        Configuration("flow off, spacing 5", flow, replace(guided, spacing=5, flow_until=1.0), low),
        Configuration("diffusion, threshold .85", masked, replace(plain, confidence_threshold=0.85), *few_and_slow),
        Configuration("diffusion, two stages", masked, diffusion.Decoding(top_k=None), *few_and_slow),
        Configuration(
            "the origin's one stage", masked, diffusion.Decoding(0.8, 2, 0.85, draft_threshold=1.0), (0.8,), True
        ),
        Configuration("flow, spacing 5, no noise", controls.noiseless(flow), replace(guided, spacing=5), low),
        Configuration("flow, spacing 5, evidence shuffled", controls.shuffled(flow), replace(guided, spacing=5), low),
    ]


def write(field, args, reference):
    """A text for each configuration, temperature, seed and prompt -> (rows, their folder)."""
    prompts = trials.prompts(field[0].writer, reference, args)
    if args.other_prompts:
        more = trials.prompts(field[0].writer, reference, replace(args, prompts=2 * args.prompts + 2))
        prompts = [prompt for prompt in more if prompt not in prompts][: args.prompts]
    todo = []
    for configuration in field:
        own = replace(args, seeds=args.seeds[: args.slow_seeds] if configuration.slow else args.seeds)
        for name, writer, decoding in configuration.settings():
            todo += trials.plan(name, writer, decoding, own, prompts)
    return trials.produce(todo, args, reference, "", "rows.json")


def draws(rows, reference, weights):
    """Every measure of one setting on the resamples of prompts: {measure: (1 + draws,)}, the first the sample itself.

    Those of one seed's texts, averaged over seeds: entropy and divergence depend on how much text there is.
    """
    found = []
    for own in stats.grouped(rows, "seed").values():
        measured = stats.resampled([stats.grouped(own, "prompt")], reference, MEASURES, weights)
        found.append({name: np.r_[value, drawn] for name, (value,), (drawn,), _ in measured})
    return {name: np.mean([measures[name] for measures in found], axis=0) for name in found[0]}


def at_entropy(curve, target):
    """Every measure where the entropy of a curve passes the target, on each resample; None where it never does.

    curve: [(temperature, draws of that temperature)] in order of temperature.
    """
    entropy = np.array([found["trigram_entropy"] for _, found in curve])  # (temperatures, 1 + draws)
    if not entropy[:, 0].min() <= target <= entropy[:, 0].max():
        return None
    below = entropy < target  # the last rise past it counts: at its coldest a broken sampler is diverse again
    upper = np.where(below.any(0), len(curve) - below[::-1].argmax(0), 1).clip(1, len(curve) - 1)
    pair = np.stack((upper - 1, upper))  # the temperatures on either side
    low, high = np.take_along_axis(entropy, pair, axis=0)
    share = (target - low) / (high - low)

    def read_off(values):
        below, above = np.take_along_axis(values, pair, axis=0)
        return (1 - share) * below + share * above

    each = {name: read_off(np.array([found[name] for _, found in curve])) for name in MEASURES}
    return each | {"temp": read_off(np.broadcast_to([[temp] for temp, _ in curve], entropy.shape))}


def compare(curves, entropies, clusters):
    """The configurations at each entropy: rows with means, intervals, and the difference in generative NLL to GPT and to spacing 5."""
    rows = []
    for target in entropies:
        found = {name: at_entropy(curve, target) for name, curve in curves.items()}
        for name, each in found.items():
            if each is None:
                continue
            row = {"name": name, "entropy": target} | {key: values[0] for key, values in each.items()}
            row["generative_nll_low"], row["generative_nll_high"] = stats.interval(each["generative_nll"][1:], clusters)
            for other in ("GPT", "diffusion, spacing 5"):
                if found.get(other) and name != other:
                    difference = each["generative_nll"] - found[other]["generative_nll"]
                    row[f"minus {other}"] = [difference[0], *stats.interval(difference[1:], clusters)]
            rows.append(row)
    return rows


def seconds(field, args, prompts):
    """Seconds per 1,000 characters of each configuration: medians over rounds in shuffled order, compiling apart.

    One text at a time, as the commands write it and compiled, and `batch` at a time compiled.
    """
    spent = {}
    for turn in range(args.rounds + 1):  # the first is not counted
        for configuration in random.Random(turn).sample(field, len(field)):
            if configuration.slow and turn > 1:  # a batch takes them a minute
                continue
            _, writer, decoding = configuration.settings()[len(configuration.temps) // 2]
            for size, compiled in (1, False), (1, True), (args.batch, True):
                canvas = trials.canvas_of(writer, prompts[:size], args.max_new_tokens)
                seeds = tuple(range(turn * size, turn * size + size))
                trial = trials.Trial(canvas, decoding, seeds)
                with torch.compiler.set_stance("default" if compiled else "force_eager"):
                    took = clock(lambda writer=writer, trial=trial: trials.run(writer, trial))
                if turn > 0:
                    each = spent.setdefault((configuration.name, size, compiled), [])
                    each.append(1000 * took / (size * args.max_new_tokens))
    return [
        {"name": name, "batch": size, "compiled": compiled, "seconds": float(np.median(all_))}
        for (name, size, compiled), all_ in spent.items()
    ]


def draw(found, folder):
    """Two plots at the middle entropy: generative NLL against calls, and against seconds."""
    entropies = sorted({row["entropy"] for row in found["matched"]})
    target = entropies[len(entropies) // 2]
    took = {row["name"]: row["seconds"] for row in found["seconds"] if row["batch"] == 1 and row["compiled"]}
    points = [row | {"seconds": took.get(row["name"])} for row in found["matched"] if row["entropy"] == target]
    title = f"Quality at equal diversity ({target} bits of trigrams)"
    y = "generative NLL, nats per character (lower is better)"
    labels = {"nfe": "calls for 240 characters"}
    labels |= {"seconds": "seconds per 1,000 characters, one text alone, compiled"} if took else {}
    for x, label in labels.items():
        with plots.figure(folder / f"frontier_{x}.png", title, label, y) as axes:
            plots.log_axis(axes)
            for kind, colour in (("GPT", 0), ("diffusion", 1), ("flow", 2)):
                own = [p for p in points if p["name"].startswith(kind)]
                for p, marker in zip(own, cycle("osD^v<>*"), strict=False):
                    plots.scatter(axes, [p], x, "generative_nll", plots.COLOURS[colour], p["name"], marker)


def main(args):
    """Write, measure, time, compare, draw."""
    if args.redraw:
        draw(records.read_json(args.results / "frontier.json"), args.results)
        return
    corpus = Corpus(args.data)
    field = configurations(corpus)
    reference = trials.reference(args, field[0].writer, methods.load)
    check(reference is not None and reference.evaluator is not None, "this needs the corpus and weights/evaluator.pt")
    rows, folder = write(field, args, reference)
    groups, prompts = stats.grouped(rows, "name"), list(dict.fromkeys(row["prompt"] for row in rows))
    weights = stats.resamples(len(prompts), 1000)
    curves = {e.name: [(d.temp, draws(groups[n], reference, weights)) for n, _, d in e.settings()] for e in field}
    matched = compare(curves, args.entropies, len(prompts))
    points = [
        {"name": name, "temp": temp} | {key: values[0] for key, values in found.items()}
        for name, curve in curves.items()
        for temp, found in curve
    ]
    real = measure(reference.cut(args.prompts, args.prompt_len, args.max_new_tokens), reference)
    real = {key: x["mean"] for key, x in stats.summarise(real, reference).items() if isinstance(x, dict)}
    timed = seconds(field, args, prompts) if args.rounds else []
    stamp = records.stamp(**{**vars(args), "weights": {e.name: e.writer.weights for e in field}})
    found = {"stamp": stamp, "real_text": real, "matched": matched, "seconds": timed, "points": points}
    records.write_json(args.results / "frontier.json", found)
    draw(found, args.results)
    table = Table("entropy", "configuration", "T", "calls", "generative NLL", "95 %", "JSD 4", "real words")
    for row in matched:
        figures = [f"{row[key]:.3g}" for key in ("temp", "nfe")] + [f"{row['generative_nll']:.3f}"]
        spread = f"{row['generative_nll_low']:.3f} .. {row['generative_nll_high']:.3f}"
        table.add_row(
            str(row["entropy"]), row["name"], *figures, spread, f"{row['jsd_4']:.3f}", f"{row['real_words']:.3f}"
        )
    records.show(table)
    print(folder.path, args.results / "frontier.json", sep="\n")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
