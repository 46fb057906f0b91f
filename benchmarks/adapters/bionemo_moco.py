"""bionemo-moco: steps of MDLM and of discrete flow matching, and MDLM's loss."""

from functools import partial

from bionemo.moco.distributions.prior import DiscreteMaskedPrior
from bionemo.moco.distributions.time import UniformTimeDistribution
from bionemo.moco.interpolants import MDLM, DiscreteFlowMatcher
from bionemo.moco.schedules.inference_time_schedules import LinearInferenceSchedule
from bionemo.moco.schedules.noise.continuous_noise_transforms import LogLinearExpNoiseTransform


def made(net, kind=MDLM):
    noise = (LogLinearExpNoiseTransform(),) if kind is MDLM else ()
    return kind(UniformTimeDistribution(), DiscreteMaskedPrior(net.mask + 1), *noise)


def timed(net, x, n, kind, step, direction, **settings):
    schedule = LinearInferenceSchedule(n, direction=direction)
    for t, dt in zip(schedule.generate_schedule(), schedule.discretize(), strict=True):
        x = getattr(made(net, kind), step)(net(x), t.repeat(len(x)), x, dt.repeat(len(x)), **settings)
    return x


def confidence(net, x, n):
    k = -((x == net.mask).sum(1).max().item() // -n)  # characters a step, rounded up
    steps = made(net).get_num_steps_confidence(x, k)
    for i in range(steps):
        x = made(net).step_confidence(net(x), x, i, steps, num_tokens_unmask=k)
    return x


def loss(net, x0):
    t = made(net).sample_time(len(x0))
    xt = made(net).interpolate(x0, t)
    return made(net).loss(net(xt), x0, xt, t).mean()


SAMPLERS = {
    "MDLM": partial(timed, kind=MDLM, step="step", direction="diffusion"),
    "MDLM, temperature .5": partial(timed, kind=MDLM, step="step", direction="diffusion", temperature=0.5),
    "MDLM, confidence": confidence,
    "flow matching, purity": partial(timed, kind=DiscreteFlowMatcher, step="step_purity", direction="unified"),
}
LOSSES = {"MDLM": loss}
