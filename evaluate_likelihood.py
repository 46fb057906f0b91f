"""How well does each model predict held-out text? Likelihoods of the three methods on one scale.

    uv run evaluate_likelihood.py

GPT's figure is exact; the masked models' is an upper bound. Below it stands what a sampler is worth that commits by a given
strategy (path likelihood, 16 characters given, 240 written): the price of few calls, without samples and without an evaluator model. Choices
were made on the validation split, so the test split is the one to quote; the whole is for comparison with
other projects.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

import methods
from lab import cli, likelihood, records, stats
from lab.cli import check
from lab.corpus import Corpus, windows


@dataclass(frozen=True)
class Args:
    modules: str = "gpt,diffusion,diffusion_flow"  # methods to evaluate, separated by commas
    weights_dir: Path = cli.ROOT / "weights"  # where their weights lie
    data: Path | None = None  # UTF-8 text whose last tenth is held out; default data.txt
    repeats: int = 4  # random masks per window in the bound
    most: int = 2000  # windows of a part at most, evenly spread
    strategies: str = "left,threshold=0.9,budget=2,budget=6,random=30,random=15,spacing=1,spacing=2,spacing=3,spacing=5,spacing=8,spacing=12"  # unmasking strategies; empty: none
    windows: int = 32  # for the unmasking strategies
    output_dir: Path | None = None  # where likelihood.json goes; default: not written

    def __post_init__(self):
        unknown = set(self.modules.split(",")) - set(methods.METHODS)
        check(not unknown, f"--modules: unknown {', '.join(sorted(unknown))}; known: {', '.join(methods.METHODS)}")
        check(self.repeats >= 1, f"repeats must be at least 1, not {self.repeats}")
        check(self.most >= 1, f"most must be at least 1, not {self.most}")
        check(self.windows >= 1, f"windows must be at least 1, not {self.windows}")
        for name in filter(None, self.strategies.split(",")):
            methods.strategy(name)


def measure(name, writer, parts, args):
    """Rows of the table for one model: measure, part -> mean over the part's windows, nats per character."""
    size, model = writer.model.config.block_size, writer.model
    for part, ids in parts.items():
        held = windows(ids, size + 1, most=args.most)
        if name == "gpt":
            yield "exact, non-overlapping windows", part, likelihood.next_character(model, held)
            halves = windows(ids, size + 1, every=size // 2, most=2 * args.most)
            yield "exact, half a window of context", part, likelihood.next_character_sliding(model, halves)
        else:
            yield (
                "upper bound, non-overlapping windows",
                part,
                likelihood.masked_bound(model, held[:, :-1], args.repeats),
            )


def paths(name, model, corpus, args):
    """Rows of the second table: what each unmasking strategy costs a masked model, beside the last one; GPT has one."""
    size = model.config.block_size
    held, rows = windows(corpus.test, size + 1, most=args.windows)[:, :-1], []
    masked = torch.arange(size) >= min(16, size // 2)
    chosen = list(filter(None, args.strategies.split(",")))
    if chosen and name == "gpt":
        chosen = ["left"]
    for strategy in chosen:
        if name == "gpt":
            nll, calls = likelihood.given_left(model, held, masked), masked.sum().float()
        else:
            nll, calls = likelihood.path(model, held, masked, methods.strategy(strategy))
        low, high = stats.mean_interval(nll.numpy())
        row = {"module": name, "strategy": strategy, "windows": len(held), "calls": calls.mean().item()}
        rows.append(row | {"nats": nll.mean().item(), "low": low, "high": high, "each": nll.tolist()})
    for row in rows:  # paired, over the same windows
        difference = np.array(row["each"]) - np.array(rows[-1]["each"])
        low, high = stats.mean_interval(difference)
        row |= {"against": rows[-1]["strategy"], "difference": difference.mean().item()}
        row |= {"difference_low": low, "difference_high": high}
    return rows


def main(args):
    """Measure every model on both halves and the whole of the held-out text."""
    corpus, used = Corpus(args.data), []
    if args.output_dir is not None:
        args.output_dir.mkdir(parents=True, exist_ok=True)
    parts = {"test split": corpus.test, "validation split": corpus.validation, "whole": corpus.held_out}
    table, rows = Table("model", "measure", "held-out text", "windows", "nats/char", "bits/char"), []
    strategies, path_rows = (
        Table("model", "unmasking strategy", "calls for 240", "nats/char", "95 % interval", "against the one above"),
        [],
    )
    for name in args.modules.split(","):
        path = args.weights_dir / f"{name}.pt"
        writer = methods.load(path, name)
        used.append(writer.weights)
        known = writer.alphabet == corpus.alphabet
        check(known, f"{path}: trained on a text with other characters than {corpus.path}; give its --data")
        corpus.require(writer.model.config.block_size + 1)
        for what, part, nll in measure(name, writer, parts, args):
            nats, bits = nll.mean().item(), nll.mean().item() / math.log(2)
            table.add_row(name, what, part, str(len(nll)), f"{nats:.4f}", f"{bits:.4f}")
            rows.append(
                {"module": name, "measure": what, "part": part, "windows": len(nll), "nats": nats, "bits": bits}
            )
        path_rows += paths(name, writer.model, corpus, args)
    for row in path_rows:
        spread = [
            f"{row[a]:.3f} .. {row[b]:.3f}" if row[a] is not None else ""
            for a, b in (("low", "high"), ("difference_low", "difference_high"))
        ]
        strategies.add_row(row["module"], row["strategy"], f"{row['calls']:.1f}", f"{row['nats']:.4f}", *spread)
    records.show(*(each for each in (table, strategies) if each.row_count))
    if args.output_dir is not None:
        stamp = records.stamp(**{**vars(args), "weights": used, "data_sha256": corpus.sha256})
        written = {"stamp": stamp, "rows": rows, "paths": path_rows}
        records.write_json(args.output_dir / "likelihood.json", written)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
