"""How did the two masked models learn?

    uv run plot_training_curves.py --baseline-log results/diffusion_train.csv --flow-log results/diffusion_flow_train.csv

Writes plots/<tag>_: train_val_loss.png, batch_total_loss.png, flow_breakdown.png, val_vs_time.png. Both models' train and
validation losses are the cross-entropy of plainly masked characters over the same windows and masks.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import cli, plots
from lab.cli import UserError, check

COMMON = ("step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss")
FLOW = ("batch_ce_loss", "batch_flow_loss", "flow_weight", "grad_norm")


@dataclass(frozen=True)
class Args:
    baseline_log: Path  # a CSV of diffusion.py --train
    flow_log: Path  # a CSV of diffusion_flow.py --train
    tag: str = "comparison"  # the files' names begin with it
    output_dir: Path = cli.ROOT / "plots"


def read(path, needed):
    """A training log as {column: numbers}. Raises UserError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        missing = [name for name in needed if not rows or name not in rows[0]]
        check(not missing, f"{path}: no training log (its rows lack {', '.join(missing)})")
        return {name: [float(row[name]) for row in rows] for name in needed}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: no training log ({error})") from error


def main(args):
    """Read both logs, draw the four plots."""
    logs = {"diffusion": read(args.baseline_log, COMMON), "diffusion + flow": read(args.flow_log, (*COMMON, *FLOW))}
    blue, red, green, *_ = plots.COLOURS
    loss, step = "cross-entropy of masked characters, nats", "optimiser steps"

    def figure(name, title, x, y):
        return plots.figure(args.output_dir / f"{args.tag}_{name}.png", title, x, y)

    with figure("train_val_loss", "Loss on text seen in training, and on held-out text", step, loss) as axes:
        for (name, log), colour in zip(logs.items(), (blue, red), strict=True):
            axes.plot(log["step"], log["train_loss"], color=colour, linestyle=":", label=f"{name}, training text")
            axes.plot(log["step"], log["val_loss"], color=colour, label=f"{name}, held-out text")
    with figure(
        "batch_total_loss", "What each step minimises (noisy: one batch a point)", step, "loss of the batch, nats"
    ) as axes:
        for (name, log), colour in zip(logs.items(), (blue, red), strict=True):
            label = name + (" (both terms)" if name != "diffusion" else "")
            axes.plot(log["step"], log["batch_total_loss"], color=colour, label=label, linewidth=1)
    flow = logs["diffusion + flow"]
    with figure(
        "flow_breakdown", "The two terms of the flow model's loss (noisy: one batch a point)", step, "nats"
    ) as axes:
        axes.plot(flow["step"], flow["batch_ce_loss"], color=blue, label="plainly masked characters")
        weighted = [w * x for w, x in zip(flow["flow_weight"], flow["batch_flow_loss"], strict=True)]
        axes.plot(flow["step"], weighted, color=red, label="flow_weight x characters with evidence")
        axes.plot(flow["step"], flow["grad_norm"], color=green, linestyle=":", label="norm of the gradient (no unit)")
    with figure("val_vs_time", "Held-out loss by training time", "minutes of training", loss) as axes:
        for (name, log), colour in zip(logs.items(), (blue, red), strict=True):
            axes.plot([s / 60 for s in log["elapsed_sec"]], log["val_loss"], color=colour, label=name)
    print(*sorted(args.output_dir.glob(f"{args.tag}_*.png")), sep="\n")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
