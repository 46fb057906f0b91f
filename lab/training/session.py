"""A training as a command runs it: which weights are best, log, resume file, Ctrl-C, several processes."""

import contextlib
import math
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from lab import files
from lab.cli import ROOT, check, is_heard, say, typed_command
from lab.model import checkpoint, likelihood, machine
from lab.model.corpus import windows
from lab.progress import Bar
from lab.training.trainer import Trainer, train_steps

SHARE = 0.1  # of a short training's time that evaluations take, about


@dataclass
class Session:
    """How far a training has come, and what its files say of it."""

    path: Path  # where the weights will go
    description: dict  # what the checkpoint says of them
    trainer: Trainer
    splits: tuple = ()  # the windows of the training and of the validation split by which it is evaluated
    step: int = 0
    elapsed: float = 0.0  # seconds
    best: float = math.inf  # lowest validation loss so far
    best_model: dict | None = None  # the weights that had it
    rows: list = field(default_factory=list)  # of the log
    sums: Counter = field(default_factory=Counter)  # of what the steps since the last row returned: name -> sum

    SAVED = ("step", "elapsed", "best", "best_model", "rows", "sums")

    @property
    def recipe(self):
        return self.trainer.recipe

    @property
    def is_finished(self):
        return self.step == self.recipe.iters

    def should_evaluate(self):
        """Whether the losses of both splits are to be measured now."""
        # an evaluation in steps: a window that is trained on costs three times as much as one that is read
        cost = 2 * self.recipe.eval_windows / (3 * self.recipe.batch_size)
        every = min(self.recipe.eval_every, max(1, self.recipe.iters // 20, int(cost / SHARE)))
        recorded = self.rows and self.rows[-1]["step"] == self.step
        return not recorded and (self.step % every == 0 or self.is_finished)

    def evaluate(self):
        """Measure both splits, add a row to the log, with the means since the last one; remember the best weights so far."""
        train_loss, val_loss = map(self.trainer.evaluate, self.splits)
        check(math.isfinite(val_loss), f"loss is NaN or infinite after {self.step} steps: lower --muon-lr or --adam-lr")
        row = {"elapsed_sec": self.elapsed, "train_loss": train_loss, "val_loss": val_loss}
        steps = self.step - self.rows[-1]["step"] if self.rows else 0
        row |= {name: total / steps for name, total in self.sums.items()}  # before the first step there are none
        self.rows.append({"step": self.step} | {name: round(float(value), 5) for name, value in row.items()})
        self.sums.clear()
        if val_loss < self.best:
            self.best = val_loss
            weights = self.trainer.model.state_dict()
            self.best_model = {name: value.cpu().clone() for name, value in weights.items()}

    def save(self):
        """Write the resume file, between two steps. Raises UserError."""
        optimisers = [optimiser.state_dict() for optimiser in self.trainer.optimisers]
        state = {"model": self.trainer.model.state_dict(), "optimisers": optimisers}
        state |= {key: getattr(self, key) for key in self.SAVED}
        checkpoint.write(checkpoint.resume_path(self.path), self.description | state)

    def restore(self):
        """Take up what `save` wrote. Raises UserError when it is damaged or its settings were others."""
        resume = checkpoint.resume_path(self.path)
        mine = self.description
        start_anew = typed_command("--train", without=("--resume",))
        state = checkpoint.read(resume, start_anew)
        with checkpoint.damaged(resume, start_anew):
            then, now = ({**d["provenance"], **d["provenance"]["recipe"], **d} for d in (state, mine))
        same = {"name", "config", "characters", "seed", "data_sha256", "processes", "calibrate"}
        same |= now["recipe"].keys() - {"save_every"}  # the one that changes nothing
        differing = ", ".join(key for key in sorted(same) if then.get(key) != now[key])
        needs = f"{resume}: --resume needs the settings that it was started with; others are {differing}"
        check(not differing, f"{needs}. It was started by: {then['command']}")
        with checkpoint.damaged(resume, start_anew):
            self.trainer.model.load_state_dict(state["model"])
            for optimiser, saved in zip(self.trainer.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            self.trainer.bf16 = state["provenance"]["bf16"]  # a training ends in the number format it began with
            vars(self).update({key: state[key] for key in self.SAVED}, description={key: state[key] for key in mine})


def train(method, args, corpus):
    """Train a method and leave the weights that did best on the validation split in args.weights.

    args: the command's own (see lab/command.py). Raises UserError, and KeyboardInterrupt after a Ctrl-C, when what was learned so
    far lies in the resume file.
    """
    path = args.weights or checkpoint.default_path(method.name)
    lock = files.locked(path) if machine.Ranks().is_main else contextlib.nullcontext()
    with torch.random.fork_rng(), machine.Ranks() as ranks, lock:  # the caller's random numbers stay as they are
        session = begin(method, args, path, corpus, ranks)
        run(session, corpus, args.seed)
        if ranks.is_main:
            finish(session)
        if not session.is_finished:
            raise KeyboardInterrupt


def run(session, corpus, seed):
    """Drain the steps of a training: evaluate, log, save, show, until the last step or a Ctrl-C."""
    recipe = session.recipe
    began = time.monotonic() - session.elapsed
    saved = -math.inf
    ranks = session.trainer.ranks
    steps = train_steps(session.trainer, corpus, seed, session.step)
    with Interrupt() as interrupt, Bar("training", recipe.iters, session.step, "steps") as bar:
        bar.work.start_time -= session.elapsed  # that of earlier runs counts
        stopped = False
        while True:
            ended = stopped or session.is_finished
            if ranks.is_main and session.should_evaluate():
                session.evaluate()
                report(session, bar)
            if ranks.is_main and (ended or time.monotonic() - saved > recipe.save_every):
                session.save()
                saved = time.monotonic()
            if ended:
                return
            losses = ranks.mean(next(steps) | {"stopped": interrupt.seen is not None})
            stopped = losses.pop("stopped") > 0
            session.step += 1
            session.sums.update(losses)
            session.elapsed = time.monotonic() - began
            bar.show(session.step)


def begin(method, args, path, corpus, ranks):
    """A training that is about to make its first step, or the next one of a resume file. Raises UserError."""
    device = ranks.join(machine.pick_device(args.device))
    config = replace(args.config, vocab_size=len(corpus.alphabet))
    length = config.block_size + 1
    corpus.require(length)
    batch = args.recipe.batch_size
    check(batch % ranks.world == 0, f"batch_size {batch} cannot be shared equally by {ranks.world} processes")
    torch.manual_seed(args.seed)
    model = method.Model(config).to(device)
    if args.init:
        checkpoint.initialise(model, args.init, method, corpus.alphabet)
    trainer = Trainer(method, model, args.recipe, ranks)
    parts = corpus.train, corpus.validation
    splits = tuple(windows(part, length, most=args.recipe.eval_windows) for part in parts)
    session = Session(path, describe(trainer, args, corpus), trainer, splits)
    if args.resume:
        session.restore()
    if ranks.is_main:
        announce(session, args)
    trainer.compile()
    return session


def describe(trainer, args, corpus):
    """What the checkpoint will say of a training."""
    config = trainer.model.config
    made = {
        "command": typed_command(),
        "recipe": asdict(trainer.recipe),
        "seed": args.seed,
        "init": args.init and str(args.init),
        "calibrate": args.calibrate,
        "data": corpus.path.name,
        "data_sha256": corpus.sha256,
        "device": str(trainer.device),
        "bf16": trainer.bf16,
        "processes": trainer.ranks.world,
    }
    opening = corpus.opening(config.block_size)
    return checkpoint.describe(trainer.method.name, config, corpus.alphabet, opening, made | machine.versions())


def announce(session, args):
    """Say what is about to happen; for a new training choose the log's name and set an unfinished one aside."""
    made = session.description["provenance"]
    resume = checkpoint.resume_path(session.path)
    if not args.resume:
        unfinished = files.destination(resume).exists()
        name = f"{session.description['name']}_train_{time.strftime('%Y%m%d_%H%M%S')}.csv"
        # relative, so that a copied folder goes on in its own logs
        made["log"] = files.create_unique(ROOT / "logs" / name).relative_to(ROOT).as_posix()
        if unfinished:
            old = files.create_unique(resume.with_name(f"{resume.name}.old"))
            os.replace(resume, old)
            say(f"{resume}: an unfinished training was here; it is kept as {old.name}")
    if session.path.exists():
        say(f"{session.path}: these weights will be replaced when the training ends; to keep them: --weights my.pt")
    size = sum(p.numel() for p in session.trainer.model.parameters()) / 1e6
    said = f"training {session.description['name']}: {size:.2f} M parameters, steps {session.step:,} to "
    say(f"{said}{session.recipe.iters:,}, on {session.trainer.device}; log {ROOT / made['log']}")


def report(session, bar):
    """Write the log, and its last row to the screen."""
    import pandas  # not at the top: whoever only writes need not wait for it

    row = session.rows[-1]
    with files.atomic(ROOT / session.description["provenance"]["log"]) as file:
        file.write(pandas.DataFrame(session.rows).to_csv(index=False).encode())
    say(f"{bar.line()}; train {row['train_loss']:.4f}, val {row['val_loss']:.4f}")


def finish(session):
    """Keep the best weights, calibrated or not; after a Ctrl-C, say how to go on, and keep them only if the user says so."""
    if session.is_finished:
        keep_best(session)
        checkpoint.resume_path(session.path).unlink(missing_ok=True)
        return
    say(f"stopped at step {session.step:,}; go on with: {typed_command('--train', '--resume')}")
    if sys.stdin.isatty():
        say(f"write the best weights so far to {session.path}? [y/N]")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            keep_best(session)


def keep_best(session):
    """Put the best weights so far in their place, calibrated on the validation split or not."""
    trainer = session.trainer
    made = session.description["provenance"]
    made |= {"minutes": round(session.elapsed / 60, 1), "steps": session.step, "val_loss": session.best}
    trainer.model.load_state_dict(session.best_model)
    if made["calibrate"]:
        measure = partial(trainer.evaluate, session.splits[1])
        with Bar("calibrating"):
            made["temperature"], made["val_loss"] = likelihood.calibrate(trainer.model, measure)
    checkpoint.save(session.path, trainer.model, session.description)
    calibrated = f", logits divided by {made['temperature']}" if made["calibrate"] else ""
    say(f"{session.path}: written; val {made['val_loss']:.4f}{calibrated}, {made['minutes']} minutes")


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
