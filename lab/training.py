"""The training loop, one for the three methods: optimisers, schedule, evaluation, log, checkpoints, resume.

Everything random at step n follows from the seed and n alone, so that a resumed run sees what an uninterrupted
one would have seen, and several processes together see what one would have.
"""

import contextlib
import csv
import io
import math
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial

import torch
from rich.console import Console
from rich.progress import Progress
from torch.nn.parallel import DistributedDataParallel

from lab import checkpoint, files, likelihood, machine
from lab.backbone import Config
from lab.cli import ROOT, UserError, check, command
from lab.corpus import Corpus, windows
from lab.muon import Muon


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; stored in its checkpoint."""

    iters: int = 5000  # optimiser steps
    batch_size: int = 8  # windows of text in a step, over all processes
    muon_lr: float = 0.01  # learning rate of the matrices inside the blocks
    adam_lr: float = 0.003  # learning rate of embedding, head and convolutions
    warmup: int = 20  # steps of linear warm-up
    decay: float = 0.6  # share of the steps, at the end, over which the learning rates fall to 0
    eval_every: int = 250  # steps between evaluations, at most: a short training measures 20 times
    eval_windows: int = 64  # fixed windows of text in an evaluation, of each split
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


@dataclass
class State:
    """How far a training has come: with model and optimisers, all that its resume file holds."""

    step: int = 0
    elapsed: float = 0.0  # seconds
    best: float = math.inf  # lowest validation loss so far
    best_model: dict | None = None  # the weights that had it
    rows: list = field(default_factory=list)  # of the log
    sums: dict = field(default_factory=dict)  # of what the steps since the last row returned: name -> sum

    def is_due(self, recipe):
        """Whether the losses of both splits are to be measured now."""
        every = min(recipe.eval_every, max(1, recipe.iters // 20))
        recorded = self.rows and self.rows[-1]["step"] == self.step
        return not recorded and (self.step % every == 0 or self.step == recipe.iters)

    def note(self, total, parts):
        """Count a step and what `advance` returned."""
        self.step += 1
        for name, value in {"batch_total_loss": total, **parts}.items():
            self.sums[name] = self.sums.get(name, 0) + value

    def record(self, train_loss, val_loss, model):
        """Add a row to the log, with the means since the last one; remember the weights if they are the best so far."""
        check(math.isfinite(val_loss), f"the loss is no number after {self.step} steps: lower --muon-lr or --adam-lr")
        row = {"elapsed_sec": self.elapsed, "train_loss": train_loss, "val_loss": val_loss}
        row |= {name: total / (self.step - self.rows[-1]["step"]) for name, total in self.sums.items()}
        self.rows.append({"step": self.step} | {name: round(float(value), 5) for name, value in row.items()})
        self.sums = {}
        if val_loss < self.best:
            self.best = val_loss
            self.best_model = {key: value.cpu().clone() for key, value in model.state_dict().items()}


def train(name, Model, loss, args, validate=None):
    """Train method `name` and leave the weights that did best on the validation split in args.weights.

    args: the command's own (see lab/command.py); validate: the loss to choose by, when it is not the one trained on.
    Raises UserError, and KeyboardInterrupt after a Ctrl-C, when what was learned so far lies in the resume file.
    """
    recipe, path = args.recipe, args.weights or checkpoint.default_path(name)
    with machine.Ranks() as ranks, files.locked(path) if ranks.is_main else contextlib.nullcontext():
        device = ranks.join(machine.pick_device(args.device))
        corpus, model, description = prepare(name, Model, args, ranks, device)
        pair, state, length = optimisers(model, recipe), State(), model.config.block_size + 1
        if args.resume:
            restore(path, description, model, pair, state, recipe)
        elif ranks.is_main:
            make_way(path, description, args)
        if ranks.is_main:
            announce(model, state, description, device)
        began, saved, stopped = time.monotonic() - state.elapsed, -math.inf, False
        batch_loss, precision = accelerate(model, loss, recipe, ranks, device, description["provenance"])
        splits = [windows(part, length, most=recipe.eval_windows) for part in (corpus.train, corpus.validation)]
        measure, clock, console = (
            partial(evaluate, model, validate or loss, precision),
            machine.Clock(),
            Console(stderr=True),
        )
        hidden = not (ranks.is_main and console.is_terminal)
        with Interrupt() as interrupt, Progress(console=console, disable=hidden) as bar:
            task = bar.add_task("steps", total=recipe.iters)
            while True:
                ended = stopped or state.step == recipe.iters
                if ranks.is_main and state.is_due(recipe):
                    state.record(*map(measure, splits), model)
                    report(state, recipe, description, clock)
                if ranks.is_main and (ended or time.monotonic() - saved > recipe.save_every):
                    save(path, description, model, pair, state)
                    saved = time.monotonic()
                if ended:
                    break
                torch.manual_seed(args.seed + state.step * ranks.world + ranks.rank)  # of dropout
                rng = machine.Rng(args.seed * 1_000_003 + state.step, ranks.rank, ranks.world)
                x = corpus.batch(recipe.batch_size // ranks.world, length, rng).to(device)
                state.note(*advance(batch_loss, pair, recipe.lr_scale(state.step), x, rng))
                state.elapsed = time.monotonic() - began
                bar.update(task, completed=state.step)
                stopped = ranks.any(interrupt.seen)
        if ranks.is_main:
            finish(path, description, model, state, recipe, partial(measure, splits[1]) if args.calibrate else None)
        if state.step < recipe.iters:
            raise KeyboardInterrupt


def prepare(name, Model, args, ranks, device):
    """What does not change: the corpus, a model for it (random, or that of --init), and what its checkpoint says of it."""
    corpus = Corpus(args.data)
    config = replace(args.config, vocab_size=len(corpus.alphabet))
    corpus.require(config.block_size + 1)
    world, batch = ranks.world, args.recipe.batch_size
    check(batch % world == 0, f"batch_size {batch} cannot be shared equally by {world} processes")
    torch.manual_seed(args.seed)
    model = Model(config).to(device)
    if args.init:
        other, alphabet, *_ = checkpoint.load(args.init, name, Model, type(config))
        sizes = [size.name for size in fields(Config) if size.name != "dropout"]
        fits = alphabet == corpus.alphabet and all(getattr(other.config, n) == getattr(config, n) for n in sizes)
        check(fits, f"{args.init}: made for another alphabet or other sizes; --init needs the same ones")
        model.load_state_dict(other.state_dict())
    provenance = {
        "command": command(),
        "recipe": asdict(args.recipe),
        "seed": args.seed,
        "init": args.init and str(args.init),
        "calibrate": args.calibrate,
        "data": corpus.path.name,
        "data_sha256": corpus.sha256,
        "device": str(device),
        "processes": world,
        **machine.versions(),
    }
    return (
        corpus,
        model,
        checkpoint.describe(name, config, corpus.alphabet, corpus.opening(config.block_size), provenance),
    )


def accelerate(model, loss, recipe, ranks, device, provenance):
    """The loss of a batch, (x, rng) -> (scalar, parts), in the machine's best number format and compiled; and that format.

    Notes in the provenance what it chose.
    """
    machine.keep_memory()
    bf16 = machine.gains_from_bf16(device) if recipe.bf16 is None else recipe.bf16
    precision = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    plain = forward = DistributedDataParallel(model) if ranks.world > 1 else model

    def attempt(compiled):
        x = torch.zeros(recipe.batch_size // ranks.world, model.config.block_size + 1, dtype=torch.long, device=device)
        objective(compiled, loss, model.config, precision)(x, machine.Rng(0))[0].backward()
        model.zero_grad()

    if machine.can_compile(device) if recipe.compile is None else recipe.compile:
        if ranks.is_main:
            say("compiling, which takes about half a minute")
        forward = machine.compile_or_not(plain, attempt)
    provenance |= {"compiled": forward is not plain, "bf16": bf16}
    return objective(forward, loss, model.config, precision), precision


def objective(model, loss, config, precision):
    """A method's loss as training computes it, in a number format: (x, rng) -> (scalar, parts)."""

    def batch_loss(x, rng):
        with precision:
            return loss(model, x, config, rng)

    return batch_loss


