"""How did the two masked models learn?

    uv run plot_training_curves.py --baseline-log results/diffusion_train.csv --flow-log results/diffusion_flow_train.csv

Writes plots/<tag>_: train_val_loss.png, batch_total_loss.png, flow_breakdown.png, val_vs_time.png. Both models' train and
validation losses are the likelihood bound over the same windows and masks.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas

from lab import cli, plots
from lab.cli import UserError, check
from lab.files import check_ends

COMMON = ("step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss")
FLOW = ("batch_ce_loss", "batch_flow_loss", "flow_weight", "grad_norm")


@dataclass(frozen=True)
class Args:
    baseline_log: Path  # a CSV of diffusion.py --train
    flow_log: Path  # a CSV of diffusion_flow.py --train
    tag: str = "comparison"  # the files' names begin with it
    output_dir: Path = cli.ROOT / "plots"

    def __post_init__(self):
        cli.check_tag(self.tag)


def read(path, needed):
    """A training log as a table of numbers; empty cells, as at step 0, are NaN. Raises UserError."""
    check_ends(path)
    try:
        log = pandas.read_csv(path, encoding="utf-8-sig", encoding_errors="replace", compression=None)
        missing = ", ".join(name for name in needed if name not in log)
        check(len(log) and not missing, f"{path}: no training log (its rows lack {missing or 'everything'})")
        log = log[list(needed)].astype(float)
        check(not (log.abs() > 1e12).any(axis=None), f"{path}: no training log (it holds numbers beyond 1e12)")
        return log
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise UserError(f"{path}: no training log ({error})") from error


def curve(axes, x, y, label, colour, line="-"):
    """A line with a mark at each row of the log, named at its end."""
    known = y.notna()
    axes.plot(x[known], y[known], color=colour, linestyle=line, marker=".", markersize=4, linewidth=1)
    if known.any():
        end = (x[known].iloc[-1], y[known].iloc[-1])
        axes.annotate(label, end, (5, 0), textcoords="offset points", color=colour, fontsize=8, va="center")


def main(args):
    """Read both logs, draw the four plots."""
    logs = {"diffusion": read(args.baseline_log, COMMON), "diffusion + flow": read(args.flow_log, (*COMMON, *FLOW))}
    blue, red, green, *_ = plots.COLOURS
    pairs = [(name, log, colour) for (name, log), colour in zip(logs.items(), (blue, red), strict=True)]
    loss, step, flow = "likelihood bound, nats per character", "optimiser steps", logs["diffusion + flow"]

    def figure(name, title, x, y):
        return plots.figure(args.output_dir / f"{args.tag}_{name}.png", title, x, y)

    lowest = " and ".join(f"{log['val_loss'].min():.3f} ({name})" for name, log, _ in pairs)
    with figure("train_val_loss", f"The validation loss falls to {lowest}", step, loss) as axes:
        for name, log, colour in pairs:
            curve(axes, log["step"], log["train_loss"], f"{name}, training", colour, ":")
            curve(axes, log["step"], log["val_loss"], f"{name}, validation", colour)
    with figure(
        "batch_total_loss", "What training minimises: the loss of its batches", step, "loss of the batches, nats"
    ) as axes:
        for name, log, colour in pairs:
            label = name + (" (both terms)" if log is flow else "")
            curve(axes, log["step"], log["batch_total_loss"], label, colour)
    with figure("flow_breakdown", "The flow model learns from two terms", step, "nats (gradient: no unit)") as axes:
        curve(axes, flow["step"], flow["batch_ce_loss"], "masked characters", blue)
        weighted = flow["flow_weight"] * flow["batch_flow_loss"]
        curve(axes, flow["step"], weighted, "flow_weight x characters with evidence", red)
        curve(axes, flow["step"], flow["grad_norm"], "norm of the gradient", green, ":")
    minutes = " and ".join(f"{log['elapsed_sec'].max() / 60:.0f} ({name})" for name, log, _ in pairs)
    with figure("val_vs_time", f"Minutes of training: {minutes}", "minutes of training", loss) as axes:
        for name, log, colour in pairs:
            curve(axes, log["elapsed_sec"] / 60, log["val_loss"], name, colour)
    print(*sorted(args.output_dir.glob(f"{args.tag}_*.png")), sep="\n")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
