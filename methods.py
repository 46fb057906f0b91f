"""The methods by name, and what is made by name from them: engines, decodings, unmasking strategies."""

import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import lab.start  # noqa: F401 (before PyTorch)

import torch

import diffusion
import diffusion_flow
import gpt
import streams
from lab import cli, command
from lab.cli import check
from lab.decoding import unmasking
from lab.measuring import trials
from lab.model import checkpoint, likelihood
from lab.model.method import Method, import_file, sampler_of

METHODS = {module.METHOD.name: module.METHOD for module in (gpt, diffusion, diffusion_flow, streams)}
ONE_STAGE = {"confidence_threshold": 0.85, "draft_threshold": 0.85, "confirm_threshold": 0.85, "replace_margin": 1.0}
TWO_STAGE = {"confidence_threshold": 0.95, "draft_threshold": 0.7, "confirm_threshold": 0.85, "replace_margin": 0.0}
STRATEGIES = {"threshold": float, "budget": float, "random": int, "spacing": int, "streams": int}
STAGED = {"temp": 0.8, "cool_to": 1.0, "top_k": 2, "spacing": 0}  # of both


def find(name):
    """A Method by its name, or the one that a file such as my_method.py calls METHOD. Raises UserError."""
    if str(name).endswith(".py"):
        return add(Path(name))
    check(name in [*METHODS], f"unknown module {name!r}; known: {', '.join(METHODS)}")
    return METHODS[name]


def add(path):
    """Add the METHOD of a file to METHODS -> the Method. Raises UserError; what is wrong in the file itself is raised."""
    method = getattr(import_file(path), "METHOD", None)
    check(isinstance(method, Method), f"{path}: defines no METHOD; see CONTRIBUTING.md")
    check(METHODS.setdefault(method.name, method) is method, f"{path}: there is a method {method.name!r}; rename it")
    return method


def load(name=None, path=None, device="cpu", sampler=None, hint=None):
    """Weights -> Engine. Raises UserError when they are missing, or not those of the method.

    name: as `find` takes it, or a Method; default the method that the file itself names; path: default the method's own
    file; sampler: FILE.py:FUNCTION in place of the method's; hint: the command that makes the file.
    """
    if name is None:
        any_method = f"the command of a method with --train --weights {shlex.quote(str(path))}"
        name = checkpoint.read(Path(path), any_method)["name"]
        unknown = f"{path}: of the method {name!r}, which is none of {', '.join(METHODS)}; name its file with --method"
        check(isinstance(name, str) and name in METHODS, unknown)  # never imported: a weights file runs no code
    method = name if isinstance(name, Method) else find(name)
    engine = trials.load(method, path, device, hint)
    return engine.sampled_by(sampler_of(sampler), sampler) if sampler else engine


def starting_point(name, settings=STAGED | TWO_STAGE):
    """The Decoding that the experiments vary: temperature .8, the two likeliest characters, two stages where there are such.

    settings: others by name, of which a method has those that it has.
    """
    decoding = find(name).decoding
    return replace(decoding, **{key: value for key, value in settings.items() if hasattr(decoding, key)})


def masked_decoding(name, settings):
    """The starting point of a masked method with these settings. Raises UserError for another method."""
    decoding = starting_point(name, STAGED | TWO_STAGE | settings)
    check(hasattr(decoding, "draft_threshold"), f"--module {name}: has no drafts; choose diffusion or diffusion_flow")
    return decoding


def named(text):
    """The kind and the number of an unmasking strategy: left, threshold=P, budget=H (nats), random=K, spacing=S, streams=N.

    Raises UserError, also for those that depend on the characters drawn: they have no path likelihood.
    """
    if text == "left":
        return "left", 1
    kind, _, value = text.partition("=")
    try:
        number = STRATEGIES[kind](value)
    except (KeyError, ValueError):
        number = 0
    most = 1 if kind == "threshold" else unmasking.MOST
    known = "left, threshold=P (at most 1), budget=NATS, random=N, spacing=N, streams=N"
    check(0 < number <= most, f"--strategies {text}: not one of {known}")
    return kind, number


def strategy(kind, number):
    """An unmasking strategy of a masked model, as `named` gives it but for streams -> choose(probs, masked)."""
    if kind == "left":
        return unmasking.leftmost
    if kind == "budget":
        return partial(unmasking.within_budget, nats=number)
    if kind == "random":
        return partial(unmasking.at_random, number=number, rng=torch.Generator().manual_seed(0))
    settings = {"confidence_threshold": number, "spacing": 0} if kind == "threshold" else {"spacing": number}
    return partial(unmasking.select_positions, decoding=diffusion.Decoding(**settings))


def path_nll(engine, windows, masked, text):
    """What a method's model gives known text that is written in the order of a strategy: nats (n,), forward passes.

    windows: (n, T) windows; masked: (T,) bool, which characters are written, the first not. None where the method does not
    write in that order.
    """
    method, model = engine.method, engine.model
    kind, number = named(text)
    if kind == "left" and method.is_causal:
        return likelihood.nll_given_prefix(model, windows, masked), int(masked.sum())
    if kind == "streams" and hasattr(method.decoding, "streams"):
        return streams.path_nll(model, windows, masked, number)
    if kind != "streams" and method.is_masked:
        return likelihood.path_nll(model, windows, masked, strategy(kind, number))
    return None


def main():
    """The command of a method whose file lies elsewhere: uv run methods.py ../my_method.py, then its flags."""
    check(len(sys.argv) > 1 and sys.argv[1].endswith(".py"), "methods.py: name the file of a method, then its flags")
    return command.run(find(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    sys.exit(cli.guard(main))
