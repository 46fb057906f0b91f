"""telos-ml: the MDLM sampler and loss."""

from functools import partial

import torch
from telos.diffusion.mdlm import apply_masking, mdlm_loss
from telos.diffusion.sampler import MDLMSampler

ROWS = 1  # texts that it writes together


def sample(net, x, n, penalty=1.0):
    sampler = MDLMSampler(net, net.mask, num_steps=n, repetition_penalty=penalty)
    return sampler.sample(x.size(1), prompt_ids=x[x != net.mask][None])


def loss(net, x0, special=True):
    xt, masked, t = apply_masking(
        x0, mask_token_id=net.mask, special_token_lut=None if special else torch.zeros(net.mask).bool()
    )
    return mdlm_loss(net(xt), x0, masked, t)[0]


SAMPLERS = {"MDLM": sample, "MDLM as it comes": partial(sample, penalty=1.2)}
LOSSES = {"MDLM as it comes": loss, "MDLM, no special ids": partial(loss, special=False)}
