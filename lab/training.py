"""The training loop, one for the three methods: optimisers, schedule, evaluation, log, checkpoints, resume.

Everything random at step n follows from the seed and n alone, so that a resumed run sees what an uninterrupted
one would have seen, and several processes together see what one would have.
"""

import contextlib
import csv
import math
import os
import re
import shlex
import signal
import sys
import time
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.nn.parallel import DistributedDataParallel

from lab import checkpoint, likelihood, machine
from lab.backbone import Config
from lab.cli import ROOT, UserError, check, command
from lab.corpus import Corpus, windows
from lab.muon import Muon

COLUMNS = ("step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss")


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; stored in its checkpoint."""

    iters: int = 5000  # optimiser steps
    batch_size: int = 8  # windows of text in a step, over all processes
    muon_lr: float = 0.01  # learning rate of the matrices inside the blocks
    adam_lr: float = 0.003  # learning rate of embedding, head and convolutions
    warmup: int = 20  # steps of linear warm-up
    decay: float = 0.6  # share of the steps, at the end, over which the learning rates fall to 0
    eval_every: int = 250  # steps between evaluations
    eval_windows: int = 64  # fixed windows of text in an evaluation, of each part
    save_every: float = 60.0  # seconds between checkpoints of an unfinished training
    compile: bool | None = None  # torch.compile; None = where it is safe and pays
    bf16: bool | None = None  # bfloat16 products; None = where they are faster

    def __post_init__(self):
        for name in ("iters", "batch_size", "eval_every", "eval_windows"):
            check(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("muon_lr", "adam_lr", "warmup", "save_every"):
            check(getattr(self, name) >= 0, f"{name} must not be negative, but is {getattr(self, name)}")
        check(0 <= self.decay <= 1, f"decay must lie in 0..1, not {self.decay}")

    def lr_scale(self, step):
        """Factor on the learning rates: linear warm-up, constant, linear decay to 0."""
        left = (self.iters - step) / max(1, self.decay * self.iters)
        return min(1.0, (step + 1) / max(1, self.warmup), left)


def optimisers(model, recipe):
    """Muon for the matrices inside the blocks, AdamW for the rest."""
    matrices = [p for p in model.backbone.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in inside]
    adam = torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
    pair = (Muon(matrices, lr=recipe.muon_lr), adam)
    for optimiser in pair:
        for group in optimiser.param_groups:
            group["full_lr"] = group["lr"]
    return pair


@torch.no_grad()
def evaluate(model, loss, held, precision):
    """Mean loss over fixed windows with fixed random numbers, the same for every model and step; nats per character.

    held: (n, block_size + 1) tokens.
    """
    rng = machine.Rng(0)
    model.eval()
    with precision:
        total = sum(len(x) * loss(model, x, model.config, rng)[0].item() for x in held.split(8))
    model.train()
    return total / len(held)


class Interrupt:
    """Notes a Ctrl-C and lets the step in progress end; another one, two seconds later or more, stops at once."""

    def __enter__(self):
        self.seen, self.at, self.before = False, 0.0, signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, *_):
        if not self.seen:  # not by print, which may be what was interrupted
            os.write(2, b"\nfinishing this step; another Ctrl-C, after two seconds, stops at once\n")
        elif time.monotonic() - self.at > 2:  # `uv run` passes on a Ctrl-C that came already
            raise KeyboardInterrupt
        self.seen, self.at = True, time.monotonic()

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, self.before)


class Log:
    """A CSV of the training; opened again after a resume, without the rows that will be made again."""

    def __init__(self, path, until):
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = []
            if path.exists():
                with open(path, newline="", encoding="utf-8") as file:
                    kept = [row for row in csv.DictReader(file) if int(row["step"]) <= until]
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
        for row in kept:
            self.add(row)

    def add(self, row):
        is_new = not self.path.exists()
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)


@dataclass
class Run:
    """A training under way."""

    path: Path  # where the weights will go
    description: dict  # what the checkpoint says of itself
    model: torch.nn.Module
    recipe: Recipe
    optimisers: tuple
    corpus: Corpus
    log: Path
    precision: object = contextlib.nullcontext()  # number format of the products
    held: tuple = ()  # fixed windows of the text trained on and of that held out
    step: int = 0
    elapsed: float = 0.0  # seconds
    best: float = float("inf")  # lowest loss on held-out text so far
    best_model: dict | None = None  # the weights that had it

    SAVED = ("step", "elapsed", "best", "best_model")

    def save(self):
        """Write the resume file, between two steps."""
        state = {"model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers]}
        state |= {"log": str(self.log)} | {key: getattr(self, key) for key in self.SAVED}
        checkpoint.write(checkpoint.resume_path(self.path), self.description | state)

    def restore(self):
        """Take up the state that an interrupted training left. Raises UserError when its settings were others."""
        path, mine = checkpoint.resume_path(self.path), self.description
        state = checkpoint.read(path, f"{mine['name']}.py --train")
        check("optimisers" in state, f"{path}: holds weights, not an unfinished training")
        then, now = ({**d["provenance"], **d["provenance"]["recipe"], **d} for d in (state, mine))
        keys = {"name", "config", "characters", "seed", "data_sha256", "processes", *mine["provenance"]["recipe"]}
        keys -= {"save_every"}  # the one that changes nothing
        differing = [key for key in sorted(keys) if then.get(key) != now[key]]
        check(not differing, f"{path}: was started with another {', '.join(differing)}; --resume goes on with the same")
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        for key in self.SAVED:
            setattr(self, key, state[key])
        self.log, self.description = Path(state["log"]), {key: state[key] for key in mine}

    def keep_best(self, measure):
        """Put the best weights so far in their place; measure(): the loss to calibrate them by first, None: do not."""
        best = {"minutes": round(self.elapsed / 60, 1), "steps": self.step, "val_loss": self.best}
        self.model.load_state_dict(self.best_model)
        said = f"best val {self.best:.4f}"
        if measure is not None:
            best["temperature"], best["val_loss"] = likelihood.calibrate(self.model, measure)
            said += f", {best['val_loss']:.4f} with logits divided by {best['temperature']}"
        self.description["provenance"] |= best
        checkpoint.save(self.path, self.model, self.description)
        say(f"{self.path}: written; {said}, {self.elapsed / 60:.1f} min")


def train(name, Model, loss, args, validate=None):
    """Train method `name` and leave the weights that did best on held-out text in args.weights.

    args: the command's own (see lab/command.py); validate: the loss to choose by, when it is not the one trained on.
    Raises UserError, and KeyboardInterrupt after a Ctrl-C, when what was learned so far lies in the resume file.
    """
    ranks = machine.Ranks()
    device = ranks.join(machine.pick_device(args.device))
    try:
        run = begin(name, Model, args, ranks, device)
        finished = loop(run, loss, validate or loss, args.seed, ranks, device)
        if ranks.is_main:
            by = partial(evaluate, run.model, validate or loss, run.held[1], run.precision) if args.calibrate else None
            if finished:
                run.keep_best(by)
                checkpoint.resume_path(run.path).unlink(missing_ok=True)
            else:
                stop_early(run, by)
        if not finished:
            raise KeyboardInterrupt
    finally:
        ranks.leave()


def begin(name, Model, args, ranks, device):
    """A Run from scratch, from other weights (--init), or from where it was interrupted (--resume)."""
    path = args.weights or checkpoint.default_path(name)
    check(path.name and not path.is_dir(), f"--weights {path}: is a folder, not a file to write to")
    corpus = Corpus(args.data)
    config = replace(args.config, vocab_size=len(corpus.alphabet))
    corpus.require(config.block_size + 1)
    world, batch = ranks.world, args.recipe.batch_size
    check(batch % world == 0, f"batch_size {batch} cannot be shared equally by {world} processes")
    torch.manual_seed(args.seed)
    model = Model(config).to(device)
    provenance = {
        "command": command(),
        "recipe": asdict(args.recipe),
        "seed": args.seed,
        "init": args.init and str(args.init),
        "data": corpus.path.name,
        "data_sha256": corpus.sha256,
        "device": str(device),
        "processes": ranks.world,
        **machine.versions(),
    }
    description = checkpoint.describe(name, config, corpus.alphabet, corpus.opening(config.block_size), provenance)
    log = ROOT / "logs" / f"{name}_train_{time.strftime('%Y%m%d_%H%M%S')}.csv"
    run = Run(path, description, model, args.recipe, optimisers(model, args.recipe), corpus, log)
    if args.resume:
        run.restore()
    elif args.init:
        other, alphabet, *_ = checkpoint.load(args.init, name, Model, type(config))
        sizes = [field.name for field in fields(Config) if field.name != "dropout"]
        fits = alphabet == corpus.alphabet and all(getattr(other.config, n) == getattr(config, n) for n in sizes)
        check(fits, f"{args.init}: made for another alphabet or other sizes; --init needs the same ones")
        model.load_state_dict(other.state_dict())
    return run


def loop(run, loss, validate, seed, ranks, device):
    """Step until the end or a Ctrl-C, logging and saving on the way; returns whether the end was reached."""
    machine.keep_memory()
    recipe = run.recipe
    bf16 = machine.gains_from_bf16(device) if recipe.bf16 is None else recipe.bf16
    run.precision = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    model = DistributedDataParallel(run.model) if ranks.world > 1 else run.model
    compiled = machine.can_compile(device) if recipe.compile is None else recipe.compile
    run.description["provenance"] |= {"compiled": compiled, "bf16": bf16}
    if compiled:
        model = torch.compile(model, dynamic=False)  # shapes never change; dynamic ones cost three times as much
    length = run.model.config.block_size + 1
    parts = (run.corpus.train, run.corpus.validation)
    run.held = tuple(windows(part, length, most=recipe.eval_windows).to(device) for part in parts)
    if ranks.is_main:
        resume = checkpoint.resume_path(run.path)
        log = Log(run.log, until=run.step)
        announce(run, device, compiled)
        if run.step == 0 and resume.exists():
            os.replace(resume, f"{resume}.old")
            say(f"{resume}: an unfinished training was here; it is kept as {resume.name}.old")
        run.save()  # now, so that a folder that cannot be written to is not found out after an hour
    began, saved, stopped = time.monotonic() - run.elapsed, time.monotonic(), False
    with Interrupt() as interrupt, progress(run, ranks) as show:
        while run.step < recipe.iters and not (stopped := ranks.any(interrupt.seen)):
            torch.manual_seed(seed + run.step * ranks.world + ranks.rank)  # of dropout
            rng = machine.Rng(seed * 1_000_003 + run.step, ranks.rank, ranks.world)
            x = run.corpus.batch(recipe.batch_size // ranks.world, length, rng).to(device)
            total, noted = advance(run, model, loss, x, rng)
            run.elapsed = time.monotonic() - began
            show(total)
            if ranks.is_main and (run.step % recipe.eval_every == 0 or run.step == recipe.iters):
                log.add(measure(run, validate, total, noted))
            if ranks.is_main and time.monotonic() - saved > recipe.save_every:
                run.save()
                saved = time.monotonic()
    if stopped and ranks.is_main:
        run.save()
    return run.step == recipe.iters


def advance(run, model, loss, x, rng):
    """One optimiser step on windows x; returns the loss and, where it has parts, these and the gradient's norm.

    model: run.model, or what compiling or sharing made of it.
    """
    with run.precision:
        total, noted = loss(model, x, run.model.config, rng)
    total.backward()
    if noted:
        grads = [p.grad for p in run.model.parameters() if p.grad is not None]
        noted = noted | {"grad_norm": torch.nn.utils.get_total_norm(grads)}
    for optimiser in run.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["full_lr"] * run.recipe.lr_scale(run.step)
        optimiser.step()
        optimiser.zero_grad()
    run.step += 1
    return total.detach(), noted


def measure(run, validate, total, noted):
    """Evaluate, remember the weights if they are the best so far, and return the log's row."""
    train_loss, val_loss = (evaluate(run.model, validate, x, run.precision) for x in run.held)
    check(math.isfinite(val_loss), f"the loss is no number after {run.step} steps: lower --muon-lr or --adam-lr")
    if val_loss < run.best:
        run.best = val_loss
        run.best_model = {key: value.cpu().clone() for key, value in run.model.state_dict().items()}
    left = run.elapsed / run.step * (run.recipe.iters - run.step)
    clock = f"{run.elapsed / 60:.1f} min, about {left / 60:.0f} left"
    say(f"step {run.step:,}/{run.recipe.iters:,}  train {train_loss:.4f}  val {val_loss:.4f}  {clock}")
    rounded = [round(float(value), 5) for value in (run.elapsed, train_loss, val_loss, total, *noted.values())]
    return dict(zip((*COLUMNS, *noted), [run.step, *rounded], strict=True))


