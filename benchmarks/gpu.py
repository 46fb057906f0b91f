"""What one accelerator does with the three methods: minutes of training, seconds of writing, peak memory.

    uv run -m benchmarks.gpu                              under ten minutes on one card
    uv run -m benchmarks.gpu --device cpu --minutes 0.2 --batches 1

Each method trains by its default recipe and size for the same time and reads held-out text (GPT exact, the others their
bound). Then the shipped weights write, compiled; the masked methods, whose shapes never change, as CUDA graphs. Compiling
is counted in training and not in writing.
"""

import math
import sys
from dataclasses import dataclass
from functools import partial

import lab.start  # noqa: F401 (before PyTorch)

import torch

import gpt
import methods
from benchmarks.first_minutes import held_out_loss, train_ours
from benchmarks.timing import Output, clock, show
from lab import cli, machine, trials
from lab.canvas import Canvas
from lab.cli import check, check_range
from lab.corpus import Corpus


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    minutes: float = 1.5  # of training, for each method
    batches: cli.listed(int) = (1, 32, 512)  # texts written together
    chars: int = 240  # characters of a text
    device: str | None = None  # cuda, cpu...; default the accelerator if there is one

    def __post_init__(self):
        check(0 < self.minutes < math.inf, f"--minutes must be above 0, not {self.minutes}")
        check_range(self, 1, 10_000, "chars")
        check(all(1 <= n <= 10_000 for n in self.batches), f"--batches must lie in 1..10000, not {self.batches}")


def peak(device):
    """MiB of the accelerator's memory that were in use at most since the last call; None on a CPU."""
    if device.type != "cuda":
        return None
    used = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return used


def writing(name, args, device):
    """A row for each batch size: seconds per 1,000 characters, the second time that they are written."""
    engine = methods.load(name, device=device)
    if machine.can_compile(device):
        static = {"dynamic": False} | ({"mode": "reduce-overhead"} if device.type == "cuda" else {})
        engine.model.compile(
            **({} if name == gpt.METHOD.name else static)
        )  # a cached call is longer than the one before
    canvas = Canvas.after(engine.alphabet.encode(engine.prompt(16)), args.chars)
    for batch in args.batches:
        trial = trials.Trial(canvas, engine.decoding, tuple(range(batch)))
        trials.run(engine, trial)
        took = clock(partial(trials.run, engine, trial))
        row = {"module": name, "batch": batch, "seconds": 1000 * took / batch / args.chars}
        yield row | {"peak_mib": peak(device)}


def main(args):
    """Train and write with each method, print and store."""
    device, corpus = machine.pick_device(args.device), Corpus()
    card = torch.cuda.get_device_name() if device.type == "cuda" else machine.processor()
    trained, written = [], []
    for name, method in methods.METHODS.items():
        model, steps = train_ours(method, corpus, args.minutes, device)
        row = {"module": name, "minutes": args.minutes, "steps": steps, "peak_mib": peak(device)}
        trained.append(row | {"nats": held_out_loss(model.to("cpu"), corpus, name != gpt.METHOD.name)})
        show(trained[-1:])
        written += writing(name, args, device)
    show(written)
    args.write("gpu", {"card": card, "training": trained, "writing": written})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
