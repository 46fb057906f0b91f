"""What ONNX Runtime does for a single text, beside PyTorch: speed in turn, memory, and whether it computes the same.

    uv run --extra onnx -m benchmarks.runtimes

Memory is the most that a process of its own held while it wrote one text, the graph made before (Linux only). Texts are
compared with those that PyTorch writes alone, seed by seed: those of ONNX Runtime, and PyTorch's own in one batch.
"""

import itertools
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch

import methods
from benchmarks.speed import RATE, row
from benchmarks.timing import Output, show
from lab import cli, onnx_runtime, trials
from lab.backbone import Cache
from lab.canvas import Canvas
from lab.cli import ROOT, check_range
from lab.corpus import Corpus, windows

ALONE = """import pathlib, sys, methods
engine = methods.load(sys.argv[1], runtime=sys.argv[2])
engine.write(engine.opening[:16], int(sys.argv[3]))
print(*(line.split()[1] for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))"""


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    chars: int = 480  # characters of a text
    texts: int = 100  # seeds whose texts are compared
    windows: int = 64  # of held-out text, for the likelihoods
    rounds: int = 5  # timed pairs

    def __post_init__(self):
        check_range(self, 1, 10**4, "chars", "texts", "windows", "rounds")
        onnx_runtime.check_installed("onnx")


def megabytes(name, runtime, chars):
    """The most memory that a process held which loads a model and writes one text; None where the system does not say."""
    if not Path("/proc/self/status").exists():
        return None
    command = [sys.executable, "-c", ALONE, name, runtime, str(chars)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def steps(x, engine):
    """Read the second half of a window (1, T) position by position."""
    half, cache = x.size(1) // 2, Cache(engine.model.config, 1, like=engine.model.lm_head.weight)
    engine.model(x[:, :half], cache)
    for n in range(half, x.size(1)):
        engine.model(x[:, n : n + 1], cache)


@torch.inference_mode()
def compared(name, args, corpus):
    """One method: (timed rows of ONNX Runtime against PyTorch, what else there is to say)."""
    plain = methods.load(name)
    began = time.perf_counter()
    onnx_runtime.export(plain.model)
    seconds, other = time.perf_counter() - began, replace(plain, model=onnx_runtime.choose(plain.model, "onnx"))
    canvas = Canvas.after(plain.alphabet.encode(plain.opening[:16]), args.chars)
    held = windows(corpus.test, plain.model.config.block_size + 1, most=args.windows)
    x, pair = held[:1, :-1], (other, plain)

    def timed(what, unit, function, count):
        return row(f"{name}, {what}", unit, *(partial(function, engine) for engine in pair), count, args.rounds)

    trial = trials.Trial(canvas, plain.method.decoding, (1337,))
    rows = [timed("writing", RATE, lambda engine: trials.run(engine, trial), args.chars)]
    rows.append(timed("a pass of one window", "seconds", lambda engine: engine.model(x), 1))
    if plain.method.is_causal:
        rows.append(timed("a cached pass of one position", "seconds", partial(steps, x), x.size(1) // 2))
    texts = [
        [trials.run(engine, replace(trial, seeds=(seed,)))[0].text for seed in range(args.texts)] for engine in pair
    ]
    one, two = (plain.method.nll(engine.model, held, 4).mean().item() for engine in pair)
    found = {"module": name, "export_seconds": seconds, "texts": args.texts, "likelihood": abs(one - two)}
    found |= {"logits": (other.model(held[:, :-1]) - plain.model(held[:, :-1])).abs().max().item()}
    together = [sample.text for sample in trials.run(plain, replace(trial, seeds=tuple(range(args.texts))))]
    for how, others in {"equal": texts[0], "equal_together": together}.items():
        found[how] = sum(a == b for a, b in zip(others, texts[1], strict=True))
    return rows, found | {f"{runtime}_mb": megabytes(name, runtime, args.chars) for runtime in ("torch", "onnx")}


def main(args):
    """Compare the methods, print and store."""
    corpus = Corpus()
    timed, found = zip(*(compared(name, args, corpus) for name in methods.METHODS), strict=True)
    rows = list(itertools.chain(*timed))
    show(rows)
    show(found)
    args.write("runtimes", {"rows": rows, "models": list(found)})


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
