"""What ONNX Runtime does for a single text, beside PyTorch: speed in turn, and whether it computes the same.

    uv run --extra onnx -m benchmarks.runtimes

Texts are compared with those that PyTorch writes, seed by seed.
"""

import sys
import time
from dataclasses import dataclass, replace
from functools import partial

import lab.start  # noqa: F401 (before PyTorch)

import torch

import methods
from benchmarks.timing import RATE, Output, opening, show, timed
from lab import cli
from lab.measuring import trials
from lab.model import onnx_runtime
from lab.model.backbone import Cache, Config
from lab.model.corpus import Corpus, windows


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    chars: int = 480  # characters of a text
    texts: int = 100  # seeds whose texts are compared
    windows: int = 64  # of held-out text, for the likelihoods
    rounds: int = 5  # timed pairs

    def __post_init__(self):
        onnx_runtime.check_installed("onnx")


def steps(x, engine):
    """Read the second half of a window (1, T) position by position."""
    half = x.size(1) // 2
    cache = Cache(engine.model.config, 1, like=engine.model.lm_head.weight)
    engine.model(x[:, :half], cache)
    for n in range(half, x.size(1)):
        engine.model(x[:, n : n + 1], cache)


@torch.inference_mode()
def compared(name, args, held_out):
    """One method: (timed rows of ONNX Runtime against PyTorch, what else there is to say). held_out: windows of text."""
    plain = methods.load(name)
    began = time.perf_counter()
    onnx_runtime.export(plain.model)
    model = {"module": name, "export_seconds": time.perf_counter() - began, "texts": args.texts}
    onnx = replace(plain, model=onnx_runtime.choose(plain.model, "onnx"))
    trial = opening(plain, args.chars, (1337,))
    x = held_out[:1, :-1]
    works = [
        ("writing", RATE, lambda engine: trials.run(engine, trial), args.chars),
        ("a pass of one window", "seconds", lambda engine: engine.model(x), 1),
    ]
    if plain.method.is_causal:
        works.append(("a cached pass of one position", "seconds", partial(steps, x), x.size(1) // 2))
    rows = [
        timed(f"{name}, {what}", unit, partial(work, onnx), partial(work, plain), count, args.rounds)
        for what, unit, work, count in works
    ]
    x = held_out[:, :-1]
    model["logits"] = (onnx.model(x) - plain.model(x)).abs().max().item()
    one, two = (plain.method.nll(engine.model, held_out).mean() for engine in (onnx, plain))
    model["likelihood"] = (one - two).abs().item()
    model["equal"] = 0
    for seed in range(args.texts):
        one, two = (trials.run(engine, replace(trial, seeds=(seed,)))[0] for engine in (onnx, plain))
        model["equal"] += one.text == two.text
    return rows, model


def main(args):
    """Compare the methods, print and store."""
    rows = []
    models = []
    held_out = windows(Corpus().test, Config.block_size + 1, most=args.windows)
    for name in ("gpt", "diffusion", "diffusion_flow"):  # those that ONNX Runtime computes
        timings, model = compared(name, args, held_out)
        rows += timings
        models.append(model)
    show(rows)
    show(models)
    args.write("runtimes", {"rows": rows, "models": models})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
