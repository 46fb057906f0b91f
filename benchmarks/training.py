"""How much faster do we train than the plain way? Our step (compiled, number format by machine) against eager float32.

    uv run -m benchmarks.training

The same model, optimisers and batch in both; characters per second of training. Compile time is not counted.
"""

import sys
from dataclasses import dataclass, replace

import torch

import gpt
from benchmarks.timing import compare, report
from lab import cli, machine, training


@dataclass(frozen=True)
class Args:
    rounds: int = 9  # timed pairs
    steps: int = 3  # optimiser steps in each


def make_stepper(compiled, bf16, steps, device):
    """A function that trains a fresh default GPT for some steps on random characters."""
    machine.keep_memory()  # as every training does
    recipe, config = gpt.Args().recipe, replace(gpt.Args().config, vocab_size=65)
    torch.manual_seed(0)
    model = gpt.Model(config).to(device)
    optimisers = training.optimisers(model, recipe)
    precision = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    wrapped = torch.compile(model, dynamic=False) if compiled else model
    batch_loss = training.objective(wrapped, gpt.loss, config, precision)
    x = torch.randint(65, (recipe.batch_size, config.block_size + 1), device=device)

    def step():
        for _ in range(steps):
            total, _ = training.advance(batch_loss, optimisers, 1.0, x, None)
        total.item()  # waits for the device

    return step, steps * recipe.batch_size * config.block_size


def main(args):
    """Time both in turn."""
    device = machine.pick_device()
    compiled, bf16 = machine.can_compile(device), machine.gains_from_bf16(device)
    ours, chars = make_stepper(compiled, bf16, args.steps, device)
    plain, _ = make_stepper(False, False, args.steps, device)
    a, b, ratio = compare(ours, plain, args.rounds)
    row = {"what": "GPT training, against the same in eager float32", "unit": "characters per second"}
    row |= {"ours": chars / a, "theirs": chars / b, "ratio": ratio}
    report("training", [row], compiled=compiled, bf16=bf16, device=str(device), rounds=args.rounds)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
