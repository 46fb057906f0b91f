"""How well does each model predict held-out text? Likelihoods of the three methods on one scale.

    uv run evaluate_likelihood.py

GPT's figure is exact; the masked models' is an upper bound. Choices were made on the first half of the held-out text,
so the second half is the one to quote; the whole is for comparison with other projects.
"""

import hashlib
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

import methods
from lab import checkpoint, cli, likelihood
from lab.cli import check
from lab.corpus import Corpus, windows


@dataclass(frozen=True)
class Args:
    modules: str = "gpt,diffusion,diffusion_flow"  # methods to evaluate, separated by commas
    weights_dir: Path = cli.ROOT / "weights"  # where their weights lie
    data: Path | None = None  # UTF-8 text whose last tenth is held out; default data.txt
    repeats: int = 4  # random masks per window in the bound
    most: int = 2000  # windows of a part at most, evenly spread
    output_dir: Path | None = None  # where likelihood.json goes; default: not written

    def __post_init__(self):
        unknown = set(self.modules.split(",")) - set(methods.METHODS)
        check(not unknown, f"--modules: unknown {', '.join(sorted(unknown))}; known: {', '.join(methods.METHODS)}")
        check(self.repeats >= 1, f"repeats must be at least 1, not {self.repeats}")
        check(self.most >= 1, f"most must be at least 1, not {self.most}")


def measure(name, writer, parts, args):
    """Rows of the table for one model: measure, part -> mean over the part's windows, nats per character."""
    size, model = writer.model.config.block_size, writer.model
    for part, ids in parts.items():
        held = windows(ids, size + 1, most=args.most)
        if name == "gpt":
            yield "exact, cold windows", part, likelihood.next_character(model, held)
            halves = windows(ids, size + 1, every=size // 2, most=2 * args.most)
            yield "exact, half a window of context", part, likelihood.next_character_sliding(model, halves)
        else:
            yield "upper bound, cold windows", part, likelihood.masked_bound(model, held[:, :-1], args.repeats)


def main(args):
    """Measure every model on both halves and the whole of the held-out text."""
    corpus, digests = Corpus(args.data), {}
    if args.output_dir is not None:
        args.output_dir.mkdir(parents=True, exist_ok=True)
    parts = {"second half": corpus.reporting, "first half": corpus.choosing, "whole": corpus.held_out}
    table, rows = Table("model", "measure", "held-out text", "windows", "nats/char", "bits/char"), []
    for name in args.modules.split(","):
        path = args.weights_dir / f"{name}.pt"
        writer = methods.load(path, name)
        digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        known = writer.alphabet == corpus.alphabet
        check(known, f"{path}: trained on a text with other characters than {corpus.path}; give its --data")
        corpus.require(writer.model.config.block_size + 1)
        for what, part, nll in measure(name, writer, parts, args):
            nats, bits = nll.mean().item(), nll.mean().item() / math.log(2)
            table.add_row(name, what, part, str(len(nll)), f"{nats:.4f}", f"{bits:.4f}")
            rows.append(
                {"module": name, "measure": what, "part": part, "windows": len(nll), "nats": nats, "bits": bits}
            )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if args.output_dir is not None:
        command = " ".join(["uv run evaluate_likelihood.py", *sys.argv[1:]])
        stamp = {"command": command, "data_sha256": corpus.sha256, "weights_sha256": digests, **checkpoint.versions()}
        path = args.output_dir / "likelihood.json"
        path.write_text(json.dumps({"stamp": stamp, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
