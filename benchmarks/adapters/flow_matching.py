"""flow-matching: the Euler solver of a mask path, and its loss; sure: known characters are certain, whatever the network says."""

from functools import partial

import torch
from flow_matching.loss import MixturePathGeneralizedKL
from flow_matching.path import MixtureDiscreteProbPath
from flow_matching.path.scheduler import PolynomialConvexScheduler
from flow_matching.solver import MixtureDiscreteEulerSolver

PATH = MixtureDiscreteProbPath(PolynomialConvexScheduler(n=1.0))


def euler(net, x, n, sure=False):
    solver = MixtureDiscreteEulerSolver(lambda x, t: net(x, sure=sure).softmax(-1), PATH, net.mask + 1)
    return solver.sample(x, step_size=None, time_grid=torch.linspace(0, 1, n + 1))


def generalized_kl(net, x0, sure=False):
    t = torch.rand(len(x0)) * 0.999
    xt = PATH.sample(t=t, x_0=torch.full_like(x0, net.mask), x_1=x0).x_t
    return MixturePathGeneralizedKL(PATH)(net(xt, sure=sure), x0, xt, t)


SAMPLERS = {"Euler": euler, "Euler, sure": partial(euler, sure=True)}
LOSSES = {"generalised KL": generalized_kl, "generalised KL, sure": partial(generalized_kl, sure=True)}