def advance(batch_loss, optimisers, scale, x, rng):
    """One step on windows x, at this share of the full learning rates.

    batch_loss: see `objective`. Returns the loss and, where it has parts, these and the norm of the gradient.
    """
    total, parts = batch_loss(x, rng)
    total.backward()
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    if parts:
        grads = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        parts = parts | {"grad_norm": torch.nn.utils.get_total_norm(grads)}
    for group in groups:
        group["lr"] = group["full_lr"] * scale
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()
    return total.detach(), parts


@torch.no_grad()
def evaluate(model, loss, precision, split):
    """Mean loss over fixed windows with fixed random numbers, the same for every model and step; nats per character.

    split: (n, block_size + 1) tokens of the training or the validation split.
    """
    rng, device = machine.Rng(0), next(model.parameters()).device
    model.eval()
    with precision:
        total = sum(len(x) * loss(model, x.to(device), model.config, rng)[0].item() for x in split.split(8))
    model.train()
    return total / len(split)


def save(path, description, model, optimisers, state):
    """Write the resume file, between two steps. Raises UserError that says how to go on."""
    resume = checkpoint.resume_path(path)
    learned = {"model": model.state_dict(), "optimisers": [optimiser.state_dict() for optimiser in optimisers]}
    try:
        checkpoint.write(resume, description | learned | vars(state))
    except UserError as error:
        kept = f". The last one is there; go on with: {how_to_resume()}" if resume.exists() else ""
        raise UserError(f"{error}{kept}") from error


