"""Configurations that benchmarks.frontier compares: each way of writing with its settings and temperatures, and the pairs."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

import methods
from benchmarks import draft_model
from benchmarks.adapters import origin_flow
from benchmarks.draft_model import NGrams
from lab import cli
from lab.cli import check
from lab.measuring import trials
from lab.model import machine

GPT_TEMPS = (0.2, 0.3, 0.45, 0.6, 0.8, 1.0)  # of streams, too
MASKED_TEMPS = (0.25, 0.35, 0.5, 0.65, 0.85, 1.0)
THRESHOLD_TEMPS = (0.35, 0.5, 0.65, 0.9)
COOLED_TEMPS = (0.4, 0.65, 0.9, 1.1, 1.3, 1.5, 1.8)
SWITCH = {"flow": {}, "flow off": {"flow_until": 1.0}}
CONSTANT = {"cool_to": 1.0}  # the temperature stays
STAGED = {  # by thresholds
    "two stages": {"confidence_threshold": 0.95, "draft_threshold": 0.7, "spacing": 0, **CONSTANT},
    "threshold .85": {"confidence_threshold": 0.85, "spacing": 0, **CONSTANT},
}
SPACED = "diffusion, spacing 8"
COOLED = "diffusion, spacing 8, cooled"
STREAMS = ("2 streams", "4 streams", "8 streams")
ONE_LAYER = ("2 streams, 1 layer", "4 streams, 1 layer")
DRAFTED = {  # streams, and characters proposed for each: more streams draw a longer pass out already
    "2 streams, draft model": (2, 8),
    "4 streams, draft model": (4, 4),
    "8 streams, draft model": (8, 4),
    "2 streams, 1 layer, draft model": (2, 8),
    "4 streams, 1 layer, draft model": (4, 4),
}
FAMILIES = {  # of the configurations, by what their names contain: a table and its plots for each
    "streams": "GPT|streams|cooled|^diffusion, spacing 8$",
    "masked": "^(?!.*(streams|cooled))",  # all others, beside the GPTs
}
PAIRS = {  # configuration -> those that are compared with it
    "GPT": (SPACED, COOLED, "GPT, draft model", "1-layer GPT", *STREAMS, *DRAFTED),
    "1-layer GPT": ("1-layer GPT, draft model", *STREAMS, *ONE_LAYER, f"{COOLED}, revise 3"),
    "1-layer GPT, draft model": (*DRAFTED,),
    "2 streams": ("2 streams, draft model",),
    "4 streams": ("4 streams, draft model", "4 streams, untrained", f"{COOLED}, revise 3"),
    "8 streams": ("8 streams, draft model",),
    COOLED: (
        "4 streams",
        "8 streams",
        "8 streams, draft model",
        "16 streams",
        "flow, spacing 8, cooled",
        f"{COOLED}, revise 1",
        f"{COOLED}, revise 3",
    ),
    SPACED: (
        COOLED,
        "diffusion, spacing 3",
        "diffusion, spacing 5",
        "diffusion, threshold .85",
        "diffusion, two stages",
        "flow off, spacing 8",
        "flow, spacing 8",
    ),
    "flow off, spacing 8": ("flow, spacing 8",),
    "flow off, spacing 8, cooled": ("flow, spacing 8, cooled",),
    "flow off, two stages": ("flow, two stages", "flow until .1, two stages"),
    "flow off, threshold .85": ("flow, threshold .85",),
    "the origin's flow off, spacing 8": ("the origin's flow, spacing 8",),
    "the origin's flow off, two stages": ("the origin's flow, two stages",),
}


def middle(entropies):
    """The entropy at which costs are compared, and plots drawn."""
    return sorted(entropies)[len(entropies) // 2]


@dataclass(frozen=True)
class Configuration:
    """A way of writing, at several temperatures; single_seed: one seed only, as it takes many forward passes."""

    name: str
    engine: trials.Engine
    settings: dict  # of its Decoding
    temps: tuple
    single_seed: bool = False

    def variants(self):
        """(name, engine, Decoding) for each temperature."""
        decoding = replace(self.engine.method.decoding, **self.settings)
        return [(f"{self.name}, T {temp}", self.engine, replace(decoding, temp=temp)) for temp in self.temps]


def untrained(streams, gpt):
    """Streams by GPT's weights as they are: it has never written two places at once."""
    torch.manual_seed(0)  # of the mask's embedding
    model = streams.method.Model(streams.model.config)
    own = model.state_dict()  # the model's own tensors
    for name, weights in eager(gpt).model.state_dict().items():
        first = tuple(map(slice, weights.shape))  # GPT has an embedding fewer, and a narrower convolution
        own[name][first] = weights
    return replace(streams, model=model.eval(), weights=gpt.weights)


