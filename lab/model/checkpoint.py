"""One file per model: weights, sizes, alphabet, the corpus's opening, and how it was made.

Loaded with `weights_only=True`: a checkpoint holds tensors, numbers and strings, and can never run code.
"""

import contextlib
import io
import os
import warnings
from dataclasses import asdict

import torch

from lab.cli import ROOT, UserError, check, uv_run
from lab.files import atomic, reading
from lab.model.corpus import Alphabet

FORMAT = 2


def default_path(name):
    """Where the weights of a method lie unless the user says otherwise."""
    return ROOT / "weights" / f"{name}.pt"


def resume_path(path):
    """Where the state of a training that will become `path` lies."""
    return path.with_suffix(".resume.pt")


def check_name(path):
    """Raise UserError unless a path ends as weights do: no training replaces another file."""
    check(path.suffix == ".pt", f"{path}: a weights file ends in .pt; name another")


def write(path, payload):
    """Save a dictionary atomically: the old file stays until the new one is whole. Raises UserError."""
    whole = io.BytesIO()  # not straight to the file: torch hides why writing failed
    torch.save(payload, whole)
    with atomic(path) as file:
        file.write(whole.getbuffer())


def read(path, hint):
    """Load a dictionary that `write` saved. Raises UserError that names the file and the command that makes it."""
    check_name(path)
    check(os.path.lexists(path), f"{path}: no such file. Train it: {hint}")
    with reading(path, "name a weights file"):
        whole = io.BytesIO(path.read_bytes())
    with damaged(path, hint), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has advice on pickles that are not its own
        payload = torch.load(whole, map_location="cpu", weights_only=True)
        check(payload.get("format") == FORMAT, f"format {payload.get('format')}, not {FORMAT}")
        check("name" in payload, "no name")
    return payload


@contextlib.contextmanager
def damaged(path, hint):
    """Turns what can only be the weights file's fault into a UserError that names the command to make it anew."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged, or of another version ({reason}). To replace it: {hint}") from error


def describe(name, config, alphabet, opening, provenance):
    """The part of a checkpoint that says what the weights are: plain values only."""
    return {
        "format": FORMAT,
        "name": name,
        "config": asdict(config),
        "characters": alphabet.characters,
        "mask": alphabet.mask,  # for other readers: here it follows from the characters
        "opening": opening,
        "provenance": provenance,
    }


def save(path, model, description):
    """Write a model's weights, in bfloat16 (half the size; costs less than .001 nats)."""
    weights = {name: value.detach().cpu().bfloat16() for name, value in model.state_dict().items()}
    write(path, {**description, "model": weights})


def load(path, method, hint=None):
    """Read the weights of a method -> (model in float32 on the CPU, alphabet, opening).

    hint: the command that makes the file; default: a training of the method.
    Raises UserError when the file is missing, damaged, foreign, or made for another method.
    """
    name = method.name
    hint = hint or uv_run(f"{name}.py", "--train", "--weights", path)
    payload = read(path, hint)
    made_for = payload["name"]
    wrong = f"{path}: holds weights of {made_for!r}, not of {name}; name weights of {name}, or use {made_for}.py"
    check(made_for == name, wrong)
    with damaged(path, hint):
        config = method.Config(**payload["config"])
        alphabet = Alphabet(payload["characters"])
        check(len(alphabet) == config.vocab_size, f"not {config.vocab_size} characters")
        opening = payload["opening"]
        weights = payload["model"]
        alphabet.encode(opening)
    model = method.Model(config)  # outside: an error of the method's own code keeps its traceback
    with damaged(path, hint):
        model.load_state_dict(weights)
        check(all(x.isfinite().all() for x in weights.values()), "NaN or infinite weights")
    return model.eval(), alphabet, opening


def initialise(model, path, method, alphabet):
    """Copy the weights of --init. Raises UserError where they do not fit."""
    other, characters, _ = load(path, method)
    aside = {"dropout": None, "flow_weight": None}  # those change no weights
    same = characters == alphabet and vars(other.config) | aside == vars(model.config) | aside
    check(same, f"{path}: made for another alphabet or other sizes; --init needs the same ones")
    model.load_state_dict(other.state_dict())
