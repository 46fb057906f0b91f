"""Configurations that benchmarks.frontier compares: each way of writing with its settings and temperatures."""

from dataclasses import dataclass, replace

import numpy as np
import torch

import methods
from benchmarks import origin_flow
from benchmarks.draft_model import DraftModel, NGrams
from lab import cli, machine, trials

SWITCH = {"flow": {}, "flow off": {"flow_until": 1.0}}
STAGED = {  # by thresholds
    "two stages": {"confidence_threshold": 0.95, "draft_threshold": 0.7, "spacing": 0},
    "stages .8 / .6": {"confidence_threshold": 0.8, "draft_threshold": 0.6, "spacing": 0},
    "threshold .85": {"confidence_threshold": 0.85, "spacing": 0},
}


@dataclass(frozen=True)
class Configuration:
    """A way of writing, at several temperatures; slow: one seed only, as it takes many calls."""

    name: str
    engine: trials.Engine
    settings: dict  # of its Decoding
    temps: tuple
    slow: bool = False

    def sets(self):
        """(name, engine, Decoding) for each temperature."""
        decoding = replace(self.engine.method.decoding, **self.settings)
        return [(f"{self.name}, T {temp}", self.engine, replace(decoding, temp=temp)) for temp in self.temps]


def configurations(corpus):
    """All that take part, on the shipped weights."""
    large, small = methods.load("gpt"), methods.load("gpt", cli.ROOT / "weights" / "gpt_1_layer.pt")
    masked, flow = methods.load("diffusion"), methods.load("diffusion_flow")
    origin = methods.load(origin_flow.METHOD, remedy=cli.uv_run("-m", "benchmarks.origin_flow", "--train"))
    if machine.can_compile(torch.device("cpu")):
        torch._dynamo.config.recompile_limit = 64  # two GPTs, with and without a cache: beyond it they are not compiled
        large, small = map(
            compiled, (large, small)
        )  # a cached call is longer than the one before: its length stays open
        masked, flow, origin = (compiled(engine, dynamic=False) for engine in (masked, flow, origin))
    drafting = DraftModel(NGrams(np.asarray(corpus.train), len(corpus.alphabet), order=6).start, drafts=4)
    drafted = large.sampled_by(drafting.generate)
    calibrated, low = (0.2, 0.3, 0.45, 0.6, 0.8, 1.0), (0.25, 0.35, 0.5, 0.65, 0.85, 1.0)
    slow, high, off = (0.35, 0.5, 0.65, 0.9), (0.3, 0.4, 0.6, 0.8, 1.0, 1.1), SWITCH["flow off"]
    return [
        Configuration("GPT", large, {}, calibrated),
        Configuration("GPT, draft model", drafted, {}, calibrated, slow=True),
        Configuration("1-layer GPT", small, {}, high),
        *(Configuration(f"diffusion, spacing {n}", masked, {"spacing": n}, low) for n in (2, 3, 5, 8)),
        *(Configuration(f"diffusion, {n} ancestral steps", masked, {"steps": n}, low) for n in (10, 30)),
        Configuration("diffusion, 100 ancestral steps", masked, {"steps": 100}, low, slow=True),
        *(
            Configuration(f"diffusion, {name}", masked, STAGED[name], slow, slow=True)
            for name in ("threshold .85", "two stages")
        ),
        Configuration("the origin's one stage", masked, STAGED["threshold .85"] | {"top_k": 2}, (0.8,), slow=True),
        *(Configuration(f"flow, spacing {n}", flow, {"spacing": n}, low) for n in (3, 8)),
        *(Configuration(f"flow off, spacing {n}", flow, {"spacing": n} | off, low) for n in (3, 8)),
        *guided(flow, origin, slow, low),
    ]


def compiled(engine, **how):
    """A engine whose forward passes are compiled."""
    return replace(engine, model=torch.compile(engine.model, **how))


def eager(engine):
    """The same engine as it is without that."""
    return replace(engine, model=getattr(engine.model, "_orig_mod", engine.model))


def guided(flow, origin, slow, low):
    """Ways of unmasking with the flow and with it off, of this project's flow and of the origin's."""
    until, stages = {"flow_until": 0.1}, STAGED["two stages"]
    for how, settings in STAGED.items():
        for who, more in SWITCH.items():
            yield Configuration(f"{who}, {how}", flow, settings | more, slow, slow=True)
    yield Configuration("flow until .1, two stages", flow, stages | until, slow, slow=True)
    for who, more in SWITCH.items():
        yield Configuration(f"the origin's {who}, spacing 8", origin, {"spacing": 8} | more, low)
    for who, more in SWITCH.items():
        yield Configuration(f"the origin's {who}, two stages", origin, stages | more, slow, slow=True)
