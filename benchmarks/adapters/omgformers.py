"""omgformers: the parallel decoder and the loss of its schedule."""

from functools import partial

import torch
from omgformers.diffusion import MaskScheduler, ParallelDecoder

from benchmarks.adapters import HuggingFace


def made(net, schedule):
    return MaskScheduler(
        schedule=schedule, mask_token_id=net.mask, pad_token_id=-1, vocab_size=net.mask, random_token_prob=0.0
    )


def sample(net, x, n, schedule="cosine"):
    new = int((x[0] == net.mask).sum())
    return ParallelDecoder(HuggingFace(net), made(net, schedule)).generate(x[:, : x.size(1) - new], new, n)


def loss(net, x0):
    xt, masked = made(net, "cosine").corrupt_batch(x0, torch.randint(1, 11, (len(x0),)), 10)
    return made(net, "cosine").compute_loss(net(xt), x0, masked)


SAMPLERS = {"cosine": sample, "linear": partial(sample, schedule="linear")}
LOSSES = {"cosine": loss}
