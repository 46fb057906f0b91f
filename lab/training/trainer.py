"""Training: recipe, optimisers, steps, evaluation.

`train_steps` yields after each optimiser step, as a sampler does after each pass.
Everything random at step n follows from the seed and n alone, so that a resumed run sees what an uninterrupted
one would have seen, and several processes together see what one would have, apart from what dropout drops.
"""

import logging
import math
from dataclasses import dataclass

import torch
from torch.nn.parallel import DistributedDataParallel

from lab.cli import check_range, say
from lab.decoding.sampling import seed_of
from lab.model import machine
from lab.progress import Bar
from lab.training.muon import Muon

WORTH = 300  # steps from which on compiling saves more time than it costs


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; stored in its checkpoint."""

    iters: int = 5000  # optimiser steps
    batch_size: int = 8  # windows of text in a step, over all processes
    muon_lr: float = 0.01  # learning rate of the matrices inside the blocks
    adam_lr: float = 0.003  # learning rate of embedding, head and convolutions
    warmup: int = 20  # steps of linear warm-up
    decay: float = 0.6  # share of the steps, at the end, over which the learning rates fall to 0
    # steps between evaluations, at most: a short training measures 20 times, or less for its time
    eval_every: int = 250
    eval_windows: int = 64  # fixed windows of text in an evaluation, of each split
    save_every: float = 60.0  # seconds between checkpoints of an unfinished training
    compile: bool | None = None  # torch.compile; None = where it is safe and pays: from 300 steps on
    bf16: bool | None = None  # bfloat16 products; None = where they are faster

    def __post_init__(self):
        check_range(self, 1, 10**9, "iters", "eval_every", "eval_windows", "batch_size")
        check_range(self, 0, math.inf, "warmup", "save_every")
        check_range(self, 0, 10, "muon_lr", "adam_lr")
        check_range(self, 0, 1, "decay")

    def lr_scale(self, step):
        """Factor on the learning rates: linear warm-up, constant, linear decay to 0."""
        left = (self.iters - step) / max(1, self.decay * self.iters)
        return min(1.0, (step + 1) / max(1, self.warmup), left)


def make_optimisers(model, recipe):
    """Muon for the matrices inside the blocks, AdamW for the rest."""
    matrices = [p for p in model.backbone.parameters() if p.ndim == 2]
    inside = {*matrices}
    rest = [p for p in model.parameters() if p not in inside]
    return [
        Muon(matrices, lr=recipe.muon_lr),
        torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def train_steps(trainer, corpus, seed, start):
    """Train a model: yields the losses of each optimiser step, by name.

    trainer: a Trainer; start: how many steps are made already. The first loss is the one that is minimised; a method whose
    loss has parts gets these and the norm of the gradient too.
    """
    recipe = trainer.recipe
    length = trainer.model.config.block_size + 1
    ranks = trainer.ranks
    for step in range(start, recipe.iters):
        torch.manual_seed(seed_of("dropout", seed, step, ranks.rank))
        rng = machine.Rng(seed, step, ranks.rank, ranks.world)
        x = corpus.batch(recipe.batch_size // ranks.world, length, rng).to(trainer.device)
        loss, parts = trainer.loss(x, rng)
        loss.backward()
        if parts:
            grads = [p.grad for p in trainer.model.parameters() if p.grad is not None]
            parts = parts | {"grad_norm": torch.nn.utils.get_total_norm(grads)}
        scale = recipe.lr_scale(step)
        for optimiser in trainer.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = optimiser.defaults["lr"] * scale
            optimiser.step()
            optimiser.zero_grad()
        yield {"batch_total_loss": loss.detach(), **parts}


class Trainer:
    """What the steps of a training share: model, optimisers, and the loss in the machine's best number format."""

    def __init__(self, method, model, recipe, ranks):
        """ranks: the machine.Ranks that train together."""
        machine.tune_malloc()
        self.method = method
        self.model = model
        self.recipe = recipe
        self.ranks = ranks
        self.optimisers = make_optimisers(model, recipe)
        self.device = next(model.parameters()).device
        self.forward = DistributedDataParallel(model) if ranks.world > 1 else model
        self.bf16 = machine.bf16_is_faster(self.device) if recipe.bf16 is None else recipe.bf16

    @property
    def precision(self):
        """A context in which matrix products are in bfloat16 or, where that is off, in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def compile(self):
        """Compile the network where that pays, by a step that changes no weights; or say why it does not work."""
        pays = self.recipe.iters >= WORTH and machine.can_compile(self.device)
        if not (pays if self.recipe.compile is None else self.recipe.compile):
            return
        from torch._dynamo.exc import BackendCompilerFailed  # not at the top: it takes seconds

        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns that there is no CUDA
        plain = self.forward
        shape = (self.recipe.batch_size // self.ranks.world, self.model.config.block_size + 1)
        with Bar("compiling"):
            try:
                self.forward = torch.compile(plain, dynamic=False)  # dynamic shapes cost three times as much
                self.loss(torch.zeros(shape, dtype=torch.long, device=self.device), machine.Rng(0))[0].backward()
            except BackendCompilerFailed as error:
                reason = str(error).partition("\n")[0]
                say(f"training goes on uncompiled ({reason}); to skip the attempt: --compile False")
                self.forward = plain
        self.model.zero_grad()

    def loss(self, x, rng):
        """The method's loss of windows x (B, block_size + 1) -> (scalar, parts)."""
        with self.precision:
            return self.method.loss(self.forward, x, self.model.config, rng)

    @torch.no_grad()
    def evaluate(self, windows):
        """Mean nats per character of windows (n, block_size + 1), by which the method chooses weights."""
        self.model.eval()
        with self.precision:
            nats = self.method.nll(self.model, windows.to(self.device)).mean().item()
        self.model.train()
        return nats
