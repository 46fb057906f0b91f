"""The training loop, one for the three methods: optimisers, schedule, evaluation, log, checkpoints, resume.

Everything random at step n follows from the seed and n alone, so that a resumed run sees what an uninterrupted
one would have seen, and several processes together see what one would have, apart from what dropout drops.
"""

import contextlib
import math
import os
import shlex
import signal
import sys
import time
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from lab import checkpoint, files, likelihood, machine
from lab.backbone import Config
from lab.cli import ROOT, UserError, check, check_range, is_heard, say, typed_command, uv_run
from lab.command import canvas_of
from lab.corpus import Corpus, windows
from lab.muon import Muon
from lab.progress import Bar
from lab.sampling import seed_of

WORTH = 300  # steps from which on compiling saves more time than it costs
SHARE = 0.1  # of a short training's time that evaluations take, about


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; stored in its checkpoint."""

    iters: int = 5000  # optimiser steps
    batch_size: int = 8  # windows of text in a step, over all processes
    muon_lr: float = 0.01  # learning rate of the matrices inside the blocks
    adam_lr: float = 0.003  # learning rate of embedding, head and convolutions
    warmup: int = 20  # steps of linear warm-up
    decay: float = 0.6  # share of the steps, at the end, over which the learning rates fall to 0
    eval_every: int = (
        250  # steps between evaluations, at most: a short training measures 20 times, or less for its time
    )
    eval_windows: int = 64  # fixed windows of text in an evaluation, of each split
    save_every: float = 60.0  # seconds between checkpoints of an unfinished training
    compile: bool | None = None  # torch.compile; None = where it is safe and pays: from 300 steps on
    bf16: bool | None = None  # bfloat16 products; None = where they are faster

    def __post_init__(self):
        check_range(self, 1, 10**9, "iters", "eval_every", "eval_windows")
        check_range(self, 1, 10**5, "batch_size")
        check_range(self, 0, math.inf, "warmup", "save_every")
        check_range(self, 0, 10, "muon_lr", "adam_lr")
        check_range(self, 0, 1, "decay")

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
class Run:
    """A training: what is trained, and how far it has come, which lies in its resume file too."""

    path: Path  # where the weights will go
    description: dict  # what the checkpoint says of them
    model: torch.nn.Module
    optimisers: tuple
    recipe: Recipe
    step: int = 0
    elapsed: float = 0.0  # seconds
    best: float = math.inf  # lowest validation loss so far
    best_model: dict | None = None  # the weights that had it
    rows: list = field(default_factory=list)  # of the log
    sums: dict = field(default_factory=dict)  # of what the steps since the last row returned: name -> sum

    SAVED = ("step", "elapsed", "best", "best_model", "rows", "sums")

    @property
    def device(self):
        """Where it is trained now; its provenance says where it began."""
        return next(self.model.parameters()).device

    def is_due(self):
        """Whether the losses of both splits are to be measured now."""
        # an evaluation in steps: a window that is trained on costs three times as much as one that is read
        cost = 2 * self.recipe.eval_windows / (3 * self.recipe.batch_size)
        every = min(self.recipe.eval_every, max(1, self.recipe.iters // 20, int(cost / SHARE)))
        recorded = self.rows and self.rows[-1]["step"] == self.step
        return not recorded and (self.step % every == 0 or self.step == self.recipe.iters)

    def note(self, losses):
        """Count a step and its losses, by name."""
        self.step += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0) + value

    def record(self, train_loss, val_loss):
        """Add a row to the log, with the means since the last one; remember the weights if they are the best so far."""
        check(math.isfinite(val_loss), f"the loss is no number after {self.step} steps: lower --muon-lr or --adam-lr")
        row = {"elapsed_sec": self.elapsed, "train_loss": train_loss, "val_loss": val_loss}
        row |= {name: total / (self.step - self.rows[-1]["step"]) for name, total in self.sums.items()}
        self.rows.append({"step": self.step} | {name: round(float(value), 5) for name, value in row.items()})
        self.sums = {}
        if val_loss < self.best:
            self.best = val_loss
            self.best_model = {key: value.cpu().clone() for key, value in self.model.state_dict().items()}

    def save(self):
        """Write the resume file, between two steps. Raises UserError that says how to go on."""
        state = {"model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers]}
        state |= {key: getattr(self, key) for key in self.SAVED}
        resume = checkpoint.resume_path(self.path)
        try:
            checkpoint.write(resume, self.description | state)
        except UserError as error:
            kept = f". The state saved before it is kept; go on with: {how_to_resume()}" if resume.exists() else ""
            raise UserError(f"{error}{kept}") from error

    def restore(self):
        """Take up what `save` wrote. Raises UserError when it is damaged or its settings were others."""
        resume, mine = checkpoint.resume_path(self.path), self.description
        anew = typed_command("--train", without=("--resume",))
        state = checkpoint.read(resume, anew)
        check("optimisers" in state, f"{resume}: holds weights, not an unfinished training. To start anew: {anew}")
        try:
            then, now = ({**d["provenance"], **d["provenance"]["recipe"], **d} for d in (state, mine))
            keys = {"name", "config", "characters", "seed", "data_sha256", "processes", "calibrate"}
            keys |= mine["provenance"]["recipe"].keys() - {"save_every"}  # the one that changes nothing
            differing = ", ".join(key for key in sorted(keys) if then.get(key) != now[key])
            began = f"{resume}: was started with other settings ({differing}); --resume goes on with the same"
            check(not differing, f"{began}. It was started by: {then['command']}")
            self.model.load_state_dict(state["model"])
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            vars(self).update({key: state[key] for key in self.SAVED}, description={key: state[key] for key in mine})
            moved = {key: now[key] for key in ("device", "processor", "torch", "commit") if then.get(key) != now[key]}
            self.description["provenance"] |= {"resumed_on": moved} if moved else {}
            if not (self.rows[-1]["step"] <= self.step <= self.recipe.iters and self.elapsed >= 0 and then["log"]):
                raise ValueError("its numbers contradict each other")
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise UserError(f"{resume}: damaged, or of another version. To start anew: {anew}") from error


def train(name, Model, loss, args, validate=None):
    """Train method `name` and leave the weights that did best on the validation split in args.weights.

    args: the command's own (see lab/command.py); validate: (model, windows (n, block_size + 1)) -> nats per character (n,),
    by which the weights are chosen; None: the loss.
    Raises UserError, and KeyboardInterrupt after a Ctrl-C, when what was learned so far lies in the resume file.
    """
    recipe, path = args.recipe, args.weights or checkpoint.default_path(name)
    check_files(name, args, path)
    corpus, lock = Corpus(args.data), files.locked(path) if machine.Ranks().is_main else contextlib.nullcontext()
    with torch.random.fork_rng(), machine.Ranks() as ranks, lock:  # the caller's random numbers stay as they are
        device = ranks.join(machine.pick_device(args.device))
        model, description = prepare(name, Model, args, corpus, ranks, device)
        run = Run(path, description, model, optimisers(model, recipe), recipe)
        if args.resume:
            run.restore()
        if ranks.is_main:
            announce(run, args)
        began, length = time.monotonic() - run.elapsed, model.config.block_size + 1
        batch_loss, precision = prepare_loss(run, loss, ranks, device)
        splits = [windows(part, length, most=recipe.eval_windows) for part in (corpus.train, corpus.validation)]
        measure = partial(evaluate, model, validate or partial(loss_of_windows, loss), precision)
        ready, worked = time.monotonic(), time.thread_time()
        with Interrupt() as interrupt, Bar("training", recipe.iters, run.step, "steps") as bar:
            saved, stopped = -math.inf, False
            while True:
                ended = stopped or run.step == recipe.iters
                if ranks.is_main and run.is_due():
                    run.record(*map(measure, splits))
                    report(run, bar, machine.is_busy(time.monotonic() - ready, time.thread_time() - worked))
                if ranks.is_main and (ended or time.monotonic() - saved > recipe.save_every):
                    run.save()
                    saved = time.monotonic()
                if ended:
                    break
                torch.manual_seed(seed_of("dropout", args.seed, run.step, ranks.rank))
                rng = machine.Rng(args.seed, run.step, ranks.rank, ranks.world)
                x = corpus.batch(recipe.batch_size // ranks.world, length, rng).to(device)
                total, parts = advance(batch_loss, run.optimisers, recipe.lr_scale(run.step), x, rng)
                losses = ranks.mean({"batch_total_loss": total, **parts, "stopped": interrupt.seen is not None})
                stopped = losses.pop("stopped") > 0
                run.note(losses)
                run.elapsed = time.monotonic() - began
                bar.show(run.step)
        if ranks.is_main:
            finish(run, partial(measure, splits[1]) if args.calibrate else None)
        if run.step < recipe.iters:
            raise KeyboardInterrupt


def check_files(name, args, path):
    """Raise UserError for files that cannot be replaced or gone on from, before anything is loaded."""
    foreign = f"{path}: holds something other than weights, which a training does not replace; name another file"
    check(not checkpoint.is_foreign(path), foreign)
    if args.init:
        checkpoint.raw(args.init, uv_run(f"{name}.py", "--train", "--weights", args.init))
    if args.resume:
        resume, anew = checkpoint.resume_path(path), typed_command("--train", without=("--resume",))
        finished = f"{path}: its training is finished; to go on from it: {anew} --init {shlex.quote(str(path))}"
        check(resume.exists() or not path.exists(), finished)
        checkpoint.raw(resume, anew)


def prepare(name, Model, args, corpus, ranks, device):
    """A model, random or that of --init, and what its checkpoint will say of it. Raises UserError."""
    config = replace(args.config, vocab_size=len(corpus.alphabet))
    corpus.require(config.block_size + 1)
    opening = corpus.opening(config.block_size if args.data is None else args.prompt_len)
    canvas = canvas_of(replace(args, data=None), corpus.alphabet, opening)  # what cannot be written is refused before
    world, batch = ranks.world, args.recipe.batch_size
    check(batch % world == 0, f"batch_size {batch} cannot be shared equally by {world} processes")
    torch.manual_seed(args.seed)
    model = Model(config).to(device)
    if model.backbone.blocks[0].attn.is_causal:
        canvas.prompt_lengths()  # refuses what cannot be written from left to right
    if args.init:
        other, alphabet, *_ = checkpoint.load(args.init, name, Model, type(config))
        sizes = [size.name for size in fields(Config) if size.name != "dropout"]
        fits = alphabet == corpus.alphabet and all(getattr(other.config, n) == getattr(config, n) for n in sizes)
        check(fits, f"{args.init}: made for another alphabet or other sizes; --init needs the same ones")
        model.load_state_dict(other.state_dict())
    made = {
        "command": typed_command(),
        "recipe": asdict(args.recipe),
        "seed": args.seed,
        "init": args.init and str(args.init),
    }
    made |= {"calibrate": args.calibrate, "data": corpus.path.name, "data_sha256": corpus.sha256}
    made |= {"device": str(device), "processes": world, **machine.versions()}
    return model, checkpoint.describe(name, config, corpus.alphabet, corpus.opening(config.block_size), made)


def prepare_loss(run, loss, ranks, device):
    """The loss of a batch, (x, rng) -> (scalar, parts), in the machine's best number format and compiled; and that format.

    Notes in the provenance what it chose.
    """
    machine.keep_memory()
    model, recipe, made = run.model, run.recipe, run.description["provenance"]
    gains = machine.gains_from_bf16(device) if recipe.bf16 is None else recipe.bf16
    bf16 = made.get("bf16", gains)  # a training ends in the format it began with
    if bf16 != gains and ranks.is_main:
        began, other = ("bfloat16", "float32") if bf16 else ("float32", "bfloat16")
        say(f"goes on in {began}, as it began; a training that begins on this machine takes {other}")
    precision = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    plain = forward = DistributedDataParallel(model) if ranks.world > 1 else model

    def attempt(compiled):
        x = torch.zeros(recipe.batch_size // ranks.world, model.config.block_size + 1, dtype=torch.long, device=device)
        objective(compiled, loss, model.config, precision)(x, machine.Rng(0))[0].backward()
        model.zero_grad()

    pays = recipe.iters >= WORTH and machine.can_compile(device)
    if pays if recipe.compile is None else recipe.compile:
        with Bar("compiling"):
            forward = machine.compile_or_not(plain, attempt)
    made |= {"compiled": forward is not plain, "bf16": bf16}
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
def evaluate(model, validate, precision, split):
    """Mean validation loss of fixed windows, nats per character.

    validate: as in `train`; split: (n, block_size + 1) tokens of the training or the validation split.
    """
    model.eval()
    with precision:
        nats = validate(model, split.to(next(model.parameters()).device)).mean().item()
    model.train()
    return nats


def loss_of_windows(loss, model, windows):
    """A method's loss as a measure of windows, with the same random numbers at every call; for a method without a likelihood."""
    rng = machine.Rng(0)
    return torch.cat([loss(model, x, model.config, rng)[0].expand(len(x)) for x in windows.split(8)])


