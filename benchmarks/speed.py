"""How fast is it? This code against simpler code, and against the project that it follows.

    uv run -m benchmarks.speed                            --device cpu: not on the accelerator
    git clone https://github.com/JayCheng113/tiny-diffusion
    uv run -m benchmarks.speed --path tiny-diffusion

The two of a pair are timed in turn: on a noisy machine only their ratio can be trusted. Beside that project both models have its
sizes (6 blocks, 384 wide) and random weights: the GPTs write as many characters, and both methods train on as many characters a
step. Compiling is not counted.
"""

import contextlib
import io
import statistics
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch

from benchmarks.adapters import origin
from benchmarks.timing import Output, clock, show
from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import cli
from lab.decoding.canvas import Canvas
from lab.measuring import trials
from lab.model import machine
from lab.model.corpus import Corpus
from lab.training.trainer import Trainer, train_steps


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    path: Path | None = None  # folder of a checkout of the origin, with gpt.py and diffusion.py in it
    chars: int = 240  # characters that the GPTs write
    rounds: int = 3  # timed pairs
    device: str | None = None  # cuda, cpu...; default the accelerator if there is one


def in_turn(what, ours, theirs, rounds):
    """A row: medians of two functions, called in turn after a call of each that is not counted, and of their ratios."""
    ours()
    theirs()
    pairs = [(clock(ours), clock(theirs)) for _ in range(rounds)]
    a, b = map(statistics.median, zip(*pairs, strict=True))
    return {"what": what, "ours": a, "theirs": b, "ratio": statistics.median(b / a for a, b in pairs)}


def stepper(method, corpus, config, windows, device, muon=True, compiled=None, bf16=None):
    """A function that takes a training step of a fresh model on so many windows; compiled and in bfloat16 where it pays."""
    torch.manual_seed(0)
    recipe = replace(method.recipe, iters=10**9, batch_size=windows, compile=compiled, bf16=bf16)
    trainer = Trainer(method, method.Model(config).to(device), recipe, machine.Ranks())
    trainer.compile()
    if not muon:
        trainer.optimisers = [torch.optim.AdamW(trainer.model.parameters(), lr=recipe.adam_lr)]
    steps = train_steps(trainer, corpus, seed=0, start=0)
    return lambda: next(steps)["batch_total_loss"].item()  # waits for the device


def against_ourselves(args, corpus, device):
    """A row for each thing that is done to train GPT fast."""
    config = replace(gpt.config, vocab_size=len(corpus.alphabet))
    step = partial(stepper, gpt, corpus, config, gpt.recipe.batch_size, device)
    ours = step()
    others = {"in eager float32": step(compiled=False, bf16=False), "with AdamW alone": step(muon=False)}
    for how, other in others.items():
        yield in_turn(f"a step of GPT's training, against the same {how}", ours, other, args.rounds)


def against_the_origin(args, corpus, device):
    """Rows at the origin's sizes: GPT's writing, and a training step of each method; nothing without a checkout."""
    for method in (gpt, diffusion) if args.path else ():
        module = origin.load(args.path / f"{method.name}.py")
        other, their_step = origin.training(module)
        sizes = {"vocab_size": len(corpus.alphabet), "n_embd": module.n_embd, "n_head": module.n_head}
        config = replace(method.config, **sizes)
        if method is gpt:
            model = gpt.Model(config).to(device).eval()
            torch.nn.init.normal_(model.lm_head.weight, std=0.02)
            engine = trials.Engine(gpt, model, corpus.alphabet, "")
            canvas = Canvas.after(torch.zeros(16, dtype=torch.long), args.chars)
            ours = partial(trials.run, engine, trials.Trial(canvas, gpt.decoding, (0,)))
            theirs = partial(module.generate, other, max_new_tokens=args.chars)
            yield in_turn(f"GPT writing {args.chars} characters, against the origin's", ours, theirs, args.rounds)
        windows = module.batch_size // (1 if method is gpt else 2)  # ours reads each window twice, complemented
        for bf16 in (True, False) if machine.bf16_is_faster(device) else (False,):
            number = "bfloat16" if bf16 else "float32"
            what = f"{method.name}, a training step of {module.batch_size} x 256 in {number}, against the origin's"
            step = stepper(method, corpus, config, windows, device, bf16=bf16)
            yield in_turn(what, step, their_step, args.rounds)


def main(args):
    """Time every pair, print and store."""
    device = machine.pick_device(args.device)
    corpus = Corpus()
    with contextlib.redirect_stdout(io.StringIO()):  # the origin prints its texts
        rows = [*against_the_origin(args, corpus, device), *against_ourselves(args, corpus, device)]
    show(rows)
    card = torch.cuda.get_device_name() if device.type == "cuda" else str(device)
    args.write("speed", {"rows": rows}, card=card)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
