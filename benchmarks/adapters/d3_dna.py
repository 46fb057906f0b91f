"""d3-dna: the analytic sampler and the score entropy of SEDD, given the score that the network's probabilities make."""

import torch
from d3_dna.models.diffusion import Absorbing, GeometricNoise, get_pc_sampler
from d3_dna.modules.trainer import get_loss_fn

NOISE = GeometricNoise(1e-4, 20)  # SEDD's range; the package's own ends at 1, where two fifths are not yet masked


class Score(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, labels, train, sigma):
        return (self.net(x).log_softmax(-1) - sigma.expm1().log()[:, None, None]).scatter(-1, x[..., None], 0)


def analytic(net, x, n):
    def keep(drawn):
        return torch.where(x == net.mask, drawn, x)

    return keep(get_pc_sampler(Absorbing(net.mask), NOISE, x.shape, "analytic", n - 1, proj_fun=keep)(Score(net), None))


def loss(net, x0):
    return get_loss_fn(NOISE, Absorbing(net.mask), train=True)(Score(net), x0).mean()


SAMPLERS = {"SEDD, analytic": analytic}
LOSSES = {"score entropy": loss}
