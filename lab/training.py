"""The training loop, one for the three methods: optimisers, schedule, evaluation, log, checkpoints, resume.

Everything random at step n follows from the seed and n alone, so that a resumed run sees what an uninterrupted
one would have seen, and several processes together see what one would have.
"""

import contextlib
import csv
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.nn.parallel import DistributedDataParallel

from lab import checkpoint, machine
from lab.cli import ROOT, UserError, check
from lab.corpus import Corpus, windows

COLUMNS = ("step", "elapsed_sec", "train_loss", "val_loss", "batch_total_loss")


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; stored in its checkpoint."""

    iters: int = 5000  # optimiser steps
    batch_size: int = 8  # windows of text in a step, over all processes
    muon_lr: float = 0.02  # learning rate of the matrices inside the blocks
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


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by Newton-Schulz steps (Jordan 2024, kellerjordan.github.io/posts/muon).

    torch.optim.Muon does the same one matrix at a time in bfloat16, which costs three times as much on a CPU without
    bfloat16 units; here matrices of one shape go through together, in float32.
    """

    def __init__(self, matrices, lr, momentum=0.95):
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            same = {}
            for p in group["params"]:
                if p not in self.state:
                    self.state[p]["momentum"] = torch.zeros_like(p)
                same.setdefault(p.shape, []).append(p)
            for shape, matrices in same.items():
                grads = torch.stack([p.grad for p in matrices])
                past = torch.stack([self.state[p]["momentum"] for p in matrices])
                past.lerp_(grads, 1 - group["momentum"])
                updates = orthogonal(grads.lerp(past, group["momentum"]))  # Nesterov
                scale = max(1, shape[0] / shape[1]) ** 0.5
                for p, new, update in zip(matrices, past, updates, strict=True):
                    self.state[p]["momentum"].copy_(new)
                    p.add_(update, alpha=-group["lr"] * scale)


def orthogonal(x, steps=5):
    """Nearly orthogonal matrices with the row and column spaces of x (n, rows, columns): Newton-Schulz, quintic."""
    if x.size(-2) > x.size(-1):
        return orthogonal(x.mT, steps).mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


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
def evaluate(model, loss, config, held, precision, rows=8):
    """Mean loss over fixed windows with fixed random numbers, the same for every model and step; nats per character.

    held: (n, block_size + 1) tokens.
    """
    model.eval()
    total, rng = 0.0, machine.Rng(0)
    for x in held.split(rows):
        with precision():
            value, _ = loss(model, x, config, rng)
        total += len(x) * value.item()
    model.train()
    return total / len(held)


class Interrupt:
    """Notes a Ctrl-C and lets the step in progress end; a second one stops at once."""

    def __enter__(self):
        self.seen, self.before = False, signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, *_):
        self.seen = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

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


def train(name, Model, loss, args, validate=None):
    """Train method `name` as args say and leave the weights that did best on held-out text in args.weights.

    args: the command's own (see lab/command.py); validate: the loss to choose by when it is not the one trained on. Raises UserError, and KeyboardInterrupt after a Ctrl-C, when what
    was learned so far lies in the resume file.
    """
    ranks = machine.Ranks()
    device = ranks.join(machine.pick_device(args.device))
    try:
        Training(name, Model, loss, validate or loss, args, ranks, device).run()
    finally:
        ranks.leave()


