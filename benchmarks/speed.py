"""How fast is it? This code against simpler code, and against the project that it follows.

    uv run -m benchmarks.speed                            --device cpu: not on the accelerator
    git clone https://github.com/JayCheng113/tiny-diffusion
    uv run -m benchmarks.speed --path tiny-diffusion

Beside that project both models have its sizes (6 blocks, 384 wide) and random weights: the GPTs write as many characters, and
both methods train on as many characters a step. Compiling is not counted.
"""

import contextlib
import io
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch

from benchmarks.adapters import origin
from benchmarks.timing import RATE, Output, show, stepper, timed
from gpt import METHOD as gpt
from lab import cli
from lab.model import machine
from lab.model.corpus import Corpus


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    path: Path | None = None  # folder of a checkout of the origin, with gpt.py and diffusion.py in it
    chars: int = 240  # characters that the GPTs write
    rounds: int = 3  # timed pairs
    device: str | None = None  # cuda, cpu...; default the accelerator if there is one


def against_ourselves(args, corpus, device):
    """A row for each thing that is done to train GPT fast."""
    config = replace(gpt.config, vocab_size=len(corpus.alphabet))
    windows = gpt.recipe.batch_size
    read = windows * config.block_size
    step = partial(stepper, gpt, corpus, config, windows, device)
    ours = step()
    others = {"in eager float32": step(compiled=False, bf16=False), "with AdamW alone": step(muon=False)}
    for how, other in others.items():
        yield timed(f"GPT training, against the same {how}", RATE, ours, other, read, args.rounds)


def main(args):
    """Time every pair, print and store."""
    device = machine.pick_device(args.device)
    corpus = Corpus()
    modules = origin.load(args.path)  # first: a wrong folder is said at once
    rows = list(against_ourselves(args, corpus, device))
    with contextlib.redirect_stdout(io.StringIO()):  # the origin prints its texts
        rows += origin.compared(modules, args, corpus, device)
    show(rows)
    card = torch.cuda.get_device_name() if device.type == "cuda" else str(device)
    args.write("speed", {"rows": rows}, card=card)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
