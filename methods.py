"""The three methods by name, a writer from any weights file of theirs, and the real text it is measured against."""

import hashlib
from dataclasses import replace

import diffusion
import diffusion_flow
import gpt
from lab import checkpoint, trials
from lab.cli import check
from lab.quality import Reference
from lab.records import warn

METHODS = {"gpt": gpt, "diffusion": diffusion, "diffusion_flow": diffusion_flow}


def load(path, name, device="cpu"):
    """Weights of method `name` (None: the default file) -> Writer. Raises UserError when they are missing or another's."""
    check(name in METHODS, f"unknown module {name}; known: {', '.join(METHODS)}")
    method, path = METHODS[name], path or checkpoint.default_path(name)
    model, alphabet, opening, _ = checkpoint.load(path, name, method.Model, type(method.Args().config))
    label = f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    return trials.Writer(name, model.to(device), method.generate, alphabet, opening, label)


def masked_decoding(module, **settings):
    """The Decoding of a masked method, with these settings. Raises UserError for another module."""
    check(module in METHODS and module != gpt.NAME, f"--module {module}: choose diffusion or diffusion_flow")
    return replace(METHODS[module].Decoding(), **settings)


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
