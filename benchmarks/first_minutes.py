"""What do some minutes of training buy, here, in the project that this one follows, and in nanoGPT? The checkouts are yours.

    uv run -m benchmarks.first_minutes --path tiny-diffusion --nanogpt nanoGPT

Each trains its own default model in its own way (size, batch, optimiser, learning rates) from scratch for the same time
on this machine; nanoGPT by its recipe for a CPU. Ours plans its learning rates for that time, of which compiling takes a
part, so that it trains anew for each; the others' do not depend on it, so that one training is read at each. All read the
same held-out text by the same code: exact nats per character for GPT, the upper bound for masked diffusion.
"""

import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch
from torch import nn

import diffusion
import gpt
from benchmarks.speed import load_module, load_origin, train_theirs
from benchmarks.timing import Output, clock, show
from lab import cli, likelihood, machine, plots, stats, training
from lab.backbone import Config
from lab.cli import check
from lab.corpus import Corpus, windows


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    path: Path  # folder of a checkout of the origin, with gpt.py and diffusion.py in it
    nanogpt: Path | None = None  # folder of a checkout of karpathy/nanoGPT
    minutes: cli.listed(float) = (2.0, 5.0, 10.0)  # of training

    def __post_init__(self):
        check(all(0 < m < math.inf for m in self.minutes), "--minutes: finite, and above 0")


def train_ours(method, corpus, minutes, device, caches=None):
    """Train ours for so long, compiling included -> (model, steps). caches: a folder, to compile as for the first time."""
    if caches:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(dir=caches)
    began, recipe, rng = time.monotonic(), method.Args().recipe, machine.Rng(0)
    machine.keep_memory()
    torch.manual_seed(0)
    model = method.Model(replace(method.Args().config, vocab_size=len(corpus.alphabet))).to(device)
    compiled = torch.compile(model, dynamic=False) if machine.can_compile(device) else model
    precision = torch.autocast(device.type, torch.bfloat16, enabled=machine.gains_from_bf16(device))
    batch_loss = training.objective(compiled, method.loss, model.config, precision)
    optimisers, steps, started = training.optimisers(model, recipe), 0, began
    while (left := began + 60 * minutes - time.monotonic()) > 0:
        if steps > 1:  # the first step compiles
            pace = (time.monotonic() - started) / (steps - 1)  # seconds a step
            recipe = replace(recipe, iters=steps + max(1, int(left / pace)))
        x = corpus.batch(recipe.batch_size, model.config.block_size + 1, rng).to(device)
        training.advance(batch_loss, optimisers, recipe.lr_scale(steps), x, rng)[0].item()
        steps += 1
        started = time.monotonic() if steps == 1 else started
    return model, steps


def train_others(minutes, model, step):
    """Train a model of others, step() by step; yields (minutes, model, steps) at each of the times given."""
    spent, steps = 0.0, 0
    for until in sorted(minutes):
        while spent < 60 * until:
            spent += clock(step)
            steps += 1
        yield until, model, steps


def nanogpt(module, vocab_size, corpus):
    """A fresh training of nanoGPT by its recipe for a CPU -> (model, a function that takes a step).

    4 layers, 4 heads, 128 wide, 12 windows of 64, AdamW, 100 steps of warm-up, a cosine down to a tenth at step 2,000.
    """
    sizes = {"block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128, "dropout": 0.0, "bias": False}
    model = module.GPT(module.GPTConfig(vocab_size=vocab_size, **sizes))
    optimiser, rng = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu"), machine.Rng(0)
    warm = torch.optim.lr_scheduler.LinearLR(optimiser, 1e-2, total_iters=100)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1900, 1e-4)
    low = torch.optim.lr_scheduler.ConstantLR(optimiser, 0.1, math.inf)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimiser, (warm, fall, low), (100, 2000))

    def step():
        x = corpus.batch(12, 65, rng)
        optimiser.zero_grad(set_to_none=True)
        _, loss = model(x[:, :-1].contiguous(), x[:, 1:].contiguous())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()

    return model, step


class NanoGPT(nn.Module):
    """nanoGPT's model with our interface: without targets it gives the last position's logits only."""

    def __init__(self, model, vocab_size):
        super().__init__()
        self.model, self.config = model, Config(vocab_size=vocab_size, block_size=model.config.block_size)

    def forward(self, idx):
        return self.model(idx.contiguous(), idx.contiguous())[0]


class Theirs(nn.Module):
    """Their model with the characters of ours; its mask is its first character, ours the last."""

    def __init__(self, model, vocab_size, has_mask):
        super().__init__()
        self.model, self.has_mask, self.config = model, has_mask, Config(vocab_size=vocab_size)

    def forward(self, idx):
        """idx: (B, T) our tokens -> (B, T, V) logits of our characters."""
        if not self.has_mask:
            return self.model(idx)[0]
        return self.model((idx + 1) % (self.config.vocab_size + 1))[0][..., 1:]


def held_out_loss(model, corpus, is_masked):
    """Nats per character of the test split, read in non-overlapping windows (25,600 characters of it)."""
    T = model.config.block_size
    held_out = windows(corpus.test, T + 1, most=25_600 // T).to(next(model.parameters()).device)
    model.eval()
    nll = likelihood.masked_bound(model, held_out[:, :-1]) if is_masked else likelihood.exact_nll(model, held_out)
    model.train()
    return nll.mean().item()


def trainings(origin, other, corpus, device, minutes, caches):
    """(method, whose, minutes, model with our interface, steps) of each, one after another."""
    V = len(corpus.alphabet)
    for method in (gpt, diffusion):
        for n in minutes:
            yield method.name, "ours", n, *train_ours(method, corpus, n, device, caches)
        for n, model, steps in train_others(minutes, *train_theirs(origin[method])):
            yield method.name, "the origin's", n, Theirs(model, V, method is diffusion), steps
    for n, model, steps in train_others(minutes, *nanogpt(other, V, corpus)) if other else ():
        yield "gpt", "nanoGPT's", n, NanoGPT(model, V), steps


def main(args):
    """Train all of them, let them read after each number of minutes, draw."""
    device, corpus, rows = machine.pick_device(), Corpus(), []
    origin = load_origin(args.path)
    other = args.nanogpt and load_module(args.nanogpt / "model.py", "GPT", "GPTConfig")
    with tempfile.TemporaryDirectory() as caches:
        for method, whose, minutes, model, steps in trainings(origin, other, corpus, device, args.minutes, caches):
            size, is_masked = sum(p.numel() for p in model.parameters()), method == diffusion.METHOD.name
            row = {"method": method, "whose": whose, "minutes": minutes, "parameters": size, "steps": steps}
            rows.append(row | {"nats": held_out_loss(model, corpus, is_masked)})
            show(rows[-1:])
    args.write("first_minutes", {"rows": rows}, device=str(device))
    path, title = args.folder / "first_minutes.png", "What minutes of training buy"
    y = "nats per character of held-out text\n(GPT exact, diffusion bound)"
    with plots.figure(path, title, "minutes of training", y) as axes:
        for colour, (name, curve) in zip(plots.COLOURS, stats.grouped(rows, "method", "whose").items(), strict=False):
            at = [row["minutes"] for row in curve], [row["nats"] for row in curve]
            axes.plot(*at, color=colour, marker="o", label=", ".join(name))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
