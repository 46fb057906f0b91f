"""How much has each method learned from how much? Validation loss against positions computed, and against FLOP.

    uv run -m benchmarks.budgets

Reads the weights and the logs of their trainings, results/*_train.csv. A position computed is one character that goes
through the network: the masked methods compute each window twice, under complementary masks. GPT's loss is exact, the
others' is the likelihood bound; both before calibration. FLOP are those of the loss and its gradient, products only.
Because a log is of the validation of its time, the calibrated weights are validated again beside what it said of them.
"""

import sys
from dataclasses import dataclass

import lab.start  # noqa: F401 (before PyTorch)

import numpy as np
import torch

import methods
from benchmarks.timing import Output, flop, show
from lab import checkpoint, cli, likelihood, machine, plots, records
from lab.corpus import Corpus
from lab.corpus import windows as cut

LABELS = {"gpt": "GPT (exact)", "diffusion": "diffusion (bound)", "diffusion_flow": "diffusion + flow (bound)"}


@dataclass(frozen=True, kw_only=True)
class Args(Output):
    pass


def flop_of_window(method, config):
    """Floating-point operations of one window of a training step."""
    with torch.device("meta"):
        model, x = method.Model(config), torch.zeros(1, config.block_size + 1, dtype=torch.long)
    return flop(lambda: method.loss(model, x, config, machine.Rng(0))[0].backward())


def budget(name, log, corpus):
    """What a training computed, and where it ended; log: its table."""
    method, path = methods.METHODS[name], checkpoint.default_path(name)
    model, *_, made = checkpoint.load(path, name, method.Model, type(method.Args().config))
    config = model.config
    batch, copies = made["recipe"]["batch_size"], 1 if name == "gpt" else 2
    per_step = {"positions": batch * config.block_size * copies, "flop": batch * flop_of_window(method, config)}
    windows = made["steps"] * batch
    row = {"module": name, "steps": made["steps"], "batch": batch, "windows": windows, "minutes": made["minutes"]}
    row |= {"passes": windows * config.block_size / len(corpus.train)}
    row |= {key: made[key] for key in ("processor", "commit", "temperature")} | {"calibrated": made["val_loss"]}
    held = cut(corpus.validation, config.block_size + 1, most=made["recipe"]["eval_windows"])
    nll = likelihood.exact_nll if name == "gpt" else likelihood.nelbo
    row["calibrated_now"] = nll(model, held).mean().item()
    row |= {key: value * made["steps"] for key, value in per_step.items()} | {"val_loss": log["val_loss"].min()}
    return row, log.assign(**{key: value * log["step"] for key, value in per_step.items()})


def main(args):
    """Count, interpolate at the smallest budget, draw, store."""
    corpus, rows, curves = Corpus(None), [], {}
    for name in methods.METHODS:
        log = records.read_log(cli.ROOT / "results" / f"{name}_train.csv", ("step", "val_loss"))
        row, curves[name] = budget(name, log, corpus)
        rows.append(row)
    for key in ("positions", "flop"):
        least = min(row[key] for row in rows)
        for row in rows:
            curve = curves[row["module"]]
            row[f"val_loss_at_equal_{key}"] = float(np.interp(least, curve[key], curve["val_loss"]))
    args.write("budgets", {"rows": rows})
    show(rows)
    y = "validation loss, nats per character"
    for key, x in (("positions", "positions computed"), ("flop", "floating-point operations of training")):
        title = "Where each method stands at equal " + ("data" if key == "positions" else "compute")
        with plots.figure(args.folder / f"budgets_{key}.png", title, x, y) as axes:
            plots.log_axes(axes)
            for colour, (name, curve) in zip(plots.COLOURS, curves.items(), strict=False):
                curve = curve[curve["step"] > 0]
                axes.plot(curve[key], curve["val_loss"], color=colour, label=LABELS[name], marker=".")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