def announce(run, args):
    """Say what is about to happen; for a new training choose the log's name and set an unfinished one aside."""
    made, resume = run.description["provenance"], checkpoint.resume_path(run.path)
    if not args.resume:
        unfinished = files.destination(resume).exists()
        name = f"{run.description['name']}_train_{time.strftime('%Y%m%d_%H%M%S')}.csv"
        # relative, so that a copied folder goes on in its own logs
        made["log"] = files.unused(ROOT / "logs" / name).relative_to(ROOT).as_posix()
        if unfinished:
            old = files.unused(resume.with_name(f"{resume.name}.old"))
            os.replace(resume, old)
            say(f"{resume}: an unfinished training was here; it is kept as {old.name}")
    if run.path.exists():
        say(f"{run.path}: these weights will be replaced when the training ends; to keep them: --weights my.pt")
    size, steps = sum(p.numel() for p in run.model.parameters()) / 1e6, f"steps {run.step:,} to {run.recipe.iters:,}"
    where = f"on {run.device}; log {ROOT / made['log']}"
    say(f"training {run.description['name']}: {size:.2f} M parameters, {steps}, {where}")


def report(run, bar, busy):
    """Write the log, and its last row to the screen. busy: whether this thread had to wait for others."""
    import pandas  # not at the top: whoever only writes need not wait for it

    made, row = run.description["provenance"], run.rows[-1]
    with files.atomic(ROOT / made["log"]) as file:
        file.write(pandas.DataFrame(run.rows).to_csv(index=False).encode())
    said = f"step {run.step:,}/{run.recipe.iters:,}  train {row['train_loss']:.4f}  val {row['val_loss']:.4f}"
    if run.step:
        said += f"  {', '.join(filter(None, (str(timedelta(seconds=round(run.elapsed))), bar.left())))}"
        alone = run.device.type == "cpu" and made["processes"] == 1  # else this thread waits for others
        said += " (the machine is busy)" if alone and busy else ""
    say(said)


