"""How fast are we? Training and a draft model against doing without them, and both against the project that this one follows.

    uv run -m benchmarks.speed
    git clone https://github.com/JayCheng113/tiny-diffusion
    uv run -m benchmarks.speed --path tiny-diffusion

Beside that project both models have its sizes (6 blocks, 384 wide) and random weights: the GPTs write as many characters, and
both methods train on as many characters a step. Its own code is imported and run with its own settings; nothing of it is
copied here. Compiling is not counted.
"""

import contextlib
import importlib.util
import io
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import torch

import diffusion
import gpt
import methods
from benchmarks.draft_model import DraftModel, NGrams
from benchmarks.timing import Output, compare, show
from lab import cli, experiment, machine, training, trials
from lab.canvas import Canvas
from lab.cli import UserError, check, check_range
from lab.corpus import DEFAULT, Corpus

RATE = "characters per second"
# what is used of the origin
ORIGIN = ("Model", "device", "generate", "get_batch", "batch_size", "learning_rate", "n_embd", "n_head")


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    path: Path | None = None  # folder of a checkout of the origin, with gpt.py and diffusion.py in it
    chars: int = 240  # characters that GPT writes
    drafts: int = 8  # characters that the draft model proposes at each call
    rounds: int = 3  # timed pairs

    def __post_init__(self):
        check_range(self, 1, 240, "chars", "drafts", "rounds")


def row(what, unit, ours, theirs, count, rounds):
    """Time two functions in turn; unit: RATE, or seconds for one of what is counted in a call."""
    a, b, ratio = compare(ours, theirs, rounds)
    figures = (count / a, count / b) if unit == RATE else (a / count, b / count)
    return {"what": what, "unit": unit, "ours": figures[0], "theirs": figures[1], "ratio": ratio}


def stepper(method, config, windows, device, compiled=True, bf16=True, muon=True):
    """A function that takes a training step of a fresh model on random characters, compiled and in bfloat16 where it pays."""
    machine.keep_memory()  # as every training does
    torch.manual_seed(0)
    model, recipe, rng = method.Model(config).to(device), method.Args().recipe, machine.Rng(0)
    forward = torch.compile(model, dynamic=False) if compiled and machine.can_compile(device) else model
    bf16 = bf16 and machine.gains_from_bf16(device)
    optimisers = training.optimisers(model, recipe) if muon else [torch.optim.AdamW(model.parameters(), recipe.adam_lr)]
    x = torch.randint(config.vocab_size, (windows, config.block_size + 1), device=device)

    def step():
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            total, _ = method.loss(forward, x, config, rng)
        total.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        total.item()  # waits for the device

    return step


def operators(doing, work, calls, shown):
    """PyTorch's operators in work(), which makes `calls` calls or steps: how many in one, and their own time on the CPU.

    The longest first. What Python does between them is not in it.
    """
    work()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        work()
    rows = [(each.key, each.count, each.self_cpu_time_total) for each in profiler.key_averages()]
    rows.sort(key=lambda row: -row[-1])
    total, others = (np.reshape([row[1:] for row in some], (-1, 2)).sum(0) for some in (rows, rows[shown:]))
    return [
        {"doing": doing, "operator": name, "in one": n / calls, "microseconds": took / n, "share": took / total[1]}
        for name, n, took in [*rows[:shown], ("all others", *others)]
    ]


def against_ourselves(args, corpus, engine, trial, device):
    """A row for each thing that is done to our own models to be fast."""
    recipe, config = gpt.Args().recipe, replace(gpt.Args().config, vocab_size=len(corpus.alphabet))
    ours, plain = (stepper(gpt, config, recipe.batch_size, device, fast, fast) for fast in (True, False))
    read = recipe.batch_size * config.block_size
    yield row("GPT training, against the same in eager float32", RATE, ours, plain, read, args.rounds)
    adam = stepper(gpt, config, recipe.batch_size, device, muon=False)
    yield row("GPT training, against the same with AdamW alone", RATE, ours, adam, read, args.rounds)
    drafting = DraftModel(NGrams(np.asarray(corpus.train), len(corpus.alphabet)).start, args.drafts)
    drafted = partial(trials.run, replace(engine, generate=drafting.generate), trial)
    what = "GPT with an n-gram draft model, against GPT with its cache"
    yield row(what, RATE, drafted, partial(trials.run, engine, trial), args.chars, args.rounds)


