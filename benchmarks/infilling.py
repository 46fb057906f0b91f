"""What is the right side worth? Nats per character of held-out text in a masked span between known text.

    uv run -m benchmarks.infilling

GPT reads the left side only: its figure is exact. So is that of streams, which write the span from left to right with both
sides in view. For the masked models it is the path likelihood of their sampler (see `likelihood.path_nll`) with both sides,
and of masked diffusion once more with the text cut off after the masked span.
"""

import sys

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import torch

import methods
from benchmarks.output import Output as Args
from benchmarks.output import show
from lab import cli
from lab.measuring import experiment, stats
from lab.model.corpus import Corpus, windows

LENGTHS = (1, 5, 20, 60, 200)  # characters in the masked span, in the middle of a window
WAYS = {  # of which method, and what it sees: the order in which it writes the span
    ("gpt", "left side"): "left",
    ("streams", "both sides"): "streams=1",
    ("diffusion", "both sides"): "spacing=8",
    ("diffusion", "left side"): "spacing=8",
    ("diffusion_flow", "both sides"): "spacing=8",
}


def main(args):
    """Measure each length, print and store."""
    engines = {name: methods.load(name) for name in methods.METHODS}
    corpus = Corpus()
    experiment.check_text(corpus.alphabet, corpus.path, *engines.values())
    size = engines["gpt"].model.config.block_size
    held_out = windows(corpus.test, size)
    rows = []
    for length in LENGTHS:
        first = (size - length) // 2
        written = torch.zeros(size, dtype=torch.bool)
        written[first : first + length] = True
        nats = {}  # (n,) by method, GPT first
        for (name, sees), order in WAYS.items():
            stop = size if sees == "both sides" else first + length
            nll, passes = methods.path_nll(engines[name], held_out[:, :stop], written[:stop], order)
            nats[name] = nll.numpy()
            difference = nats[name] - nats["gpt"]
            low, high, _ = stats.mean_interval(difference)
            row = {
                "length": length,
                "module": name,
                "sees": sees,
                "calls": np.asarray(passes).mean(),
                "nats": nats[name].mean(),
                "difference": difference.mean(),
                "low": low,
                "high": high,
            }
            rows.append(row)
    show(rows)
    args.write("infilling", {"rows": rows}, weights=[engine.weights for engine in engines.values()])


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