class Training:
    """One training and its state: `run` goes on from wherever the state stands."""

    def __init__(self, name, Model, loss, validate, args, ranks, device):
        self.name, self.loss, self.validate, self.ranks, self.device = name, loss, validate, ranks, device
        self.recipe, self.seed = args.recipe, args.seed
        self.path = args.weights or checkpoint.default_path(name)
        self.resume_path = checkpoint.resume_path(self.path)
        self.corpus = Corpus(args.data)
        self.config = replace(args.config, n_letters=len(self.corpus.alphabet))
        self.length = self.config.block_size + 1
        self.corpus.require(self.length)
        check(
            self.recipe.batch_size % ranks.world == 0,
            f"batch_size {self.recipe.batch_size} cannot be shared equally by {ranks.world} processes",
        )
        torch.manual_seed(self.seed)
        self.model = Model(self.config).to(device)
        self.optimisers = optimisers(self.model, self.recipe)
        self.step, self.elapsed, self.best, self.best_model = 0, 0.0, float("inf"), None
        self.log_path = ROOT / "logs" / f"{name}_train_{time.strftime('%Y%m%d_%H%M%S')}.csv"
        self.description = self.describe(args)
        if args.resume:
            self.restore()
        elif args.init:
            known = checkpoint.load(args.init, name, Model, type(self.config))
            check(
                known[1].letters == self.corpus.alphabet.letters and known[0].config == self.config,
                f"{args.init}: made for another alphabet or other sizes; --init needs the same ones",
            )
            self.model.load_state_dict(known[0].state_dict())
        bf16 = self.recipe.bf16 if self.recipe.bf16 is not None else machine.gains_from_bf16(device)
        self.precision = lambda: torch.autocast(device.type, torch.bfloat16, enabled=bf16)

    def describe(self, args):
        """The checkpoint's account of itself; it does not change while the training runs."""
        provenance = {
            "command": " ".join(["uv run", Path(sys.argv[0]).name, *sys.argv[1:]]),
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "init": str(args.init) if args.init else None,
            "data": self.corpus.path.name,
            "data_sha256": self.corpus.sha256,
            "device": str(self.device),
            "processes": self.ranks.world,
            **checkpoint.versions(),
        }
        opening = self.corpus.opening(self.config.block_size)
        return checkpoint.describe(self.name, self.config, self.corpus.alphabet, opening, provenance)

    def restore(self):
        """Take up the state that an interrupted training left."""
        state = checkpoint.read(self.resume_path, f"{self.name}.py --train")
        same = ("name", "config", "letters")
        differing = [key for key in same if state[key] != self.description[key]]
        then, now = state["provenance"], self.description["provenance"]
        differing += [key for key in ("seed", "data_sha256") if then[key] != now[key]]
        differing += [key for key in asdict(self.recipe) if then["recipe"].get(key) != now["recipe"][key]]
        check(
            not differing,
            f"{self.resume_path}: was started with other settings ({', '.join(differing)}); "
            "--resume goes on with the same ones",
        )
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.elapsed, self.best, self.best_model = (
            state[key] for key in ("step", "elapsed", "best", "best_model")
        )
        self.log_path, self.description = Path(state["log"]), {key: state[key] for key in self.description}

    def save(self):
        """Write the state, between two steps."""
        state = {"model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers]}
        state |= {"step": self.step, "elapsed": self.elapsed, "best": self.best, "best_model": self.best_model}
        checkpoint.write(self.resume_path, {**self.description, **state, "log": str(self.log_path)})

    def run(self):
        """Train to the end."""
        self.parts = [windows(part, self.length, self.recipe.eval_windows).to(self.device) for part in
                      (self.corpus.train, self.corpus.choosing)]
        log = Log(self.log_path, self.step) if self.ranks.is_main else None
        model = DistributedDataParallel(self.model) if self.ranks.world > 1 else self.model
        wants_compile = self.recipe.compile if self.recipe.compile is not None else machine.can_compile(self.device)
        if wants_compile:
            model = torch.compile(model, dynamic=False)  # shapes never change; dynamic ones cost three times as much
        if self.ranks.is_main:
            self.announce(wants_compile)
            self.save()  # now, so that a folder that cannot be written to is not found out after an hour
        began, saved = time.monotonic() - self.elapsed, time.monotonic()
        with Interrupt() as interrupt, self.progress() as show:
            while self.step < self.recipe.iters:
                total, parts = self.advance(model)
                self.elapsed = time.monotonic() - began
                show(total)
                if self.ranks.is_main and (self.step % self.recipe.eval_every == 0 or self.step == self.recipe.iters):
                    log.add(self.measure(total, parts))
                if self.ranks.is_main and (interrupt.seen or time.monotonic() - saved > self.recipe.save_every):
                    self.save()
                    saved = time.monotonic()
                if interrupt.seen:
                    break
        if self.step < self.recipe.iters:
            self.stop_early()
        elif self.ranks.is_main:
            self.finish()

    def advance(self, model):
        """One optimiser step; returns the batch's loss and its parts."""
        rng = machine.Rng(self.seed * 1_000_003 + self.step, self.ranks.rank, self.ranks.world)
        x = self.corpus.batch(self.recipe.batch_size // self.ranks.world, self.length, rng).to(self.device)
        with self.precision():
            total, parts = self.loss(model, x, self.config, rng)
        total.backward()
        if parts:
            grads = [p.grad for p in self.model.parameters() if p.grad is not None]
            parts = parts | {"grad_norm": torch.nn.utils.get_total_norm(grads)}
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["full_lr"] * self.recipe.lr_scale(self.step)
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        return total.detach(), parts

    def measure(self, total, parts):
        """Evaluate, remember the weights if they are the best so far, and return the log's row."""
        train_loss, val_loss = (evaluate(self.model, self.validate, self.config, held, self.precision) for held in self.parts)
        if val_loss < self.best:
            self.best = val_loss
            self.best_model = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
        values = (self.step, self.elapsed, train_loss, val_loss, total.item())
        row = dict(zip(COLUMNS, values, strict=True)) | {k: float(v) for k, v in parts.items()}
        print(
            f"step {self.step:,}/{self.recipe.iters:,}  train {train_loss:.4f}  val {val_loss:.4f}  "
            f"{self.elapsed / 60:.1f} min",
            file=sys.stderr,
            flush=True,
        )
        return {k: v if isinstance(v, int) else round(v, 5) for k, v in row.items()}

    def announce(self, compiled):
        """Say what is about to happen."""
        size = sum(p.numel() for p in self.model.parameters())
        where = f"step {self.step:,} of {self.recipe.iters:,}" if self.step else f"{self.recipe.iters:,} steps"
        print(
            f"training {self.name}: {size / 1e6:.2f} M parameters, {where}, on {self.device}"
            f"{', compiled (the first step takes half a minute)' if compiled else ''}; log {self.log_path}",
            file=sys.stderr,
            flush=True,
        )

    @contextlib.contextmanager
    def progress(self):
        """A bar with loss and time left on a terminal, nothing elsewhere; yields a function of the batch's loss."""
        console = Console(stderr=True)
        columns = (BarColumn(), TextColumn("{task.completed:,}/{task.total:,}  loss {task.fields[loss]:.3f}"))
        columns += (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        if not (self.ranks.is_main and console.is_terminal):
            yield lambda total: None
            return
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=self.recipe.iters, completed=self.step, loss=float("nan"))

            def show(total):
                if self.step % 10 == 0:
                    bar.update(task, completed=self.step, loss=total.item())

            yield show

    def finish(self):
        """Put the best weights in their place."""
        self.description["provenance"] |= {"minutes": round(self.elapsed / 60, 1), "val_loss": self.best, "steps": self.step}
        self.model.load_state_dict(self.best_model)
        checkpoint.save(self.path, self.model, self.description)
        self.resume_path.unlink(missing_ok=True)
        print(f"{self.path}: written; best val {self.best:.4f}, {self.elapsed / 60:.1f} min", file=sys.stderr)

    def stop_early(self):
        """After a Ctrl-C: say how to go on, and keep the weights so far if the user says so."""
        if self.ranks.is_main:
            print(f"\nstopped at step {self.step:,}; go on with: --train --resume", file=sys.stderr)
            if self.best_model is not None and sys.stdin.isatty():
                print(f"write the best weights so far to {self.path}? [y/N] ", end="", file=sys.stderr, flush=True)
                if sys.stdin.readline().strip().lower() in ("y", "yes"):
                    self.model.load_state_dict(self.best_model)
                    checkpoint.save(self.path, self.model, self.description)
        raise KeyboardInterrupt
