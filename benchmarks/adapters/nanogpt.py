"""karpathy/nanoGPT, of which --nanogpt names a checkout: its model, trained by its recipe for a CPU."""

import math
from dataclasses import replace

import torch
from torch import nn

from benchmarks.adapters import Adapted, load_module
from lab.model import machine


def call(model, idx):
    """Logits of all positions; without targets nanoGPT gives the last one's only."""
    return model(idx.contiguous(), idx.contiguous())[0]


def trainings(folder, corpus, config):
    """(method's name, whose, model with our interface, step()) of a fresh training; nothing without a checkout.

    4 layers, 4 heads, 128 wide, 12 windows of 64, AdamW, 100 steps of warm-up, a cosine down to a tenth at step 2,000.
    """
    if folder is None:
        return
    module = load_module(folder / "model.py", "GPT", "GPTConfig")
    config = replace(config, block_size=64)
    sizes = {"n_layer": 4, "n_head": 4, "n_embd": 128, "dropout": 0.0, "bias": False}
    model = module.GPT(module.GPTConfig(block_size=config.block_size, vocab_size=config.vocab_size, **sizes))
    rng = machine.Rng(0)
    optimiser = model.configure_optimizers(weight_decay=0.1, learning_rate=1e-3, betas=(0.9, 0.99), device_type="cpu")

    def lr_scale(step):
        progress = min(1.0, max(0.0, (step - 100) / 1900))
        return min(1.0, (step + 1) / 101) * (0.55 + 0.45 * math.cos(math.pi * progress))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lr_scale)

    def step():
        x = corpus.batch(12, config.block_size + 1, rng)
        optimiser.zero_grad(set_to_none=True)
        _, loss = model(x[:, :-1].contiguous(), x[:, 1:].contiguous())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()

    yield "gpt", "nanoGPT's", Adapted(model, call, config), step
