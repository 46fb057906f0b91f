"""How fast are we beside the project that this one follows? Its checkout is yours; nothing of it is copied here.

    git clone https://github.com/JayCheng113/tiny-diffusion
    uv run -m benchmarks.origin --path tiny-diffusion

Both models have the origin's sizes (6 blocks, 384 wide, 10.6 M parameters) and random weights, both train on the same
number of characters per step; its own code is imported and run, with its own settings elsewhere.
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
from lab.corpus import DEFAULT, Alphabet, Corpus


@dataclass(frozen=True)
class Args:
    path: Path  # folder of the checkout, with gpt.py and diffusion.py in it
    chars: int = 320  # characters that GPT writes
    batch_size: int = 8  # windows in a training step
    rounds: int = 3  # timed pairs


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


def make_pair(method, theirs, args, device):
    """Our model and theirs at equal sizes, and a training step of each."""
    recipe = replace(method.Args().recipe, batch_size=args.batch_size)
    config = replace(method.Args().config, n_letters=65, n_embd=theirs.n_embd, n_head=theirs.n_head)
    torch.manual_seed(0)
    model = method.Model(config).to(device)
    torch.nn.init.normal_(model.lm_head.weight, std=0.02)
    run = training.Run(None, {}, model, training.optimisers(model, recipe), None, None)
    compiled = torch.compile(model, dynamic=False) if machine.can_compile(device) else model
    precision = torch.autocast(device.type, torch.bfloat16, enabled=machine.gains_from_bf16(device))
    corpus, rng = Corpus(), machine.Rng(0)
    windows = args.batch_size if method is gpt else args.batch_size // 2  # ours shows each window twice, mirrored

    def our_step():
        x = corpus.batch(windows, config.block_size + 1, rng).to(device)
        training.advance(run, compiled, method.loss, recipe, x, rng, precision)[0].item()

    theirs.batch_size = args.batch_size
    other = theirs.Model().to(theirs.device)
    optimiser = torch.optim.AdamW(other.parameters(), lr=theirs.learning_rate)

    def their_step():
        _, loss = other(*theirs.get_batch("train"))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    return model, other, our_step, their_step


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

    def add(what, unit, scale, ours, theirs):
        a, b, ratio = compare(ours, lambda: quietly(theirs), args.rounds)
        rows.append({"what": what, "unit": unit, "ours": a * scale[0], "theirs": b * scale[1]})
        rows[-1]["ratio"] = ratio * scale[1] / scale[0]

    for method, new in ((gpt, args.chars), (diffusion, 24)):
        theirs = load_module(args.path / f"{method.NAME}.py")
        model, other, our_step, their_step = make_pair(method, theirs, args, device)
        writer = trials.Writer(method.NAME, model.eval(), method.generate, Alphabet("".join(map(chr, range(65)))), "")
        canvas = Canvas.after(torch.zeros(16, dtype=torch.long), new if method is gpt else 240)
        trial = trials.Trial(canvas, method.Args().decoding, (0,))

        def ours(writer=writer, trial=trial):
            return trials.run(writer, trial)

        def origin(theirs=theirs, other=other, new=new):
            return theirs.generate(other, max_new_tokens=new)

        if method is gpt:
            add("GPT writing, 1,000 characters", "seconds", (1000 / new, 1000 / new), ours, origin)
        else:
            calls = ours()[0].nfe, count_calls(other, origin)
            add("diffusion, one call on 256 positions", "seconds", (1 / calls[0], 1 / calls[1]), ours, origin)
        model.train()
        step = f"{method.NAME}, one training step of {args.batch_size} x 256"
        add(step, "seconds", (1, 1), our_step, their_step)
    size = sum(p.numel() for p in model.parameters()), sum(p.numel() for p in other.parameters())
    report("origin", rows, parameters_ours=size[0], parameters_theirs=size[1], device=str(device), rounds=args.rounds)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
