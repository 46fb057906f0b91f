"""JayCheng113/tiny-diffusion, of which --path names a checkout: its own code, run with its own settings; nothing of it is here."""

from dataclasses import replace
from functools import partial

import torch

from benchmarks.adapters import load_module
from benchmarks.timing import stepper, timed
from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab.decoding.canvas import Canvas
from lab.measuring import trials
from lab.model import machine

USED = ("Model", "device", "generate", "get_batch", "batch_size", "learning_rate", "n_embd", "n_head")


def load(folder):
    """The modules of a checkout, by method; none without a checkout."""
    return {method: load_module(folder / f"{method.name}.py", *USED) for method in (gpt, diffusion) if folder}


def training(module):
    """A fresh training -> (model, a function that takes a step)."""
    model = module.Model().to(module.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=module.learning_rate)

    def step():
        _, loss = model(*module.get_batch("train"))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    return model, step


def compared(origin, args, corpus, device):
    """Rows of benchmarks.speed, at the origin's sizes: GPT's writing, and a training step of each method."""
    for method, module in origin.items():
        sizes = {"vocab_size": len(corpus.alphabet), "n_embd": module.n_embd, "n_head": module.n_head}
        config = replace(method.config, **sizes)
        other, their_step = training(module)
        if method is gpt:
            model = gpt.Model(config).to(device).eval()
            torch.nn.init.normal_(model.lm_head.weight, std=0.02)
            engine = trials.Engine(gpt, model, corpus.alphabet, "")
            canvas = Canvas.after(torch.zeros(16, dtype=torch.long), args.chars)
            ours = partial(trials.run, engine, trials.Trial(canvas, gpt.decoding, (0,)))
            theirs = partial(module.generate, other, max_new_tokens=args.chars)
            yield timed("GPT writing, 1,000 characters", "seconds", ours, theirs, args.chars / 1000, args.rounds)
        windows = module.batch_size // (1 if method is gpt else 2)  # ours reads each window twice, complemented
        for bf16 in (True, False) if machine.bf16_is_faster(device) else (False,):
            what = f"{method.name}, one training step of {module.batch_size} x 256, ours in "
            step = stepper(method, corpus, config, windows, device, bf16=bf16)
            yield timed(what + ("bfloat16" if bf16 else "float32"), "seconds", step, their_step, 1, args.rounds)