def restore(path, description, model, optimisers, state, recipe):
    """Take up what `save` wrote. Raises UserError when it is damaged or its settings were others."""
    resume, anew = checkpoint.resume_path(path), command("--train", without=("--resume",))
    saved = checkpoint.read(resume, anew)
    check("optimisers" in saved, f"{resume}: holds weights, not an unfinished training. To start anew: {anew}")
    try:
        then, now = ({**d["provenance"], **d["provenance"]["recipe"], **d} for d in (saved, description))
        keys = {"name", "config", "characters", "seed", "data_sha256", "processes", "calibrate", *asdict(recipe)}
        keys -= {"save_every"}  # the one that changes nothing
        differing = ", ".join(key for key in sorted(keys) if then.get(key) != now[key])
        check(not differing, f"{resume}: was started with another {differing}; --resume goes on with the same")
        model.load_state_dict(saved["model"])
        for optimiser, its in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(its)
        vars(state).update({part.name: saved[part.name] for part in fields(State)})
        description.update({key: saved[key] for key in description})
        if not (state.rows[-1]["step"] <= state.step <= recipe.iters and state.elapsed >= 0 and then["log"]):
            raise ValueError("its numbers contradict each other")
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise UserError(f"{resume}: damaged, or of another version. To start anew: {anew}") from error


def make_way(path, description, args):
    """Choose the name of a new training's log; say what of earlier trainings it sets aside or replaces."""
    log = files.unused(ROOT / "logs" / f"{description['name']}_train_{time.strftime('%Y%m%d_%H%M%S')}.csv")
    description["provenance"]["log"] = log.relative_to(ROOT).as_posix()  # so that a copied folder goes on in its own
    resume = checkpoint.resume_path(path)
    if resume.exists():
        old = files.unused(resume.with_name(f"{resume.name}.old"))
        os.replace(resume, old)
        say(f"{resume}: an unfinished training was here; it is kept as {old.name}")
    if args.weights is None and path.exists():
        say(f"{path}: these weights will be replaced when the training ends; to keep them: --weights my.pt")


def announce(model, state, description, device):
    """Say what is about to happen."""
    size, recipe = sum(p.numel() for p in model.parameters()) / 1e6, description["provenance"]["recipe"]
    steps, log = f"steps {state.step:,} to {recipe['iters']:,}", ROOT / description["provenance"]["log"]
    say(f"training {description['name']}: {size:.2f} M parameters, {steps}, on {device}; log {log}")


def report(state, recipe, description, clock):
    """Write the log, and its last row to the screen."""
    table = io.StringIO()
    writer = csv.DictWriter(table, list(dict.fromkeys(name for row in state.rows for name in row)))
    writer.writeheader()
    writer.writerows(state.rows)
    with files.atomic(ROOT / description["provenance"]["log"]) as file:
        file.write(table.getvalue().encode())
    row, left = state.rows[-1], state.elapsed / max(1, state.step) * (recipe.iters - state.step) / 60
    time_left = f"  {minutes(state, description, clock)}, about {left:.0f} left" if state.step else ""
    losses = f"train {row['train_loss']:.4f}  val {row['val_loss']:.4f}"
    say(f"step {state.step:,}/{recipe.iters:,}  {losses}{time_left}")


def minutes(state, description, clock):
    """How long the training took so far, in words."""
    alone = description["provenance"]["device"] == "cpu" and description["provenance"]["processes"] == 1
    busy = alone and clock.busy()  # a thread that waits for a device or for another process rests
    return f"{state.elapsed / 60:.1f} min" + (" (the machine is busy)" if busy else "")


def finish(path, description, model, state, recipe, measure):
    """Keep the best weights; after a Ctrl-C, say how to go on, and keep them only if the user says so.

    measure: () -> the loss to calibrate them by first; None: do not.
    """
    if state.step == recipe.iters:
        keep_best(path, description, model, state, measure)
        checkpoint.resume_path(path).unlink(missing_ok=True)
        return
    say(f"stopped at step {state.step:,}; go on with: {how_to_resume()}")
    if state.best_model is not None and sys.stdin.isatty():
        say(f"write the best weights so far to {path}? [y/N]")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            keep_best(path, description, model, state, measure)


def keep_best(path, description, model, state, measure):
    """Put the best weights so far in their place."""
    best = {"minutes": round(state.elapsed / 60, 1), "steps": state.step, "val_loss": state.best}
    model.load_state_dict(state.best_model)
    said = f"best val {state.best:.4f}"
    if measure is not None:
        best["temperature"], best["val_loss"] = likelihood.calibrate(model, measure)
        said += f", {best['val_loss']:.4f} with logits divided by {best['temperature']}"
    description["provenance"] |= best
    checkpoint.save(path, model, description)
    say(f"{path}: written; {said}, {state.elapsed / 60:.1f} min")


def how_to_resume():
    """The command that goes on with this training."""
    return command("--train", "--resume", without=("--init",))


class Interrupt:
    """Notes a Ctrl-C and lets the step in progress end; one that comes later than two seconds after it stops at once."""

    def __enter__(self):
        self.first, self.before = None, signal.signal(signal.SIGINT, self.note)
        return self

    @property
    def seen(self):
        return self.first is not None

    def note(self, *_):
        if not self.seen:
            self.first = time.monotonic()
            os.write(
                2, b"\nfinishing this step; another Ctrl-C, after two seconds, stops at once\n"
            )  # print may be busy
        elif time.monotonic() - self.first > 2:  # `uv run` passes on a Ctrl-C that came already
            raise KeyboardInterrupt

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, self.before)


def say(message):
    print(message, file=sys.stderr, flush=True)
