"""What fixed weights write and learn, character by character and loss by loss; it may change on purpose only.

    RENEW=1 uv run pytest tests/test_fixed.py        writes fixed_texts.json and fixed_trainings.json anew

The weights follow from a formula: they are the same on every machine and with every version of PyTorch.
"""

import csv
import json
import os
from pathlib import Path

import pytest
import torch

from lab import command
from lab.decoding.canvas import Canvas
from lab.model import checkpoint
from lab.model.corpus import Alphabet, Corpus
from methods import METHODS

HERE = Path(__file__).resolve().parent
CHARACTERS = Alphabet("abcdefgh ")
TEXTS, TRAININGS = (json.loads((HERE / f"fixed_{name}.json").read_text()) for name in ("texts", "trainings"))


@pytest.fixture(scope="module", autouse=True)
def renewed():
    """Writes what the tests found, when asked to."""
    yield
    if os.environ.get("RENEW"):
        for name, value in (("texts", TEXTS), ("trainings", TRAININGS)):
            lines = ",\n".join(map(json.dumps, value))
            (HERE / f"fixed_{name}.json").write_text(f"[\n{lines}\n]\n")


def fixed_model(method, alphabet, **sizes):
    model = method.Model(method.Config(vocab_size=len(alphabet), n_head=2, n_embd=16, **sizes)).eval()
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.copy_((0.3 * torch.sin(1.7 * torch.arange(p.numel()) + k)).view(p.shape))
    return model


def renewable(case, key, value):
    """A stored figure; the one that was found when all are to be renewed."""
    if os.environ.get("RENEW"):
        case[key] = value
    return case[key]


@pytest.mark.parametrize("case", TEXTS, ids=str)
def test_fixed_weights_write_the_same_text_for_the_same_seed(case):
    method = METHODS[case["method"]]
    model = fixed_model(method, CHARACTERS, block_size=16, n_layer=2, conv_width=3)
    canvas, rngs = (
        Canvas.after(CHARACTERS.encode("abc"), 37, rows=2),
        [torch.Generator().manual_seed(s) for s in (1, 2)],
    )
    frames = list(method.generate(model, canvas, method.Decoding(**case["settings"]), rngs))
    texts = [CHARACTERS.decode(row) for row in frames[-1].idx]
    assert texts == renewable(case, "texts", texts) and len(frames) == renewable(case, "calls", len(frames))


@pytest.mark.parametrize("case", TRAININGS, ids=lambda case: case["method"])
def test_fixed_weights_learn_the_same_in_twenty_steps(case, text_file, own_root):
    """Every loss that the log has: of both splits by the method's measure, and of each step's batch.

    Machines and versions of PyTorch round differently: by 1e-5 after 20 steps.
    """
    method, alphabet = METHODS[case["method"]], Corpus(text_file).alphabet
    model = fixed_model(method, alphabet, block_size=32, n_layer=2)
    first = checkpoint.describe(method.name, model.config, alphabet, "", {})
    checkpoint.save(own_root / "first.pt", model, first)
    argv = ["--train", "--init", own_root / "first.pt", "--weights", own_root / "w.pt", "--data", text_file]
    assert command.run(method, [*map(str, argv), *case["flags"].split(), "--max-new-tokens", "1"]) == 0
    (log,) = (own_root / "logs").iterdir()
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    losses = {name: [float(row[name] or 0) for row in rows] for name in rows[0] if name != "elapsed_sec"}
    stored = renewable(case, "losses", losses)
    assert losses.keys() == stored.keys()
    for name, values in losses.items():
        assert values == pytest.approx(stored[name], rel=3e-5), name
