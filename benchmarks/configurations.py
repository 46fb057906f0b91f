"""Who takes part in benchmarks.frontier: each way of writing with its settings and temperatures.

The last two are controls, the flow with one part changed: what do its noise, and the place of its evidence, do?
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

import diffusion_flow
import methods
from benchmarks.draft_model import DraftModel, NGrams
from lab import cli, machine, trials

SPACED = "diffusion, spacing 5"  # what the others are compared with
CONTROLS = ("flow, spacing 5, no noise", "flow, spacing 5, evidence shuffled")  # in the table only
STAGES = {"confidence_threshold": 0.95, "draft_threshold": 0.7, "spacing": 0}
ONE_STAGE = {"confidence_threshold": 0.85, "spacing": 0}


@dataclass(frozen=True)
class Configuration:
    """A way of writing, at several temperatures; slow: a call for nearly every character, so one seed only."""

    name: str
    writer: trials.Writer
    settings: dict  # of its Decoding
    temps: tuple
    slow: bool = False

    def sets(self):
        """(name, writer, Decoding) for each temperature."""
        decoding = replace(methods.METHODS[self.writer.name].Decoding(), **self.settings)
        return [(f"{self.name}, T {temp}", self.writer, replace(decoding, temp=temp)) for temp in self.temps]


def configurations(corpus):
    """All that take part, on the shipped weights."""
    large, small = methods.load("gpt"), methods.load("gpt", cli.ROOT / "weights" / "gpt_1_layer.pt")
    masked, flow = methods.load("diffusion"), methods.load("diffusion_flow")
    if machine.can_compile(torch.device("cpu")):
        torch._dynamo.config.recompile_limit = 64  # two GPTs, with and without a cache: beyond it they are not compiled
        for writer in (large, small):
            writer.model.compile()  # a cached call is longer than the one before: its length stays open
        for writer in (masked, flow):
            writer.model.compile(dynamic=False)
    drafting = DraftModel(NGrams(np.asarray(corpus.train), len(corpus.alphabet)).start, drafts=8)
    drafted = replace(large, generate=drafting.generate)
    calibrated, low = (0.2, 0.3, 0.45, 0.6, 0.8, 1.0), (0.15, 0.25, 0.35, 0.5, 0.65, 0.85, 1.0)
    slow, high, off = (0.2, 0.35, 0.5, 0.65), (0.3, 0.4, 0.6, 0.8, 1.0, 1.1), {"flow_until": 1.0}
    spaced = [(f"diffusion, spacing {n}", masked, n, {}) for n in (2, 3, 5, 8)]
    spaced += [(f"flow, spacing {n}", flow, n, {}) for n in (3, 5)]
    spaced += [(f"flow, spacing 3, steps of {n}".replace("0.", "."), flow, 3, {"flow_step": n}) for n in (0.3, 1)]
    spaced += [(f"flow off, spacing {n}", flow, n, off) for n in (3, 5)]
    for name, changed in zip(CONTROLS, (noiseless, shuffled), strict=True):
        spaced.append((name, replace(flow, generate=partial(diffusion_flow.generate, flow=changed)), 5, {}))
    return [
        Configuration("GPT", large, {}, calibrated),
        Configuration("GPT, draft model", drafted, {}, calibrated, slow=True),
        Configuration("1-layer GPT", small, {}, high),
        *(Configuration(name, writer, {"spacing": n} | more, low) for name, writer, n, more in spaced),
        *(Configuration(f"diffusion, {n} ancestral steps", masked, {"steps": n}, low) for n in (10, 30, 100)),
        Configuration("diffusion, threshold .85", masked, ONE_STAGE, slow, slow=True),
        Configuration("diffusion, two stages", masked, STAGES, slow, slow=True),
        Configuration("the origin's one stage", masked, ONE_STAGE | {"top_k": 2}, (0.8,), slow=True),
    ]


def shuffled(probs, evidence, snr, guided, decoding, rngs):
    """A step of the flow, after which the evidence is dealt out anew among the positions that carry some."""
    evidence, snr = diffusion_flow.advance_evidence(probs, evidence, snr, guided, decoding, rngs)
    order = torch.arange(guided.size(1)).repeat(len(guided), 1)
    for b in guided.any(1).nonzero().flatten().tolist():
        (at,) = guided[b].nonzero(as_tuple=True)
        order[b, at] = at[torch.randperm(len(at), generator=rngs[b])]
    return evidence.gather(1, order[..., None].expand_as(evidence)), snr.gather(1, order)


def noiseless(probs, evidence, snr, guided, decoding, rngs):
    """A step of the flow towards the mean of the characters: evidence that is neither drawn nor noisy."""
    _, after = diffusion_flow.advance_evidence(probs, evidence, snr, guided, decoding, rngs)
    return (evidence + (after - snr)[..., None] * probs) * guided[..., None], after
