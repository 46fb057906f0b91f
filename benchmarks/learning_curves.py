"""How much does each method learn: from the same data, from the same compute, and in the same minutes?

    uv run -m benchmarks.learning_curves                                  the logs of the shipped weights
    uv run -m benchmarks.learning_curves --minutes 1.5 --device cuda      and trainings of so many minutes
    uv run -m benchmarks.learning_curves --minutes 2,5,10 --path tiny-diffusion --nanogpt nanoGPT

Equal data and compute: the validation losses in results/*_train.csv, before calibration, over the FLOP of the loss and its
gradient, products only; the masked methods compute each window twice, under complementary masks. Because a log is of the
validation of its time, the calibrated weights are validated again.

Equal minutes: each trains its default model in its own way (size, batch, optimiser, learning rates) from scratch on this
machine; nanoGPT by its recipe for a CPU. Ours plans its learning rates for the time, of which compiling takes a part, so it
trains anew for each; one training of the others is read at each time. All read the same held-out text by the same code:
exact nats per character for GPT, the upper bound for the masked methods.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import methods
from benchmarks.adapters import nanogpt, origin
from benchmarks.timing import Output, clock, show
from lab import cli
from lab.measuring import plots, records, stats
from lab.model import checkpoint, machine
from lab.model.backbone import Config
from lab.model.corpus import Corpus, windows
from lab.training.trainer import Recipe, Trainer, train_steps

HELD_OUT = 25_600  # characters of the test split that are read after so many minutes

COMPARED = ("gpt", "diffusion", "diffusion_flow")  # the FLOP of attention with a mask of its own are not counted


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    minutes: cli.comma_list(float) = ()  # of training, each from scratch; none: only the logs of the shipped weights
    path: Path | None = None  # folder of a checkout of the origin, with gpt.py and diffusion.py in it
    nanogpt: Path | None = None  # folder of a checkout of karpathy/nanoGPT
    device: str | None = None  # cuda, cpu...; default the accelerator if there is one


def flop_of_window(method, config):
    """Floating-point operations of one window of a training step."""
    with torch.device("meta"):
        model = method.Model(config)
        x = torch.zeros(1, config.block_size + 1, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        method.loss(model, x, config, machine.Rng(0))[0].backward()
    return counter.get_total_flops()


def logged(name, corpus):
    """What a shipped training computed and where it ended, and its log with the compute spent at each step."""
    method = methods.METHODS[name]
    model, *_, made = checkpoint.load(checkpoint.default_path(name), method)
    batch = made["recipe"]["batch_size"]
    length = model.config.block_size
    log = records.read_log(cli.ROOT / "results" / f"{name}_train.csv", ("step", "val_loss"))
    log["flop"] = log["step"] * batch * flop_of_window(method, model.config)
    held_out = windows(corpus.validation, length + 1, most=made["recipe"]["eval_windows"])
    row = {
        "module": name,
        "minutes": made["minutes"],
        "windows": made["steps"] * batch,
        "passes": made["steps"] * batch * length / len(corpus.train),
        "flop": float(log["flop"].max()),
        "val_loss": log["val_loss"].min(),
        "calibrated": made["val_loss"],
        "calibrated_now": method.nll(model, held_out).mean().item(),
    }
    return row, log


def equal_compute(args):
    """Validation loss of each shipped training where the smallest one ends: table, plot and file."""
    corpus = Corpus(None)
    rows, logs = zip(*(logged(name, corpus) for name in COMPARED), strict=True)
    least = min(row["flop"] for row in rows)
    for row, log in zip(rows, logs, strict=True):
        row["val_loss_at_equal_flop"] = float(np.interp(least, log["flop"], log["val_loss"]))
    show(rows)
    args.write("budgets", {"rows": list(rows)})
    lines = {row["module"]: (log["flop"][1:], log["val_loss"][1:]) for row, log in zip(rows, logs, strict=True)}
    draw(args.folder / "budgets_flop.png", "floating-point operations of training", lines)


def draw(path, x, lines):
    """A plot of losses over what they cost. lines: {name: (costs, losses)}."""
    y = "nats per character of held-out text\n(GPT exact, others bound)"
    with plots.figure(path, "Held-out loss of training", x, y) as axes:
        plots.log_axes(axes)
        for colour, (name, line) in zip(plots.COLOURS, lines.items(), strict=False):
            axes.plot(*line, color=colour, marker="o", markersize=3, label=name)


@dataclass(frozen=True, kw_only=True)
class Timed(Recipe):
    """A recipe whose learning rates follow the time, not the steps."""

    began: float
    minutes: float

    def spent(self):
        """The share of the time that is gone."""
        return (time.monotonic() - self.began) / (60 * self.minutes)

    def lr_scale(self, step):
        """Linear warm-up, constant, linear decay to 0 as the time ends."""
        up = (step + 1) / max(1, self.warmup)
        down = (1 - self.spent()) / self.decay
        return max(0.0, min(1.0, up, down))


def train_ours(method, corpus, minutes, device):
    """Train ours for so long, compiling included -> (model, steps)."""
    began = time.monotonic()
    torch.compiler.reset()
    with torch.compiler.config.patch(force_disable_caches=True):
        torch.manual_seed(0)
        model = method.Model(replace(method.config, vocab_size=len(corpus.alphabet))).to(device)
        trainer = Trainer(method, model, Timed(**vars(method.recipe) | {"iters": 10**9}, began=began, minutes=minutes))
        trainer.compile()
        for step, losses in enumerate(train_steps(trainer, corpus), 1):
            losses["batch_total_loss"].item()  # waits for the device
            if trainer.recipe.spent() >= 1:
                return model, step


def train_others(minutes, step):
    """Train a model of others, step() by step; yields (minutes, steps) at each of the times given."""
    spent = 0.0
    steps = 0
    for until in sorted(minutes):
        while spent < 60 * until:
            spent += clock(step)
            steps += 1
        yield until, steps


def held_out_loss(method, model, corpus):
    """Nats per character of the test split, read in non-overlapping windows of the model's length."""
    T = model.config.block_size
    held_out = windows(corpus.test, T + 1, most=HELD_OUT // T).to(next(model.parameters()).device)
    model.eval()
    nll = method.nll(model, held_out, 4)
    model.train()
    return nll.mean().item()


def trainings(args, corpus, device):
    """(method, whose, minutes, model with our interface, steps) of each, one after another."""
    config = Config(vocab_size=len(corpus.alphabet))
    others = [*origin.trainings(args.path, corpus, config), *nanogpt.trainings(args.nanogpt, corpus, config)]
    for name in COMPARED:
        for minutes in args.minutes:
            yield name, "ours", minutes, *train_ours(methods.METHODS[name], corpus, minutes, device)
    for name, whose, model, step in others:
        for minutes, steps in train_others(args.minutes, step):
            yield name, whose, minutes, model, steps


def equal_minutes(args):
    """Held-out loss after each number of minutes: table, plot and file."""
    device = machine.pick_device(args.device)
    corpus = Corpus()
    rows = []
    for name, whose, minutes, model, steps in trainings(args, corpus, device):
        size = sum(p.numel() for p in model.parameters())
        nats = held_out_loss(methods.METHODS[name], model, corpus)
        row = {"method": name, "whose": whose, "minutes": minutes, "parameters": size, "steps": steps, "nats": nats}
        rows.append(row)
        show([row])
    args.write("first_minutes", {"rows": rows}, on=str(device))
    lines = {
        f"{name}, {whose}": ([row["minutes"] for row in curve], [row["nats"] for row in curve])
        for (name, whose), curve in stats.grouped(rows, "method", "whose").items()
    }
    draw(args.folder / "first_minutes.png", "minutes of training", lines)


def main(args):
    """Compare the logs of the shipped weights, and train where minutes are given."""
    equal_compute(args)
    if args.minutes:
        equal_minutes(args)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
