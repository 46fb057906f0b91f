"""What is the right side worth? Nats per character of held-out text in a masked span between known text.

    uv run -m benchmarks.infilling

GPT reads the left side only: its figure is exact. So is that of streams, which write the span from left to right with both
sides in view. For the masked models it is the path likelihood of their sampler (see `likelihood.path_nll`), once with both
sides and once with the text cut off after the masked span.
"""

import sys
from dataclasses import dataclass

import lab.start  # noqa: F401 (before PyTorch)

import torch

import methods
from benchmarks.timing import Output, show
from lab import cli
from lab.measuring import experiment, stats
from lab.model.corpus import Corpus, windows

BOTH = ("both sides", "left side")
SEES = {"gpt": BOTH[1:], "streams": BOTH[:1], "diffusion": BOTH, "diffusion_flow": BOTH}


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    lengths: cli.comma_list(int) = (1, 5, 20, 60, 200)  # characters in the masked span, in the middle of a window
    windows: int = 217  # of the test split, at most: all of it where the text is the default one
    spacing: int = 8  # the masked models fill positions more than this apart in one pass


def measure(engines, held_out, length, spacing):
    """Yields (model, what it sees, nats per character (n,), forward passes) for one length of the masked span, GPT first."""
    size = held_out.size(1)
    first = (size - length) // 2
    written = (torch.arange(size) >= first) & (torch.arange(size) < first + length)
    strategies = {"gpt": "left", "streams": "streams=1"}
    for name, sides in SEES.items():
        for sees in sides:
            stop = size if sees == "both sides" else first + length
            strategy = strategies.get(name, f"spacing={spacing}")
            nll, passes = methods.path_nll(engines[name], held_out[:, :stop], written[:stop], strategy)
            yield name, sees, nll, float(torch.as_tensor(passes).double().mean())


def main(args):
    """Measure each length, print and store."""
    engines = {name: methods.load(name) for name in methods.METHODS}
    corpus = Corpus()
    experiment.check_text(corpus.alphabet, corpus.path, *engines.values())
    held_out = windows(corpus.test, engines["gpt"].model.config.block_size, most=args.windows)
    rows = []
    for length in args.lengths:
        measured = list(measure(engines, held_out, length, args.spacing))
        gpt = measured[0][2]
        for name, sees, nll, nfe in measured:
            difference = nll - gpt
            low, high, _ = stats.mean_interval(difference.numpy())
            row = {"length": length, "module": name, "sees": sees, "calls": nfe, "nats": nll.mean().item()}
            rows.append(row | {"difference": difference.mean().item(), "low": low, "high": high})
    show(rows)
    args.write("infilling", {"rows": rows}, engines.values())


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
