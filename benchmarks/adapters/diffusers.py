"""diffusers: schedulers of masked tokens."""

import torch
from diffusers import AmusedScheduler, BlockRefinementScheduler, EntropyBoundScheduler


def refine(net, x, n):
    scheduler = BlockRefinementScheduler()
    scheduler.set_timesteps(n, block_length=int((x[0] == net.mask).sum()))
    for t in range(n):
        x = scheduler.step(net(x), t, x, mask_token_id=net.mask, temperature=1.0).prev_sample
    return x


def amused(net, x, n):
    scheduler = AmusedScheduler(net.mask)
    scheduler.set_timesteps(n)
    share = (x[0] == net.mask).float().mean()
    for t in scheduler.timesteps:
        x = scheduler.step(net(x), t, x, starting_mask_ratio=share).prev_sample
    return x


def entropy_bound(net, x, n):
    scheduler = EntropyBoundScheduler(t_max=1.0, t_min=1.0, num_inference_steps=n)
    for t in range(n):  # where it puts random symbols, this network's noise is the mask
        step = scheduler.step(net(x, sure=True), t, x)
        x = torch.where(step.accepted_index, step.sampled_tokens, net.mask)
    return x


SAMPLERS = {"BlockRefinement": refine, "Amused": amused, "EntropyBound, masks as noise": entropy_bound}
