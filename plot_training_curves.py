"""How did the two masked models learn?

    uv run plot_training_curves.py --baseline-log results/diffusion_train.csv --flow-log results/diffusion_flow_train.csv

Writes plots/<tag>_: train_val_loss.png, batch_total_loss.png, flow_breakdown.png, val_vs_time.png. Both models' train and
validation losses are the likelihood bound over the same windows and masks.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

from lab import cli
from lab.measuring import plots, records

COMMON = ("step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss")
FLOW = ("batch_ce_loss", "batch_flow_loss", "flow_weight", "grad_norm")


@dataclass(frozen=True)
class Args:
    baseline_log: Path  # a CSV of diffusion.py --train
    flow_log: Path  # a CSV of diffusion_flow.py --train
    tag: str = "comparison"  # the files' names begin with it
    output_dir: Path = cli.ROOT / "plots"


def curve(axes, log, x, y, label, colour, line="-"):
    """A column of a log over another, with a mark at each row that has it, named at its end."""
    known = log[log[y].notna()]
    axes.plot(known[x], known[y], color=colour, linestyle=line, marker=".", markersize=4, linewidth=1)
    if len(known):
        end = known[x].iloc[-1], known[y].iloc[-1]
        axes.annotate(label, end, (5, 0), textcoords="offset points", color=colour, fontsize=8, va="center")


def main(args):
    """Read both logs, draw the four plots."""
    flow = records.read_log(args.flow_log, (*COMMON, *FLOW))
    baseline = records.read_log(args.baseline_log, COMMON)
    blue, red, green, *_ = plots.COLOURS
    models = (("diffusion", baseline, blue), ("diffusion + flow", flow, red))
    for _, log, _ in models:
        log["minutes"] = log["elapsed_sec"] / 60
    flow["weighted_flow_loss"] = flow["flow_weight"] * flow["batch_flow_loss"]
    made = []
    nats = "likelihood bound, nats per character"
    steps = "optimiser steps"

    def figure(name, title, x, y):
        made.append(args.output_dir / f"{args.tag}_{name}.png")
        return plots.figure(made[-1], title, x, y)

    with figure("train_val_loss", "Loss of training and of validation", steps, nats) as axes:
        for name, log, colour in models:
            curve(axes, log, "step", "train_loss", f"{name}, training", colour, ":")
            curve(axes, log, "step", "val_loss", f"{name}, validation", colour)
    title = "What training minimises: the loss of its batches"
    with figure("batch_total_loss", title, steps, "loss of the batches, nats") as axes:
        curve(axes, baseline, "step", "batch_total_loss", "diffusion", blue)
        curve(axes, flow, "step", "batch_total_loss", "diffusion + flow (both terms)", red)
    with figure("flow_breakdown", "The flow model learns from two terms", steps, "nats (gradient: no unit)") as axes:
        curve(axes, flow, "step", "batch_ce_loss", "masked characters", blue)
        curve(axes, flow, "step", "weighted_flow_loss", "flow_weight x characters with evidence", red)
        curve(axes, flow, "step", "grad_norm", "norm of the gradient", green, ":")
    with figure("val_vs_time", "Loss of validation over time", "minutes of training", nats) as axes:
        for name, log, colour in models:
            curve(axes, log, "minutes", "val_loss", name, colour)
    print(*made, sep="\n")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
