"""dllm-reason: MDLM, SEDD and D3PM, with our network for their backbone; two loops that sample."""

from functools import partial

from dllm_reason.inference.sampler import DiffusionSampler, SamplingConfig
from dllm_reason.models.d3pm import D3PM
from dllm_reason.models.mdlm import MDLM
from dllm_reason.models.sedd import SEDD
from dllm_reason.scheduler.confidence_scheduler import ConfidenceScheduler
from dllm_reason.scheduler.maskgit_scheduler import MaskGITCosineScheduler


def made(net, length, kind=MDLM):
    model = kind(net.mask, length, dim=8, num_layers=1, num_heads=1)
    model.backbone = net
    return model


def sample(net, x, n, scheduler=ConfidenceScheduler):
    model = made(net, x.size(1))
    return model.sample(scheduler(), len(x), x.size(1), prompt_ids=x, prompt_mask=x != net.mask, num_steps=n)


def blockwise(net, x, n):
    new = int((x[0] == net.mask).sum())
    config = SamplingConfig(num_steps=n, block_length=new, temperature=1.0, show_progress=False)
    return DiffusionSampler(made(net, x.size(1)), ConfidenceScheduler(), config).sample(x, x != net.mask, new).sequences


SAMPLERS = {
    "sample(), confidence": sample,
    "sample(), MaskGIT": partial(sample, scheduler=MaskGITCosineScheduler),
    "DiffusionSampler": blockwise,
}
LOSSES = {
    kind.__name__: lambda net, x0, kind=kind: made(net, x0.size(1), kind).compute_loss(x0)
    for kind in (MDLM, SEDD, D3PM)
}
