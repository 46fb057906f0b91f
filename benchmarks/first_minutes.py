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

from rich.table import Table
from torch import nn

import diffusion
import gpt
from benchmarks.origin import load_module, ours, theirs
from benchmarks.timing import write_results
from lab import cli, likelihood, machine, records
from lab.backbone import Config
from lab.corpus import windows


@dataclass(frozen=True)
class Args:
    path: Path  # folder of the checkout, with gpt.py and diffusion.py in it
    minutes: float = 10.0  # of training, for each of the four


def train_ours(method, minutes, device):
    """Train ours for so long -> (model, corpus, steps)."""
    began, recipe, steps = time.monotonic(), method.Args().recipe, 1
    model, corpus, step = ours(method, method.Args().config, recipe, recipe.batch_size, device)
    step(recipe.lr_scale(0))
    compiled, left = time.monotonic(), 60 * minutes
    while left > 0:
        step(recipe.lr_scale(steps))
        steps += 1
        left = began + 60 * minutes - time.monotonic()
        pace = (time.monotonic() - compiled) / (steps - 1)  # seconds a step
        recipe = replace(recipe, iters=steps + max(1, int(left / pace)))
    return model.eval(), corpus, steps


def train_theirs(module, minutes):
    """Train theirs for so long -> (model, steps)."""
    until, (model, step) = time.monotonic() + 60 * minutes, theirs(module)
    steps = 0
    while time.monotonic() < until:
        step()
        steps += 1
    return model.eval(), steps


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


def held_out(model, corpus, is_masked):
    """Nats per character of the test split, read in non-overlapping windows (a hundred of them)."""
    held = windows(corpus.test, 257, most=100)
    if is_masked:
        return likelihood.masked_bound(model, held[:, :-1]).mean().item()
    return likelihood.next_character(model, held).mean().item()


def main(args):
    """Train the four, one after another, and let them read."""
    device, rows = machine.pick_device(), []
    table = Table("method", "whose", "parameters", "steps", "nats per character of held-out text")
    for method in (gpt, diffusion):
        model, corpus, steps = train_ours(method, args.minutes, device)
        module = load_module(args.path / f"{method.NAME}.py")
        other, their_steps = train_theirs(module, args.minutes)
        other = Theirs(other, len(corpus.alphabet), method is diffusion)
        for whose, trained, n in (("ours", model, steps), ("theirs", other, their_steps)):
            size = sum(p.numel() for p in trained.parameters())
            nats = held_out(trained.to("cpu"), corpus, method is diffusion)
            rows.append({"method": method.NAME, "whose": whose, "parameters": size, "steps": n, "nats": nats})
            table.add_row(method.NAME, whose, f"{size:,}", f"{n:,}", f"{nats:.3f}")
    records.show(table)
    write_results("first_minutes", rows, minutes=args.minutes, device=str(device))


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
