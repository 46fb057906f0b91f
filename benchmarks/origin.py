"""How fast are we beside the project that this one follows? Its checkout is yours; nothing of it is copied here.

    git clone https://github.com/JayCheng113/tiny-diffusion
    uv run -m benchmarks.origin --path tiny-diffusion

Both models have the origin's sizes (6 blocks, 384 wide, 10.7 M parameters) and random weights, GPTs write as many
characters, diffusion is compared per call, and all train on as many per step as it does by default; its own code is imported
and run, with its own settings. Ours write as the commands do, and compiled (the compiler's own time is not counted); training is
compiled as always.
"""

import contextlib
import importlib.util
import io
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import diffusion
import gpt
from benchmarks.timing import compare, report
from lab import cli, machine, training, trials
from lab.canvas import Canvas
from lab.cli import check
from lab.corpus import DEFAULT, Corpus


@dataclass(frozen=True)
class Args:
    path: Path  # folder of the checkout, with gpt.py and diffusion.py in it
    chars: int = 2000  # characters that GPT writes
    batch_size: int = 64  # windows in a training step
    rounds: int = 2  # timed pairs


def load_module(path):
    """Import a file of the checkout; it reads data.txt from the working folder as it is imported."""
    check(path.exists(), f"{path}: no such file; --path is the folder of a checkout of the origin")
    spec = importlib.util.spec_from_file_location(f"origin_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    before = Path.cwd()
    try:
        os.chdir(DEFAULT.parent)
        spec.loader.exec_module(module)
    finally:
        os.chdir(before)
    return module


def quietly(function):
    """Call a function of the origin without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return function()


def ours(method, config, recipe, rows, device):
    """A training of ours on `rows` windows of the corpus a step -> (model, corpus, a function).

    It takes a step at a share of the learning rates.
    """
    machine.keep_memory()  # as every training does; theirs gains by it too
    corpus, rng = Corpus(), machine.Rng(0)
    config = replace(config, vocab_size=len(corpus.alphabet))
    torch.manual_seed(0)
    model = method.Model(config).to(device)
    optimisers = training.optimisers(model, recipe)
    compiled = torch.compile(model, dynamic=False) if machine.can_compile(device) else model
    precision = torch.autocast(device.type, torch.bfloat16, enabled=machine.gains_from_bf16(device))
    batch_loss = training.objective(compiled, method.loss, config, precision)

    def step(scale=1.0):
        x = corpus.batch(rows, config.block_size + 1, rng).to(device)
        training.advance(batch_loss, optimisers, scale, x, rng)[0].item()

    return model, corpus, step


def theirs(module):
    """A training of theirs -> (model, a function that takes a step)."""
    model = module.Model().to(module.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=module.learning_rate)

    def step():
        _, loss = model(*module.get_batch("train"))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    return model, step


def count_calls(model, function):
    """Forward passes of a model during a call."""
    calls = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    quietly(function)
    hook.remove()
    return len(calls)


def main(args):
    """Time writing and training of both, in turn."""
    device, rows = machine.pick_device(), []

    def add(what, unit, scale, mine, origin):
        a, b, ratio = compare(mine, lambda: quietly(origin), args.rounds)
        rows.append({"what": what, "unit": unit, "ours": a * scale[0], "theirs": b * scale[1]})
        rows[-1]["ratio"] = ratio * scale[1] / scale[0]

    for method, new in ((gpt, args.chars), (diffusion, 24)):
        module = load_module(args.path / f"{method.NAME}.py")
        module.batch_size = args.batch_size
        config = replace(method.Args().config, n_embd=module.n_embd, n_head=module.n_head)
        windows = (
            args.batch_size if method is gpt else args.batch_size // 2
        )  # ours shows each window twice, complemented
        model, corpus, our_step = ours(method, config, method.Args().recipe, windows, device)
        other, their_step = theirs(module)
        model.eval()
        torch.nn.init.normal_(model.lm_head.weight, std=0.02)
        writer = trials.Writer(method.NAME, model, method.generate, corpus.alphabet, "")
        canvas = Canvas.after(torch.zeros(16, dtype=torch.long), new if method is gpt else 240)
        trial = trials.Trial(canvas, method.Args().decoding, (0,))

        def write(writer=writer, trial=trial):
            return trials.run(writer, trial)

        def origin(module=module, other=other, new=new):
            return module.generate(other, max_new_tokens=new)

        what, scale = "GPT writing, 1,000 characters", (1000 / new, 1000 / new)
        if method is diffusion:
            what, scale = "diffusion, one call on 256 positions", (1 / write()[0].nfe, 1 / count_calls(other, origin))
        add(what, "seconds", scale, write, origin)
        if machine.can_compile(device):
            model.compile()
            add(f"{what}, compiled", "seconds", scale, write, origin)
        model.train()
        step = f"{method.NAME}, one training step of {args.batch_size} x 256"
        add(step, "seconds", (1, 1), our_step, their_step)
    size = sum(p.numel() for p in model.parameters()), sum(p.numel() for p in other.parameters())
    report("origin", rows, parameters_ours=size[0], parameters_theirs=size[1], device=str(device), rounds=args.rounds)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