def compiled(engine):
    """An engine whose forward passes are compiled, where that is safe."""
    if not machine.can_compile(torch.device("cpu")):
        return engine
    torch._dynamo.config.recompile_limit = 64  # several GPTs, with and without a cache: beyond it they are not compiled
    dynamic = False if engine.method.is_masked else None  # a cached pass is longer than the one before
    return replace(engine, model=torch.compile(engine.model, dynamic=dynamic))


def eager(engine):
    """The same engine as it is without that."""
    return replace(engine, model=getattr(engine.model, "_orig_mod", engine.model))


def of_weights(paths, compile):
    """Weights of your own by the names of their files, each as its method writes by default; compiled or not.

    Raises UserError where two files have one name.
    """
    names = [path.stem for path in paths]
    check(len({*names}) == len(names), f"--weights: the names of the files tell them apart, {names} do not")
    for path in paths:
        engine = methods.load(path=path)
        temps = COOLED_TEMPS if engine.method.is_masked else GPT_TEMPS
        yield Configuration(path.stem, compiled(engine) if compile else engine, {}, temps)


def spaced(name, engine, spacing, **flow):
    """A masked model with spacing, at temperatures that stay; flow: settings of that."""
    return Configuration(f"{name}, spacing {spacing}", engine, {"spacing": spacing} | CONSTANT | flow, MASKED_TEMPS)


def staged(name, engine, how, **flow):
    """The same by thresholds; how: of STAGED."""
    return Configuration(f"{name}, {how}", engine, STAGED[how] | flow, THRESHOLD_TEMPS, single_seed=True)


def configurations(corpus):
    """All that are compared, on the shipped weights."""
    names = "gpt", "streams", "diffusion", "diffusion_flow", origin_flow.METHOD
    hint = cli.uv_run("-m", "benchmarks.adapters.origin_flow", "--train")
    gpt, streams, masked, flow, origin = [compiled(methods.load(name, hint=hint)) for name in names]
    small = [methods.load(path=cli.ROOT / "weights" / f"{name}_1_layer.pt") for name in ("gpt", "streams")]
    small_gpt, small_streams = map(compiled, small)
    ngrams = NGrams(np.asarray(corpus.train), len(corpus.alphabet), order=6)
    with_drafts = partial(draft_model.generate, ngrams=ngrams, drafts=8)
    for name, engine in (("GPT", gpt), ("1-layer GPT", small_gpt)):
        yield Configuration(name, engine, {}, GPT_TEMPS)
        yield Configuration(f"{name}, draft model", engine.sampled_by(with_drafts), {}, GPT_TEMPS)
    for n in (2, 3, 5, 8):
        yield spaced("diffusion", masked, n)
    for n in (10, 30, 100):
        steps = {"steps": n} | CONSTANT
        yield Configuration(f"diffusion, {n} ancestral steps", masked, steps, MASKED_TEMPS, single_seed=n == 100)
    for how in STAGED:
        yield staged("diffusion", masked, how)
    one_stage = STAGED["threshold .85"] | {"top_k": 2}
    yield Configuration("the origin's one stage", masked, one_stage, (0.8,), single_seed=True)
    for who, switch in SWITCH.items():
        for n in (3, 8):
            yield spaced(who, flow, n, **switch)
        for how in STAGED:
            yield staged(who, flow, how, **switch)
        yield spaced(f"the origin's {who}", origin, 8, **switch)
        yield staged(f"the origin's {who}", origin, "two stages", **switch)
    yield staged("flow until .1", flow, "two stages", flow_until=0.1)
    for n in (2, 4, 8, 16):
        yield Configuration(f"{n} streams", streams, {"streams": n}, GPT_TEMPS)
    for n in (2, 4):
        yield Configuration(f"{n} streams, 1 layer", small_streams, {"streams": n}, GPT_TEMPS)
    for name, (n, drafts) in DRAFTED.items():
        generate = partial(draft_model.generate_streams, ngrams=ngrams, drafts=drafts)
        engine = small_streams if "1 layer" in name else streams
        yield Configuration(name, engine.sampled_by(generate), {"streams": n}, GPT_TEMPS)
    yield Configuration("4 streams, untrained", compiled(untrained(streams, gpt)), {"streams": 4}, GPT_TEMPS)
    yield Configuration(COOLED, masked, {}, COOLED_TEMPS)
    for n in (1, 3):
        yield Configuration(f"{COOLED}, revise {n}", masked, {"revise": n}, COOLED_TEMPS)
    for who, switch in SWITCH.items():
        yield Configuration(f"{who}, spacing 8, cooled", flow, switch, COOLED_TEMPS)
