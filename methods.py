"""The three methods by name, a writer from any weights file of theirs, and the real text it is measured against."""

import hashlib
from dataclasses import replace
from functools import partial

import torch

import diffusion
import diffusion_flow
import gpt
from lab import checkpoint, trials, unmasking
from lab.cli import check
from lab.quality import Reference
from lab.records import warn

METHODS = {"gpt": gpt, "diffusion": diffusion, "diffusion_flow": diffusion_flow}
TWO_STAGE = {"temp": 0.8, "top_k": 2, "confidence_threshold": 0.95, "spacing": 0, "draft_threshold": 0.7}


def load(path, name, device="cpu"):
    """Weights of method `name` (None: the default file) -> Writer. Raises UserError when they are missing or another's."""
    check(name in METHODS, f"unknown module {name}; known: {', '.join(METHODS)}")
    method, path = METHODS[name], path or checkpoint.default_path(name)
    model, alphabet, opening, _ = checkpoint.load(path, name, method.Model, type(method.Args().config))
    label = f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    return trials.Writer(name, model.to(device), method.generate, alphabet, opening, label)


def masked_decoding(module, **settings):
    """The Decoding of a masked method: TWO_STAGE but for these settings. Raises UserError for another module."""
    check(module in METHODS and module != gpt.NAME, f"--module {module}: choose diffusion or diffusion_flow")
    return METHODS[module].Decoding(**TWO_STAGE | settings)


def strategy(text):
    """An unmasking strategy by name: left, threshold=P, budget=H (nats), random=K or spacing=S -> choose(probs, masked).

    Raises UserError, also for those that depend on the characters drawn: they have no path likelihood.
    """
    kind, _, value = text.partition("=")
    drawn = (
        "what it fills in depends on the characters drawn, so that no path likelihood exists; compare samples instead"
    )
    check(kind not in ("two-stage", "flow", "top_k"), f"--strategies {text}: {drawn}")
    least = {"left": 0, "threshold": 1e-9, "budget": 1e-9, "random": 1, "spacing": 1}
    check(kind in least, f"--strategies {text}: unknown; known: left, threshold=, budget=, random=, spacing=")
    try:
        number = float(value or 0)
    except ValueError:
        number = -1.0
    usable = least[kind] <= number < float("inf")
    check(usable, f"--strategies {text}: needs a number above 0 (spacing, random: 1 or more), as in spacing=5")
    if kind == "random":
        return partial(unmasking.at_random, number=number, rng=torch.Generator().manual_seed(0))
    if kind in ("left", "budget"):
        return unmasking.leftmost if kind == "left" else partial(unmasking.within_budget, nats=number)
    settings = {"confidence_threshold": number, "spacing": 0} if kind == "threshold" else {"spacing": int(number)}
    return partial(unmasking.confident, decoding=diffusion.Decoding(**settings))


def reference(args, writer):
    """What a script's texts are measured against; None, with a note, when the default corpus cannot be had."""
    found = Reference.of_data(args.data)
    if found is None:
        return None
    path = args.data or "data.txt"
    check(writer.alphabet == found.alphabet, f"{path}: has other characters than the model's text; give its --data")
    evaluator = load(args.evaluator, "gpt") if args.evaluator.exists() or args.evaluator != trials.EVALUATOR else None
    known = evaluator is not None and evaluator.alphabet == found.alphabet and evaluator.weights != writer.weights
    if not known:
        warn(f"{args.evaluator}: no independent evaluator of this text; generative_nll stays empty")
    return replace(found, evaluator=evaluator if known else None)
