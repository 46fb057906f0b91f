"""How well does each model predict held-out text? Likelihoods of all methods on one scale.

    uv run evaluate_likelihood.py
    uv run evaluate_likelihood.py --weights my_gpt.pt,my_diffusion.pt --data my.txt

The figures of GPT and streams are exact; the masked models' is an upper bound. Below it stands what a sampler is worth that
commits by a given unmasking strategy (path likelihood, 16 characters given, 240 written): the price of few passes, without
samples and without an evaluator model. Choices were made on the validation split, so the test split is the one to quote; the
whole is for comparison with other projects. Writes likelihood_reports/<timestamp>/likelihood.json.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import pandas as pd
import torch

import methods
from lab import cli, files
from lab.measuring import records, stats
from lab.model import checkpoint, likelihood
from lab.model.corpus import Corpus, windows
from lab.progress import Bar


@dataclass(frozen=True)
class Args:
    method: cli.comma_list(Path) = ()  # files that define methods of your own
    weights: cli.comma_list(Path) = tuple(map(checkpoint.default_path, methods.METHODS))  # .pt files of any method
    data: Path | None = None  # UTF-8 text whose last tenth is held out; default data.txt
    repeats: int = 4  # random masks per window in the bound
    most: int = 2000  # windows of a part at most, evenly spread
    strategies: str = "left,threshold=0.9,budget=2,budget=6,random=30,random=15,spacing=1,spacing=2,spacing=3,spacing=5,spacing=8,spacing=12,streams=16,streams=8,streams=4,streams=2,streams=1"  # unmasking strategies; empty: none
    windows: int = 32  # for the unmasking strategies
    output_dir: Path | None = None  # where likelihood.json goes; default: a new folder in likelihood_reports

    def __post_init__(self):
        cli.check_range(self, 1, 10**6, "repeats", "most", "windows")
        for name in self.chosen:
            methods.named(name)

    @property
    def chosen(self):
        """The unmasking strategies."""
        return self.strategies.replace(",", " ").split()


def read(engine, corpus, part, most, every=None):
    """Windows of a part of the corpus as the model's tokens: it may know more characters than there are."""
    tokens = engine.alphabet.encode(corpus.alphabet.characters)
    return tokens[windows(part, engine.model.config.block_size + 1, every, most)]


def likelihoods(engine, corpus, args):
    """Rows: what a model needs for each part of the held-out text."""
    parts = {"test split": corpus.test, "validation split": corpus.validation, "whole": corpus.held_out}
    model = engine.model
    kind = "exact" if engine.method.is_exact else "upper bound"
    for part, ids in parts.items():
        held = read(engine, corpus, ids, args.most)
        with Bar(f"{engine.name}, {part}, {len(held)} windows"):
            found = {f"{kind}, non-overlapping windows": engine.method.nll(model, held, args.repeats)}
            if engine.method.is_causal:
                halves = read(engine, corpus, ids, 2 * args.most, every=model.config.block_size // 2)
                found["exact, half a window of context"] = likelihood.sliding_nll(model, halves)
        for measure, nll in found.items():
            nats = nll.mean().item()
            bits = nats / math.log(2)
            yield {"measure": measure, "part": part, "windows": len(nll), "nats": nats, "bits": bits}


def strategy_costs(engine, corpus, args):
    """Rows: what each unmasking strategy costs a model that has it."""
    size = engine.model.config.block_size
    held = read(engine, corpus, corpus.test, args.windows)[:, :-1]
    masked = torch.arange(size) >= min(16, size // 2)
    for strategy in args.chosen:
        with Bar(f"{engine.name}, {strategy}, {len(held)} windows"):
            found = methods.path_nll(engine, held, masked, strategy)
        if not found:
            continue
        nll, passes = found
        low, high, _ = stats.mean_interval(nll.numpy())
        yield {
            "strategy": strategy,
            "windows": len(held),
            "calls": torch.as_tensor(passes).float().mean().item(),
            "nats": nll.mean().item(),
            "low": low,
            "high": high,
        }


def main(args):
    """Measure every model on both splits and the whole of the held-out text."""
    for own in args.method:
        methods.add(own)
    corpus = Corpus(args.data)
    engines = {path: methods.load(path=path) for path in args.weights}
    for engine in engines.values():
        engine.alphabet.encode(corpus.alphabet.characters)  # before the work: none lacks a character of the corpus
        corpus.require(engine.model.config.block_size + 1)
    rows = []
    path_rows = []
    path = (args.output_dir or records.new_run_dir(cli.ROOT / "likelihood_reports", "")) / "likelihood.json"
    files.check_place(path)
    for weights, engine in engines.items():
        model = {"module": engine.name, "weights": cli.short(weights)}
        rows += [model | row for row in likelihoods(engine, corpus, args)]
        path_rows += [model | row for row in strategy_costs(engine, corpus, args)]
    stamp = records.stamp(args, weights=[engine.weights for engine in engines.values()], data_sha256=corpus.sha256)
    for table in filter(None, (rows, path_rows)):
        print(pd.DataFrame(table).to_markdown(index=False, floatfmt=".4f"), end="\n\n")
    records.write_json(path, {"stamp": stamp, "rows": rows, "paths": path_rows})
    print(f"files: {path}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