def stop_early(run, measure):
    """After a Ctrl-C: say how to go on, and keep the best weights so far if the user says so (see Run.keep_best)."""
    typed = re.sub(r" --(train|resume|init[ =]('.*?'|\S+))(?= |$)", "", f" {shlex.join(sys.argv[1:])}")
    processes = run.description["provenance"]["processes"]
    start = f"torchrun --nproc-per-node {processes} " if processes > 1 else ""
    say(f"stopped at step {run.step:,}; go on with: uv run {start}{Path(sys.argv[0]).name}{typed} --train --resume")
    if run.best_model is not None and sys.stdin.isatty():
        say(f"write the best weights so far to {run.path}? [y/N]")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            run.keep_best(measure)


def announce(run, device, compiled):
    """Say what is about to happen."""
    size = sum(p.numel() for p in run.model.parameters()) / 1e6
    compiling = ", compiled (the first step takes half a minute)" if compiled else ""
    steps = f"steps {run.step:,} to {run.recipe.iters:,}"
    say(f"training {run.description['name']}: {size:.2f} M parameters, {steps}, on {device}{compiling}; log {run.log}")


def say(message):
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(run, ranks):
    """A bar with loss and time left on a terminal, nothing elsewhere; gives a function of the batch's loss."""
    console = Console(stderr=True)
    if not (ranks.is_main and console.is_terminal):
        yield lambda total: None
        return
    columns = (BarColumn(), TextColumn("{task.completed:,}/{task.total:,}  loss {task.fields[loss]}"))
    columns += (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=run.recipe.iters, completed=run.step, loss="")

        def show(total):
            if run.step % 10 == 0:
                bar.update(task, completed=run.step, loss=f"{total.item():.3f}")

        yield show
