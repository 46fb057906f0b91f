"""The three methods by name, and what is made by name from them: writers, decodings, unmasking strategies."""

import hashlib
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch

import diffusion
import diffusion_flow
import gpt
from lab import checkpoint, onnx_runtime, trials, unmasking
from lab.cli import check

METHODS = {"gpt": gpt, "diffusion": diffusion, "diffusion_flow": diffusion_flow}
TWO_STAGE = {"temp": 0.8, "top_k": 2, "confidence_threshold": 0.95, "spacing": 0, "draft_threshold": 0.7}


def load(name=None, path=None, device="cpu", runtime="torch"):
    """Weights -> Writer. Raises UserError when they are missing, or not those of the method `name`.

    path: default the method's own file; name: default the method that the file itself names; runtime: torch or onnx.
    """
    if name is None:
        remedy = f"one of the three commands with --train --weights {shlex.quote(str(path))}"
        name = checkpoint.read(Path(path), remedy)["name"]
    check(isinstance(name, str) and name in METHODS, f"unknown module {name!r}; known: {', '.join(METHODS)}")
    return writer(METHODS[name], path, device, runtime=runtime)


def writer(method, path=None, device="cpu", remedy=None, runtime="torch"):
    """Weights of a method, a module as gpt.py is one -> Writer. Raises UserError that names the remedy, a training."""
    name, path = method.NAME, Path(path or checkpoint.default_path(method.NAME))
    model, alphabet, opening, _ = checkpoint.load(path, name, method.Model, type(method.Args().config), remedy)
    label = f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    model = onnx_runtime.choose(model.to(device), runtime)
    return trials.Writer(name, model, method.generate, alphabet, opening, method.Decoding(), label)


def starting_point(module):
    """The Decoding that the experiments vary: what a method has of TWO_STAGE, the rest as it writes by default."""
    decoding = METHODS[module].Decoding()
    return replace(decoding, **{name: value for name, value in TWO_STAGE.items() if hasattr(decoding, name)})


def masked_decoding(module, **settings):
    """The starting point of a masked method with these settings. Raises UserError for another module."""
    check(module in METHODS and module != gpt.NAME, f"--module {module}: choose diffusion or diffusion_flow")
    return replace(starting_point(module), **settings)


def named(text):
    """The kind and the number of an unmasking strategy: left, threshold=P, budget=H (nats), random=K or spacing=S.

    Raises UserError, also for those that depend on the characters drawn: they have no path likelihood.
    """
    kind, _, value = text.partition("=")
    drawn = "depends on the characters drawn, so that no path likelihood exists; compare samples instead"
    check(kind not in ("two-stage", "flow", "top_k"), f"--strategies {text}: {drawn}")
    least = {"left": 0, "threshold": 1e-9, "budget": 1e-9, "random": 1, "spacing": 1}
    check(kind in least, f"--strategies {text}: unknown; known: left, threshold=, budget=, random=, spacing=")
    try:
        number = float(value or 0)
    except ValueError:
        number = -1.0
    most = 1 if kind == "threshold" else diffusion.MOST
    usable = least[kind] <= number <= most and (kind != "left" or not value)
    whole = kind not in ("spacing", "random") or number.is_integer()
    right = "left alone, threshold above 0 and at most 1, budget above 0, spacing and random a whole number, 1 or more"
    check(usable and whole, f"--strategies {text}: {right} (at most {diffusion.MOST:,})")
    return kind, number


def strategy(text):
    """An unmasking strategy by name, as `named` takes it -> choose(probs, masked)."""
    kind, number = named(text)
    if kind == "random":
        return partial(unmasking.at_random, number=number, rng=torch.Generator().manual_seed(0))
    if kind in ("left", "budget"):
        return unmasking.leftmost if kind == "left" else partial(unmasking.within_budget, nats=number)
    settings = {"confidence_threshold": number, "spacing": 0} if kind == "threshold" else {"spacing": int(number)}
    return partial(unmasking.confident, decoding=diffusion.Decoding(**settings))
