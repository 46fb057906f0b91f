"""How much does each method learn from the same data, and from the same compute? The logs of the shipped weights.

    uv run -m benchmarks.learning_curves

The validation losses in results/*_train.csv, before calibration, over the FLOP of the loss and its gradient, products only;
the masked methods compute each window twice, under complementary masks. Because a log is of the validation of its time, the
calibrated weights are validated again.
"""

import sys

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import methods
from benchmarks.output import Output as Args
from benchmarks.output import show
from benchmarks.shipped import describe
from lab import cli
from lab.measuring import plots, records
from lab.model import machine
from lab.model.corpus import Corpus, windows

COMPARED = ("gpt", "diffusion", "diffusion_flow")  # the FLOP of attention with a mask of its own are not counted


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
    engine = methods.load(name)
    method = engine.method
    config = engine.model.config
    made = describe(name)
    log = records.read_log(cli.ROOT / "results" / f"{name}_train.csv", ("step", "val_loss"))
    log["flop"] = log["step"] * made["batch"] * flop_of_window(method, config)
    held_out = windows(corpus.validation, config.block_size + 1, most=method.recipe.eval_windows)
    row = {
        "module": name,
        "minutes": made["minutes"],
        "windows": made["steps"] * made["batch"],
        "passes": made["characters"] / len(corpus.train),
        "flop": log["flop"].max(),
        "val_loss": log["val_loss"].min(),
        "calibrated_now": method.nll(engine.model, held_out).mean().item(),
    }
    return row, log


def main(args):
    """Validation loss of each shipped training where the smallest one ends: table, plot and file."""
    corpus = Corpus()
    rows, logs = zip(*(logged(name, corpus) for name in COMPARED), strict=True)
    least = min(row["flop"] for row in rows)
    for row, log in zip(rows, logs, strict=True):
        row["val_loss_at_equal_flop"] = np.interp(least, log["flop"], log["val_loss"])
    show(rows)
    args.write("budgets", {"rows": rows})
    x = "floating-point operations of training"
    y = "nats per character of held-out text\n(GPT exact, others bound)"
    with plots.figure(args.folder / "budgets_flop.png", "Held-out loss of training", x, y) as axes:
        plots.log_axes(axes)
        for name, log in zip(COMPARED, logs, strict=True):
            axes.plot(log["flop"][1:], log["val_loss"][1:], "o-", markersize=3, label=name)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
