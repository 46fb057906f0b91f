"""Autoregressive, diffusion, or diffusion + flow? Quality at equal diversity, against forward passes and seconds.

    uv run -m benchmarks.frontier                                    over an hour; --resume FOLDER goes on with an interrupted one
    uv run -m benchmarks.frontier --resume benchmark_reports/frontier_DATE --rounds 0    its figures again, with the seconds that it took
    uv run -m benchmarks.frontier --weights my_gpt.pt,my_diffusion.pt --name mine    weights of your own

A low temperature makes any method look good to an evaluator model and dull to a reader, so every configuration writes at several
temperatures, and its figures are read off where the trigram entropy of its texts (of one seed, all prompts) has a given
value: by linear interpolation between the two temperatures on either side of it. Intervals are 95 % intervals over prompts
(`stats.interval`): all is read off again without each prompt in turn, so that differences are paired. Forward passes are compiled where
that is safe: PyTorch's own overhead is most of a cached pass of GPT, and would flatter whoever makes fewer passes.
"""

import itertools
import re
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import pandas as pd

import methods
from benchmarks.configurations import FAMILIES, PAIRS, configurations, eager, middle, of_weights
from benchmarks.frontier_plots import draw
from benchmarks.output import Output, show
from lab import cli
from lab.cli import UserError, check
from lab.decoding.canvas import Canvas
from lab.measuring import experiment, records, stats, trials
from lab.measuring.quality import SET_MEASURES
from lab.model.corpus import Corpus

WARM_UPS = 2  # turns: the first compiles, the second for shapes that one text and many share
MEASURES = ("generative_nll", "repetition", "nfe", "full_passes", *SET_MEASURES)  # which all texts have


@dataclass(frozen=True, kw_only=True)
class Args(Output, experiment.Args):
    seeds: cli.comma_list(int) = (1, 2, 3)
    prompts: int = 32
    max_new_tokens: int = 240
    batch: int = 32
    timed: int = 0
    entropies: cli.comma_list(float) = (10.3, 9.2, 8.3)  # bits, at which the configurations are compared
    weights: cli.comma_list(Path) = ()  # of your own, each as its method writes by default, in place of the shipped
    only: str = ""  # regular expression that the names of the configurations to compare contain; default all
    name: str = "frontier"  # of the file of figures
    rounds: int = 9  # timings of one text; of many a third, of slow ones one; 0: those of results/NAME.json
    output_dir: Path = cli.ROOT / "benchmark_reports"  # the texts, in a folder of their own

    def __post_init__(self):
        super().__post_init__()
        check(self.prompts >= self.batch, "--prompts: at least --batch, the texts that are timed together")
        cli.check_range(self, 0, 100, "rounds")


def chosen(configs, only):
    """The configurations whose names contain a regular expression. Raises UserError where there is none."""
    configs = list(configs)
    try:
        found = [config for config in configs if re.search(only, config.name)]
    except re.error as error:
        raise UserError(f"--only {only}: {error}") from error
    check(found, f"--only {only}: is in none of these names: {'; '.join(config.name for config in configs)}")
    return found


def write(configs, args, reference):
    """A text for each configuration, temperature, seed and prompt -> (rows, their folder)."""
    prompts = experiment.prompts(configs[0].engine, reference, args)
    planned = []
    for config in configs:
        flags = replace(args, seeds=args.seeds[:1]) if config.single_seed else args
        for variant in config.variants():
            planned += experiment.batches(*variant, flags, prompts)
    return experiment.generate_rows(planned, args, reference, "frontier")


def jackknifed(rows, reference):
    """Every measure of one setting, of all prompts and without each of them: {measure: (1 + prompts,)}.

    Those of one seed's texts, averaged over seeds: entropy and divergence depend on how much text there is.
    """
    seeds = []
    for texts in stats.grouped(rows, "seed").values():
        measured = stats.jackknifed([stats.grouped(texts, "prompt")], reference)
        seeds.append({name: values for name, (values,), _ in measured if name in MEASURES})
    return {name: np.mean([seed[name] for seed in seeds], axis=0) for name in seeds[0]}


def curve(config, rows, reference):
    """A configuration's measures over its temperatures: {measure: (temperatures, 1 + prompts)}. rows: by name of setting."""
    measured = [jackknifed(rows[name], reference) for name, _, _ in config.variants()]
    found = {name: np.array([point[name] for point in measured]) for name in measured[0]}
    return found | {"temp": np.array(config.temps)[:, None]}


def at_entropy(curve, target):
    """Every measure (1 + prompts,) where the entropy of a `curve` passes the target; None where it never does.

    Read off between the two temperatures where that of all texts last rises past it: at its coldest a broken sampler is
    diverse again.
    """
    entropy = curve["trigram_entropy"]
    rises = np.flatnonzero((entropy[:-1, 0] < target) & (entropy[1:, 0] >= target))
    if not len(rises):
        return None
    low = rises[-1]
    share = (target - entropy[low]) / (entropy[low + 1] - entropy[low])
    return {name: (1 - share) * values[low] + share * values[low + 1] for name, values in curve.items()}


