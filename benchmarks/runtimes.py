"""How fast does ONNX Runtime write a single text, beside PyTorch? Both in turn.

    uv run --extra onnx -m benchmarks.runtimes

That they compute the same is tests/test_onnx_runtime.py's business.
"""

import sys
from dataclasses import dataclass
from functools import partial

import lab.start  # noqa: F401 (before PyTorch)

import torch

import methods
from benchmarks.timing import RATE, Output, opening, show, timed
from lab import cli
from lab.measuring import trials
from lab.model.backbone import Cache, Config
from lab.model.corpus import Corpus, windows


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    chars: int = 480  # characters of a text
    rounds: int = 5  # timed pairs


def steps(x, engine):
    """Read the second half of a window (1, T) position by position."""
    half = x.size(1) // 2
    cache = Cache(engine.model.config, 1, like=engine.model.lm_head.weight)
    engine.model(x[:, :half], cache)
    for n in range(half, x.size(1)):
        engine.model(x[:, n : n + 1], cache)


@torch.inference_mode()
def compared(name, args, x):
    """Rows of one method: ONNX Runtime against PyTorch. x: a window (1, T)."""
    onnx, plain = (methods.load(name, runtime=runtime) for runtime in ("onnx", "torch"))
    trial = opening(plain, args.chars, (1337,))
    works = [
        ("writing", RATE, lambda engine: trials.run(engine, trial), args.chars),
        ("a pass of one window", "seconds", lambda engine: engine.model(x), 1),
    ]
    if plain.method.is_causal:
        works.append(("a cached pass of one position", "seconds", partial(steps, x), x.size(1) // 2))
    for what, unit, work, count in works:
        yield timed(f"{name}, {what}", unit, partial(work, onnx), partial(work, plain), count, args.rounds)


def main(args):
    """Compare the methods, print and store."""
    x = windows(Corpus().test, Config.block_size, most=1)
    rows = [row for name in ("gpt", "diffusion", "diffusion_flow") for row in compared(name, args, x)]
    show(rows)
    args.write("runtimes", {"rows": rows})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
