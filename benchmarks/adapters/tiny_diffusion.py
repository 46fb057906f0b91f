"""This project's own samplers and losses, at temperature 1."""

import torch
from torch.nn import functional as F

import diffusion
from lab.decoding import sampling, unmasking
from lab.decoding.canvas import Canvas
from lab.model import likelihood
from lab.model.machine import Rng


def ours(net, x, n, **settings):
    decoding = diffusion.Decoding(temp=1, cool_to=1, steps=n, target_chunk_len=x.size(1), **settings)
    rngs = [sampling.generator(i) for i in range(len(x))]
    return list(diffusion.generate(net, Canvas(x, x == net.mask), decoding, rngs))[-1].idx


def budget(net, x, n):
    while (x == net.mask).any():
        probs = sampling.probabilities(net(x), temp=1)
        chosen = unmasking.within_budget(probs, x == net.mask, nats=1)
        x = torch.where(chosen, torch.distributions.Categorical(probs).sample(), x)
    return x


SAMPLERS = {  # all but the first make as many passes as they need
    "ancestral": ours,
    "spacing 8": lambda net, x, n: ours(net, x, 0, spacing=8),
    "threshold .85": lambda net, x, n: ours(net, x, 0, confidence_threshold=0.85, spacing=0),
    "entropy budget 1": budget,
}
LOSSES = {
    "training loss": lambda net, x0: diffusion.loss(net, F.pad(x0, (0, 1)), net.config, Rng(0))[0],
    "bound": lambda net, x0: likelihood.nelbo.__wrapped__(net, F.pad(x0, (0, 1)), repeats=1).mean(),  # with gradients
}