def finish(run, measure):
    """Keep the best weights; after a Ctrl-C, say how to go on, and keep them only if the user says so.

    measure: () -> the loss to calibrate them by first; None: do not.
    """
    if run.step == run.recipe.iters:
        keep_best(run, measure)
        checkpoint.resume_path(run.path).unlink(missing_ok=True)
        return
    say(f"stopped at step {run.step:,}; go on with: {how_to_resume()}")
    if run.best_model is not None and sys.stdin.isatty():
        say(f"write the best weights so far to {run.path}? [y/N]")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            keep_best(run, measure)


def keep_best(run, measure):
    """Put the best weights so far in their place."""
    best = {"minutes": round(run.elapsed / 60, 1), "steps": run.step, "val_loss": run.best}
    run.model.load_state_dict(run.best_model)
    said = f"best val {run.best:.4f}"
    if measure is not None:
        with Bar("calibrating"):
            best["temperature"], best["val_loss"] = likelihood.calibrate(run.model, measure)
        said += f", {best['val_loss']:.4f} with logits divided by {best['temperature']}"
    run.description["provenance"] |= best
    checkpoint.save(run.path, run.model, run.description)
    say(f"{run.path}: written; {said}, {timedelta(seconds=round(run.elapsed))}")


def how_to_resume():
    """The command that goes on with this training."""
    return typed_command("--train", "--resume", without=("--init",))


class Interrupt:
    """Notes a Ctrl-C, or the SIGTERM of a scheduler, and lets the step in progress end.

    One that comes later than two seconds after it stops at once.
    """

    def __enter__(self):
        self.seen = None  # when the first one came
        self.before = {number: signal.signal(number, self.note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def note(self, *_):
        if self.seen is None:
            self.seen = time.monotonic()
            note = b"\nfinishing this step; another Ctrl-C, after two seconds, stops at once\n"
            os.write(2, note * is_heard())  # print may be busy
        elif time.monotonic() - self.seen > 2:  # `uv run` passes on a Ctrl-C that came already
            raise KeyboardInterrupt

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)
