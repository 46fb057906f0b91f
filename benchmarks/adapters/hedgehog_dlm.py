"""hedgehog-dlm: the one of its samplers that runs to its end, and the loss of MDLM."""

import torch
from hedgehog.diffusion import create_diffusion
from hedgehog.samplers import create_sampler

ROWS = 1  # texts that it writes together: two end in an error


def cached(net, x, n):
    sampler = create_sampler("ddpm_cache", create_diffusion("mdlm", net.mask + 1, n), net, net.mask)
    return sampler.sample(*x.shape, x.device)


def loss(net, x0):
    diffusion = create_diffusion("mdlm", net.mask + 1)
    return diffusion.compute_loss(net, x0, torch.randint(0, diffusion.num_timesteps, (len(x0),)), net.mask)


SAMPLERS = {"DDPM, cached": cached}
LOSSES = {"MDLM": loss}