def compare(curves, entropies, others):
    """The configurations at each entropy: rows with means, intervals, and differences in generative NLL from some others."""
    rows = []
    for target in entropies:
        read_off = {name: at_entropy(curve, target) for name, curve in curves.items()}
        reached = {name: measures for name, measures in read_off.items() if measures}
        for name, measures in reached.items():
            nll = measures["generative_nll"]
            row = {"name": name, "entropy": target} | {key: values[0] for key, values in measures.items()}
            row["generative_nll_low"], row["generative_nll_high"], _ = stats.interval(nll)
            for other in others:
                if other in reached and other != name:
                    difference = nll - reached[other]["generative_nll"]
                    low, high, _ = stats.interval(difference)
                    row[f"minus {other}"] = [difference[0], low, high]
            rows.append(row)
    return rows


def writing_seconds(engine, trial):
    """Seconds per 1,000 characters of a trial's texts."""
    began = time.perf_counter()
    trials.run(engine, trial)
    return 1000 * (time.perf_counter() - began) / int(trial.canvas.masked.sum())


def seconds(configs, temps, args, prompts):
    """Seconds per 1,000 characters of each configuration: medians over rounds in which all take turns, compiling apart.

    One text at a time, eager as the commands write it and compiled, and `batch` at a time compiled. temps: by name of
    configuration.
    """
    sizes = (1, False), (1, True), (args.batch, True)
    rows = []
    for turn in range(WARM_UPS + args.rounds):
        for config, (batch, is_compiled) in itertools.product(configs, sizes):
            if config.single_seed and (turn > WARM_UPS or batch > 1):  # one text only: a batch takes them a minute
                continue
            if batch > 1 and turn >= WARM_UPS + max(1, args.rounds // 3):
                continue
            _, engine, decoding = config.variants()[0]
            engine = engine if is_compiled else eager(engine)
            canvas = Canvas.after(experiment.encoded(engine, prompts[:batch]), args.max_new_tokens)
            seeds = range(turn * batch, (turn + 1) * batch)
            trial = trials.Trial(canvas, replace(decoding, temp=temps[config.name]), tuple(seeds))
            took = writing_seconds(engine, trial)
            if turn >= WARM_UPS:
                rows.append({"name": config.name, "batch": batch, "compiled": is_compiled, "seconds": took})
    medians = pd.DataFrame(rows).groupby(["name", "batch", "compiled"], sort=False)["seconds"].median()
    return medians.reset_index().to_dict("records")


def timed(configs, matched, args, prompts):
    """The seconds of the configurations at the middle entropy, and when they were taken; without rounds, of the last run."""
    if not args.rounds:
        path = cli.ROOT / "results" / f"{args.name}.json"
        stored = records.read_json(path) if path.exists() and not args.weights else {}
        return {"seconds": stored.get("seconds", []), "timed": stored.get("timed")}
    temps = {config.name: config.temps[-1] for config in configs}
    for row in sorted(matched, key=lambda row: row["entropy"] == middle(args.entropies)):
        temps[row["name"]] = row["temp"]  # that of the middle entropy comes last
    return {"seconds": seconds(configs, temps, args, prompts), "timed": records.stamp(rounds=args.rounds)}


def main(args):
    """Write, measure, time, compare, draw."""
    corpus = Corpus(args.data)
    known = of_weights(args.weights, compile=args.rounds) if args.weights else configurations(corpus)
    configs = chosen(known, args.only)
    engines = [config.engine for config in configs]
    reference = experiment.reference(args, engines[0], methods.load)
    check(reference and reference.evaluator, "this needs the corpus and weights/evaluator.pt")
    experiment.check_text(corpus.alphabet, corpus.path, *engines)
    weights = {config.name: config.engine.weights for config in configs}
    judge = reference.evaluator.weights
    check(judge not in weights.values(), f"--weights: {judge} would judge its own texts; name another --evaluator")
    rows, folder = write(configs, args, reference)
    settings = stats.grouped(rows, "name")
    curves = {config.name: curve(config, settings, reference) for config in configs}
    matched = compare(curves, args.entropies, curves if args.weights else PAIRS)
    points = []
    for name, measures in curves.items():
        table = pd.DataFrame({key: values[:, 0] for key, values in measures.items()})
        points += [{"name": name} | row for row in table.to_dict("records")]
    real = stats.real_text(rows[: args.prompts], reference)
    real_text = {key: value["mean"] for key, value in real.items() if isinstance(value, dict)}
    found = {"matched": matched, "points": points, "real_text": real_text}
    found |= timed(configs, matched, args, list(stats.grouped(rows, "prompt")))
    args.write(args.name, found, weights=weights)
    show(matched, "entropy", "name", "temp", "nfe", "generative_nll", "generative_nll_low", "generative_nll_high")
    print(folder.path)
    found = records.read_json(args.folder / f"{args.name}.json")
    if args.weights:
        draw(found, args.folder, args.name)
        return
    for family, only in FAMILIES.items():
        draw(found, args.folder, f"{args.name}_{family}", only)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
