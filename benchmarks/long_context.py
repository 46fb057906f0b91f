"""Is anything lost after 256 characters? GPT's held-out loss by position, through the cache that it writes with.

    uv run -m benchmarks.long_context

The test split is cut into long pieces and read one character at a time by `gpt.read_on`, the
function that `gpt.generate` uses; beyond block_size characters the cache has been renewed, perhaps many times.
"""

import sys
from dataclasses import dataclass

import torch
from torch.nn import functional as F

import gpt
import methods
from benchmarks.timing import write_results
from lab import checkpoint, cli, machine
from lab.cli import check
from lab.corpus import Corpus, windows


@dataclass(frozen=True)
class Args:
    length: int = 1024  # characters in a piece, a multiple of 8

    def __post_init__(self):
        check(self.length >= 8 and self.length % 8 == 0, f"length must be a multiple of 8, not {self.length}")


def main(args):
    """Mean loss of each eighth of a piece, with its standard error over pieces."""
    device = machine.pick_device()
    model = methods.load(checkpoint.default_path("gpt"), "gpt", device).model
    held = windows(Corpus().test, args.length + 1)
    nll, cache = [], None
    for n in range(1, args.length + 1):
        logits, cache, _ = gpt.read_on(model, held, n, cache)
        nll.append(F.cross_entropy(logits[:, 0].cpu(), held[:, n], reduction="none"))
    rows = []
    for k, part in enumerate(torch.stack(nll, 1).chunk(8, dim=1)):  # (pieces, length / 8)
        means = part.mean(1)
        row = {"from": 1 + k * part.size(1), "to": (k + 1) * part.size(1), "nats": means.mean().item()}
        rows.append(row | {"standard_error": (means.std() / len(means) ** 0.5).item()})
        print("characters {from:5d} to {to:5d}: {nats:.4f} nats +- {standard_error:.4f}".format(**rows[-1]))
    write_results("long_context", rows, pieces=len(held), block_size=model.config.block_size, device=str(device))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
