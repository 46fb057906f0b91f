"""Shared fixtures: small texts, a tiny model, and a root folder of the test's own."""

import os
import random
import signal

import pytest
import torch
from hypothesis import settings

from lab.model import checkpoint, corpus
from lab.model.corpus import Alphabet
from lab.training import session

torch.set_num_threads(1)  # the models are tiny
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background job ignores it otherwise
settings.register_profile("lab", deadline=None, derandomize=True, database=None)
settings.load_profile("lab")


@pytest.fixture
def own_root(tmp_path, monkeypatch):
    """tmp_path, where the corpus cache, the logs and data.txt (not there) lie during this test.

    Downloads go to a port of this machine that refuses them.
    """
    monkeypatch.setattr(corpus, "ROOT", tmp_path)
    monkeypatch.setattr(session, "ROOT", tmp_path)
    monkeypatch.setattr(corpus, "DEFAULT", tmp_path / "data.txt")
    monkeypatch.setattr(corpus, "URL", "http://127.0.0.1:9/data.txt")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


@pytest.fixture
def text_file(own_root):
    """Path of about 8,000 characters of made-up English: capitals, digits, punctuation, lines; no mask symbol."""
    words = "the a king of Denmark and his 3 sons, who; never-ending said: 'tis love! what? I (we) go 1599 quietly jazz"
    rng = random.Random(0)
    lines = [" ".join(rng.choices(words.split(), k=8)) + "." for _ in range(200)]
    return _text(own_root / "english.txt", "\n".join(lines) + "\n")


@pytest.fixture
def chinese_file(own_root):
    """Path of about 2,000 characters of nonsense in 500 distinct Chinese ones."""
    rng = random.Random(0)
    characters = [chr(0x4E00 + i) for i in range(500)]
    return _text(own_root / "chinese.txt", "".join(characters) + "。".join(rng.choices(characters, k=750)) + "\n")


def _text(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.fixture
def tiny():
    """Command-line flags of a model that trains in no time, without a compiler."""
    flags = "--n-layer 1 --n-embd 16 --n-head 2 --block-size 32 --eval-windows 2 --compile False"
    return flags.split()


@pytest.fixture
def make_weights(tmp_path):
    """make_weights(method, filename="weights.pt", **sizes) -> path of random weights of a module such as gpt.

    They know the characters of CHARACTERS and the opening OPENING; sizes overrule those of `tiny`.
    """

    def make(method, filename="weights.pt", **sizes):
        sizes = {"n_layer": 1, "n_embd": 16, "n_head": 2, "block_size": 32} | sizes
        config = method.Config(vocab_size=len(CHARACTERS), **sizes)
        torch.manual_seed(0)
        model = method.Model(config)
        torch.nn.init.normal_(model.lm_head.weight)  # zero at the start of session: all characters would be equal
        path = tmp_path / filename
        checkpoint.save(
            path, model, checkpoint.describe(method.name, config, Alphabet(CHARACTERS), OPENING, {"seed": 0})
        )
        return path

    return make


CHARACTERS = "\n abcdefghijklmnopqrstuvwxyz"
OPENING = "to be or not to be that is the q"