def load_module(path, *names):
    """Import a file of a checkout, which must have these names; it reads data.txt from the working folder meanwhile.

    Raises UserError for another file.
    """
    wrong = f"{path}: not a file of the project whose checkout this flag names"
    spec = importlib.util.spec_from_file_location(f"origin_{path.stem}", path)
    module, before = importlib.util.module_from_spec(spec), Path.cwd()
    try:
        os.chdir(DEFAULT.parent)
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{wrong} ({error})") from error
    finally:
        os.chdir(before)
    check(all(hasattr(module, name) for name in names), f"{wrong} (it lacks one of {', '.join(names)})")
    return module


def load_origin(folder):
    """The modules of a checkout of the origin, by method."""
    return {method: load_module(folder / f"{method.name}.py", *ORIGIN) for method in (gpt, diffusion)}


def train_theirs(module):
    """A fresh training of theirs -> (model, a function that takes a step)."""
    model = module.Model().to(module.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=module.learning_rate)

    def step():
        _, loss = model(*module.get_batch("train"))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    return model, step


def against_the_origin(origin, args, corpus, device):
    """A row for GPT's writing, and for a training step of each method."""
    for method, module in origin.items():
        sizes = {"vocab_size": len(corpus.alphabet), "n_embd": module.n_embd, "n_head": module.n_head}
        config, (other, their_step) = replace(method.Args().config, **sizes), train_theirs(module)
        if method is gpt:
            model = gpt.Model(config).to(device).eval()
            torch.nn.init.normal_(model.lm_head.weight, std=0.02)
            engine = trials.Engine("gpt", model, gpt.generate, corpus.alphabet, "", gpt.Decoding())
            canvas = Canvas.after(torch.zeros(16, dtype=torch.long), args.chars)
            ours = partial(trials.run, engine, trials.Trial(canvas, gpt.Args().decoding, (0,)))
            theirs = partial(module.generate, other, max_new_tokens=args.chars)
            yield row("GPT writing, 1,000 characters", "seconds", ours, theirs, args.chars / 1000, args.rounds)
        windows = module.batch_size // (1 if method is gpt else 2)  # ours reads each window twice, complemented
        for bf16 in (True, False) if machine.gains_from_bf16(device) else (False,):
            step, form = stepper(method, config, windows, device, bf16=bf16), "bfloat16" if bf16 else "float32"
            what = f"{method.name}, one training step of {module.batch_size} x 256, ours in {form}"
            yield row(what, "seconds", step, their_step, 1, args.rounds)


def main(args):
    """Time every pair, count operators, print and store."""
    device, corpus = machine.pick_device(), Corpus()
    origin = load_origin(args.path) if args.path else {}  # first: a wrong folder is said at once
    engine = methods.load("gpt", device=device)
    experiment.check_text(corpus.alphabet, corpus.path, engine)
    canvas = Canvas.after(engine.alphabet.encode(engine.opening[:16]), args.chars)
    trial = trials.Trial(canvas, gpt.Args().decoding, (1337,))
    rows = list(against_ourselves(args, corpus, engine, trial, device))
    with contextlib.redirect_stdout(io.StringIO()):  # the origin prints its texts
        rows += against_the_origin(origin, args, corpus, device)
    found = operators("cached call of GPT", partial(trials.run, methods.load("gpt"), trial), args.chars, 8)
    config = replace(gpt.Args().config, vocab_size=len(corpus.alphabet), n_embd=384, n_head=6)  # the origin's sizes
    found += operators("training step of GPT, float32", stepper(gpt, config, 64, device, bf16=False), 1, 4)
    show(rows)
    show(found)
    args.write("speed", {"rows": rows, "operators": found}, device=str(device))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
