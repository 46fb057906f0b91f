"""How did the two masked models learn?

    uv run plot_training_curves.py --baseline-log results/diffusion_train.csv --flow-log results/diffusion_flow_train.csv

Writes plots/<tag>_: train_val_loss.png, batch_total_loss.png, flow_breakdown.png, val_vs_time.png. Both models' train and
validation losses are the likelihood bound over the same windows and masks.
"""

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

from lab import cli, plots, records

COMMON = ("step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss")
FLOW = ("batch_ce_loss", "batch_flow_loss", "flow_weight", "grad_norm")


@dataclass(frozen=True)
class Args:
    baseline_log: Path  # a CSV of diffusion.py --train
    flow_log: Path  # a CSV of diffusion_flow.py --train
    tag: str = "comparison"  # the files' names begin with it
    output_dir: Path = cli.ROOT / "plots"


def curve(axes, x, y, label, colour, line="-"):
    """A line with a mark at each row of the log, named at its end."""
    known = y.notna()
    axes.plot(x[known], y[known], color=colour, linestyle=line, marker=".", markersize=4, linewidth=1)
    if known.any():
        end = (x[known].iloc[-1], y[known].iloc[-1])
        axes.annotate(label, end, (5, 0), textcoords="offset points", color=colour, fontsize=8, va="center")


def main(args):
    """Read both logs, draw the four plots."""
    baseline = records.read_log(args.baseline_log, COMMON)
    flow = records.read_log(args.flow_log, (*COMMON, *FLOW))
    logs = {"diffusion": baseline, "diffusion + flow": flow}
    blue, red, green, *_ = plots.COLOURS
    pairs = [(name, log, colour) for (name, log), colour in zip(logs.items(), (blue, red), strict=True)]
    loss, step, batch = "likelihood bound, nats per character", "optimiser steps", "loss of the batches, nats"

    def figure(name, title, x, y):
        return plots.figure(args.output_dir / f"{args.tag}_{name}.png", title, x, y)

    lowest = " and ".join(f"{log['val_loss'].min():.3f} ({name})" for name, log, _ in pairs)
    with figure("train_val_loss", f"The validation loss falls to {lowest}", step, loss) as axes:
        for name, log, colour in pairs:
            curve(axes, log["step"], log["train_loss"], f"{name}, training", colour, ":")
            curve(axes, log["step"], log["val_loss"], f"{name}, validation", colour)
    with figure("batch_total_loss", "What training minimises: the loss of its batches", step, batch) as axes:
        for name, log, colour in pairs:
            label = name + (" (both terms)" if log is flow else "")
            curve(axes, log["step"], log["batch_total_loss"], label, colour)
    with figure("flow_breakdown", "The flow model learns from two terms", step, "nats (gradient: no unit)") as axes:
        curve(axes, flow["step"], flow["batch_ce_loss"], "masked characters", blue)
        weighted = flow["flow_weight"] * flow["batch_flow_loss"]
        curve(axes, flow["step"], weighted, "flow_weight x characters with evidence", red)
        curve(axes, flow["step"], flow["grad_norm"], "norm of the gradient", green, ":")
    took = " and ".join(f"{timedelta(seconds=round(log['elapsed_sec'].max()))} ({name})" for name, log, _ in pairs)
    with figure("val_vs_time", f"Time of training: {took}", "minutes of training", loss) as axes:
        for name, log, colour in pairs:
            curve(axes, log["elapsed_sec"] / 60, log["val_loss"], name, colour)
    print(*sorted(args.output_dir.glob(f"{args.tag}_*.png")), sep="\n")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
