"""How fast is it? This code against simpler code, against the project that it follows, and what one device writes.

    uv run -m benchmarks.speed                            --device cpu: not on the accelerator
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

import methods
from benchmarks import draft_model
from benchmarks.draft_model import NGrams
from benchmarks.timing import RATE, Output, opening, show, timed, writing_seconds
from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import cli
from lab.cli import UserError, check, check_range
from lab.decoding.canvas import Canvas
from lab.measuring import experiment, trials
from lab.model import machine
from lab.model.corpus import DEFAULT, Corpus
from lab.training.trainer import Trainer, train_steps

# what is used of the origin
ORIGIN = ("Model", "device", "generate", "get_batch", "batch_size", "learning_rate", "n_embd", "n_head")


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    path: Path | None = None  # folder of a checkout of the origin, with gpt.py and diffusion.py in it
    chars: int = 240  # characters of a text
    drafts: cli.comma_list(int) = (2, 4, 8)  # characters that the draft model proposes for each forward pass of GPT
    batches: cli.comma_list(int) = (1, 32)  # texts that each method writes together
    rounds: int = 3  # timed pairs
    device: str | None = None  # cuda, cpu...; default the accelerator if there is one

    def __post_init__(self):
        check_range(self, 1, 240, "chars", "rounds")


def stepper(method, corpus, config, windows, device, muon=True, compiled=None, bf16=None):
    """A function that takes a training step of a fresh model on so many windows; compiled and in bfloat16 where it pays."""
    torch.manual_seed(0)
    recipe = replace(method.recipe, iters=10**9, batch_size=windows, compile=compiled, bf16=bf16)
    trainer = Trainer(method, method.Model(config).to(device), recipe)
    trainer.compile()
    if not muon:
        trainer.optimisers = [(torch.optim.AdamW(trainer.model.parameters()), recipe.adam_lr)]
    steps = train_steps(trainer, corpus)
    return lambda: next(steps)["batch_total_loss"].item()  # waits for the device


def against_ourselves(args, corpus, engine, device):
    """A row for each thing that is done to our own models to be fast."""
    config = replace(gpt.config, vocab_size=len(corpus.alphabet))
    windows = gpt.recipe.batch_size
    read = windows * config.block_size
    ours = stepper(gpt, corpus, config, windows, device)
    plain = stepper(gpt, corpus, config, windows, device, compiled=False, bf16=False)
    yield timed("GPT training, against the same in eager float32", RATE, ours, plain, read, args.rounds)
    adam = stepper(gpt, corpus, config, windows, device, muon=False)
    yield timed("GPT training, against the same with AdamW alone", RATE, ours, adam, read, args.rounds)
    ngrams = NGrams(np.asarray(corpus.train), len(corpus.alphabet))
    trial = opening(engine, args.chars, (1337,))
    for drafts in args.drafts:
        drafted = engine.sampled_by(partial(draft_model.generate, ngrams=ngrams, drafts=drafts))
        what = f"GPT with {drafts} drafts of 5-grams, against GPT with its cache"
        ours, plain = (partial(trials.run, each, trial) for each in (drafted, engine))
        yield timed(what, RATE, ours, plain, args.chars, args.rounds)


def load_module(path, *names):
    """Import a file of a checkout, which must have these names; it reads data.txt from the working folder meanwhile.

    Raises UserError for another file.
    """
    wrong = f"{path}: not a file of the project whose checkout this flag names"
    spec = importlib.util.spec_from_file_location(f"origin_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    before = Path.cwd()
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
    """The modules of a checkout of the origin, by method; none without a checkout."""
    return {method: load_module(folder / f"{method.name}.py", *ORIGIN) for method in (gpt, diffusion) if folder}


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
        config = replace(method.config, **sizes)
        other, their_step = train_theirs(module)
        if method is gpt:
            model = gpt.Model(config).to(device).eval()
            torch.nn.init.normal_(model.lm_head.weight, std=0.02)
            engine = trials.Engine(gpt, model, corpus.alphabet, "")
            canvas = Canvas.after(torch.zeros(16, dtype=torch.long), args.chars)
            ours = partial(trials.run, engine, trials.Trial(canvas, gpt.decoding, (0,)))
            theirs = partial(module.generate, other, max_new_tokens=args.chars)
            yield timed("GPT writing, 1,000 characters", "seconds", ours, theirs, args.chars / 1000, args.rounds)
        windows = module.batch_size // (1 if method is gpt else 2)  # ours reads each window twice, complemented
        for bf16 in (True, False) if machine.bf16_is_faster(device) else (False,):
            what = f"{method.name}, one training step of {module.batch_size} x 256, ours in "
            step = stepper(method, corpus, config, windows, device, bf16=bf16)
            yield timed(what + ("bfloat16" if bf16 else "float32"), "seconds", step, their_step, 1, args.rounds)


def writing(name, args, device):
    """A row for each batch size: seconds per 1,000 characters and, on a GPU, the peak of its memory.

    Compiled; the masked methods, whose shapes never change, as CUDA graphs.
    """
    engine = methods.load(name, device=device)
    is_static = not engine.method.is_causal  # a cached pass is longer than the one before
    if machine.can_compile(device):
        mode = "reduce-overhead" if is_static and device.type == "cuda" else None
        engine.model.compile(dynamic=False if is_static else None, mode=mode)
    for batch in args.batches:
        trial = opening(engine, args.chars, tuple(range(batch)))
        trials.run(engine, trial)
        row = {"module": name, "batch": batch, "seconds": writing_seconds(engine, trial)}
        if device.type == "cuda":
            row["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
            torch.cuda.reset_peak_memory_stats()
        yield row


def main(args):
    """Time every pair and every method, print and store."""
    device = machine.pick_device(args.device)
    corpus = Corpus()
    origin = load_origin(args.path)  # first: a wrong folder is said at once
    engine = methods.load("gpt", device=device)
    experiment.check_text(corpus.alphabet, corpus.path, engine)
    rows = list(against_ourselves(args, corpus, engine, device))
    with contextlib.redirect_stdout(io.StringIO()):  # the origin prints its texts
        rows += against_the_origin(origin, args, corpus, device)
    show(rows)
    written = [row for name in methods.METHODS for row in writing(name, args, device)]
    show(written)
    card = torch.cuda.get_device_name() if device.type == "cuda" else str(device)
    args.write("speed", {"rows": rows, "writing": written}, card=card)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
