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


def main(args):
    """Read both logs, draw the four plots."""
    flow = records.read_log(args.flow_log, (*COMMON, *FLOW))
    baseline = records.read_log(args.baseline_log, COMMON)
    blue, red, green, *_ = plots.COLOURS
    models = (("diffusion", baseline, blue), ("diffusion + flow", flow, red))
    nats = "likelihood bound, nats per character"
    steps = "optimiser steps"

    def figure(name, title, x, y):
        path = args.output_dir / f"{args.tag}_{name}.png"
        print(path)
        return plots.figure(path, title, x, y)

    with figure("train_val_loss", "Loss of training and of validation", steps, nats) as axes:
        for name, log, colour in models:
            axes.plot("step", "train_loss", ".:", data=log, color=colour, label=f"{name}, training")
            axes.plot("step", "val_loss", ".-", data=log, color=colour, label=f"{name}, validation")
    title = "What training minimises: the loss of its batches"
    with figure("batch_total_loss", title, steps, "loss of the batches, nats") as axes:
        for name, log, colour in models:
            axes.plot("step", "batch_total_loss", ".-", data=log, color=colour, label=f"{name}, all terms")
    with figure("flow_breakdown", "The flow model learns from two terms", steps, "nats (gradient: no unit)") as axes:
        weighted = flow["flow_weight"] * flow["batch_flow_loss"]
        axes.plot("step", "batch_ce_loss", ".-", data=flow, color=blue, label="masked characters")
        axes.plot(flow["step"], weighted, ".-", color=red, label="flow_weight x characters with evidence")
        axes.plot("step", "grad_norm", ".:", data=flow, color=green, label="norm of the gradient")
    with figure("val_vs_time", "Loss of validation over time", "minutes of training", nats) as axes:
        for name, log, colour in models:
            axes.plot(log["elapsed_sec"] / 60, log["val_loss"], ".-", color=colour, label=name)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
