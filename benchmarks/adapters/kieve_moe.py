"""kieve-moe: the diffusion head on what the network says, passed through."""

import torch
from kieve_moe.diffusion import DiscreteDiffusionHead

ROWS = 1  # the first texts of a batch are filled in first


def made(net):
    head = DiscreteDiffusionHead(net.mask, net.mask + 1)
    head.classifier.weight = torch.nn.Parameter(torch.eye(net.mask + 1))
    return head


SAMPLERS = {"head": lambda net, x, n: made(net).sample(net, x, n)}
LOSSES = {"head": lambda net, x0: made(net).loss(net(x0), x0)}
