"""One file per model: weights, sizes, alphabet, the corpus's opening, and how it was made.

Loaded with `weights_only=True`: a checkpoint holds tensors, numbers and strings, and can never run code.
"""

import warnings
from dataclasses import asdict

import torch

from lab.backbone import Config
from lab.cli import ROOT, UserError, check
from lab.corpus import Alphabet
from lab.files import atomic

FORMAT = 2


def default_path(name):
    """Where the weights of a method lie unless the user says otherwise."""
    return ROOT / "weights" / f"{name}.pt"


def resume_path(path):
    """Where the state of a training that will become `path` lies."""
    return path.with_name(path.name.removesuffix(".pt") + ".resume.pt")


def write(path, payload):
    """Save a dictionary atomically: the old file stays until the new one is whole. Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as file:
            torch.save(payload, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise UserError(f"{path}: cannot be written ({first_line(error)})") from error


def read(path, train_command):
    """Load a dictionary that `write` saved. Raises UserError that names the file and the way out."""
    check(path.exists(), f"{path}: no such file. Train it: uv run {train_command}")
    check(not path.is_dir(), f"{path}: is a folder, not a weights file")
    foreign = f"{path}: not a weights file of this project (damaged, truncated or foreign)"
    foreign += f". To replace it: uv run {train_command}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch has advice on pickles that are not its own
            payload = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(foreign) from error
    if isinstance(payload, dict) and payload.get("format") == 1 and isinstance(payload.get("config"), dict):
        payload |= {
            "format": FORMAT,
            "characters": payload.pop("letters", None),
        }  # format 1 had other names for two things
        payload["config"]["vocab_size"] = payload["config"].pop("n_letters", 0)
    known = isinstance(payload, dict) and payload.get("format") == FORMAT and isinstance(payload.get("name"), str)
    check(known, foreign)
    return payload


def first_line(error):
    """The message of an error of torch, whose other lines are advice."""
    return str(error).partition("\n")[0]


def describe(name, config, alphabet, opening, provenance):
    """The part of a checkpoint that says what the weights are: plain values only."""
    return {
        "format": FORMAT,
        "name": name,
        "config": asdict(config),
        "characters": alphabet.characters,
        "mask": alphabet.mask,
        "opening": opening,
        "provenance": provenance,
    }


def save(path, model, description):
    """Write a model's weights, in bfloat16 (half the size; costs less than .001 nats)."""
    write(path, {**description, "model": {k: v.detach().cpu().bfloat16() for k, v in model.state_dict().items()}})


def load(path, name, Model, Config=Config):
    """Read the weights of method `name` -> (model in float32 on the CPU, alphabet, opening, provenance).

    Raises UserError when the file is missing, damaged, foreign, or made for another method.
    """
    command = f"{name}.py --train" + ("" if path == default_path(name) else f" --weights {path}")
    payload = read(path, command)
    check(
        payload["name"] == name, f"{path}: holds weights of {payload['name']}, not of {name}. Use {payload['name']}.py"
    )
    try:
        model = Model(Config(**payload["config"]))
        model.load_state_dict(payload["model"])
        alphabet = Alphabet(payload["characters"], payload["mask"])
        return model.eval(), alphabet, payload["opening"], payload["provenance"]
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, UserError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: does not fit {name}.py ({reason}). To replace it: uv run {command}") from error
