"""What do some minutes of training buy, here and in the project that this one follows? Its checkout is yours.

    uv run -m benchmarks.first_minutes --path tiny-diffusion

Each trains its own default model in its own way (size, batch, optimiser, learning rates) from scratch for the same time
on this machine; ours plans its learning rates for that time, of which compiling takes a part. Then both read the same
held-out text by the same code: exact nats per character for GPT, the upper bound for masked diffusion.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

import diffusion
import gpt
from benchmarks.speed import load_module, train_theirs
from benchmarks.timing import Output, show
from lab import cli, likelihood, machine, training
from lab.backbone import Config
from lab.corpus import Corpus, windows


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    path: Path  # folder of the checkout, with gpt.py and diffusion.py in it
    minutes: float = 10.0  # of training, for each of the four


def train_ours(method, corpus, minutes, device):
    """Train ours for so long -> (model, steps)."""
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


def train_others(module, minutes):
    """Train theirs for so long -> (model, steps)."""
    until, (model, step), steps = time.monotonic() + 60 * minutes, train_theirs(module), 0
    while time.monotonic() < until:
        step()
        steps += 1
    return model, steps


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
    """Nats per character of the test split, read in non-overlapping windows (a hundred of them)."""
    held_out = windows(corpus.test, 257, most=100)
    if is_masked:
        return likelihood.masked_bound(model, held_out[:, :-1]).mean().item()
    return likelihood.next_character(model, held_out).mean().item()


def main(args):
    """Train the four, one after another, and let them read."""
    device, corpus, rows = machine.pick_device(), Corpus(), []
    for method in (gpt, diffusion):
        module = load_module(args.path / f"{method.NAME}.py")
        model, steps = train_ours(method, corpus, args.minutes, device)
        other, their_steps = train_others(module, args.minutes)
        other = Theirs(other, len(corpus.alphabet), method is diffusion)
        for whose, trained, n in (("ours", model, steps), ("theirs", other, their_steps)):
            size = sum(p.numel() for p in trained.parameters())
            nats = held_out_loss(trained.to("cpu").eval(), corpus, method is diffusion)
            rows.append({"method": method.NAME, "whose": whose, "parameters": size, "steps": n, "nats": nats})
    show(rows)
    args.write("first_minutes", {"rows": rows}, device=str(device))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
