"""Restoring a damaged text: on a toy whose every probability is known, and as a command on tiny weights."""

import json
import re
import runpy
from dataclasses import replace

import pytest
import torch
from torch import nn

import methods
import restore
from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import cli
from lab.measuring.trials import Engine
from lab.model.corpus import Alphabet


class Periodic(nn.Module):
    """Knows that the text is abcabc...: gives .9 to the character that the nearest known one calls for, .05 to the others."""

    def __init__(self, block_size=16):
        super().__init__()
        self.config = diffusion.Config(vocab_size=3, block_size=block_size, n_layer=1, n_head=2, n_embd=16)
        self.lm_head = nn.Linear(1, 1)

    def forward(self, idx):
        positions = torch.arange(idx.size(1))
        probs = torch.full((*idx.shape, 3), 1 / 3)
        for row, found in zip(idx, probs, strict=True):
            known = positions[row < 3]
            if len(known):
                nearest = known[(positions[:, None] - known).abs().argmin(1)]
                right = (row[nearest] + positions - nearest) % 3
                found[:] = torch.where(torch.arange(3) == right[:, None], 0.9, 0.05)
        return probs.log()


TRUTH = "abc" * 40
TOY = Engine(diffusion, Periodic(), Alphabet("abc"), "abc")
DECODING = diffusion.Decoding(temp=1.0, cool_to=1.0, top_k=1, spacing=2, target_chunk_len=8)


def damaged(sign="_", every=4, text=TRUTH):
    return "".join(sign if i % every == 1 else character for i, character in enumerate(text))


def restored(text, sign="_", decoding=DECODING):
    """The restored text, and what is said of its missing characters."""
    characters, found = list(text), list(restore.restore(TOY, text, sign, decoding))
    for position, ((character, _), *_) in found:
        characters[position] = character
    return "".join(characters), found


@pytest.mark.parametrize("sign", ["_", "?", "b", "⸺"])
@pytest.mark.parametrize("spacing", [0, 2])
def test_a_toy_is_restored_with_the_probabilities_that_it_has(sign, spacing):
    text = damaged(sign)
    decoding = diffusion.Decoding(temp=1.0, cool_to=1.0, top_k=1, spacing=spacing, target_chunk_len=8)
    whole, found = restored(text, sign, decoding)
    assert whole == TRUTH
    assert [position for position, *_ in found] == [i for i, character in enumerate(text) if character == sign]
    for position, ((character, probability), *best) in found:
        assert character == TRUTH[position] and probability == pytest.approx(0.9)
        assert best[0] == (character, pytest.approx(0.9)) and sum(share for _, share in best) == pytest.approx(1)


def test_gaps_may_be_longer_than_windows():
    gap = TRUTH[:20] + "_" * 30 + TRUTH[50:]
    assert restored(gap)[0] == TRUTH


def test_a_character_is_looked_at_with_a_quarter_of_a_window_before_it():
    """Windows begin at 0, 8, 16 ...: the one that begins with the gap sees nothing that is known."""
    found = dict(restored(TRUTH[:16] + "_" * 12)[1])
    assert [found[position][0][1] for position in range(16, 20)] == pytest.approx([0.9] * 4)


def test_unknown_characters_stay_and_mislead_nobody():
    text = damaged()
    text = text[:30] + "é" + text[31:60] + "é\r" + text[62:]
    assert restored(text)[0] == TRUTH[:30] + "é" + TRUTH[31:60] + "é\r" + TRUTH[62:]


def test_a_text_without_a_known_character_says_that_nothing_is_known():
    (*_, (_, ((_, probability), *best))) = restored(
        "___", decoding=diffusion.Decoding(temp=1.0, cool_to=1.0, top_k=1, spacing=0)
    )[1]
    assert probability == pytest.approx(1 / 3) and [share for _, share in best] == pytest.approx([1 / 3] * 3)


def test_the_probability_is_that_of_the_known_text_alone():
    """Characters that were restored before do not make a later one more certain."""
    torch.manual_seed(0)
    model = diffusion.Model(TOY.model.config).eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    engine, text = Engine(diffusion, model, TOY.alphabet, ""), "a__b_c__"
    idx = torch.tensor([[0, 3, 3, 1, 3, 2, 3, 3]])
    probs = model(idx)[0].double().softmax(-1)
    for position, ((character, probability), *_) in restore.restore(engine, text, "_", DECODING):
        assert probability == pytest.approx(probs[position, "abc".index(character)].item(), rel=1e-4)


def test_so_it_is_behind_the_edge_of_a_chunk():
    """What the first chunk's look has guessed is hidden from that at the second, in whose window it stands."""
    torch.manual_seed(0)
    model = diffusion.Model(TOY.model.config).eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    text = "a_b_c_bc_abcab"
    idx = torch.tensor([["abc_".index(character) for character in text]])
    probs = model(idx)[0].double().softmax(-1)
    found = list(
        restore.restore(Engine(diffusion, model, TOY.alphabet, ""), text, "_", replace(DECODING, target_chunk_len=4))
    )
    assert len(found) == 4
    for position, ((character, probability), *_) in found:
        assert probability == pytest.approx(probs[position, "abc".index(character)].item(), rel=1e-4)


@pytest.fixture
def command(tmp_path, make_weights, capsys):
    """command(text, *flags) -> (status, what it printed) of restoring a file; weights of `method`."""

    def run(text, *flags, method=diffusion):
        (tmp_path / "damaged.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        paths = [str(tmp_path / "damaged.txt"), "--output", str(tmp_path / "restored.txt")]
        argv = [*paths, "--weights", str(make_weights(method)), *flags]
        return cli.run(restore.main, restore.Args, argv), "".join(capsys.readouterr())

    return run


def test_the_command_writes_the_text_and_what_is_said_of_each_character(command, tmp_path):
    status, said = command("\ufeffto _e or\nnot t_ be, É__", "--keep-below", "0.2")
    assert status == 0 and "of 4 characters restored" in said
    found = json.loads((tmp_path / "restored.txt.json").read_text())
    assert found["settings"]["keep_below"] == 0.2
    assert [(row["line"], row["column"]) for row in found["rows"]] == [(1, 4), (2, 6), (2, 13), (2, 14)]
    written = [row["character"] if row["probability"] >= 0.2 else "_" for row in found["rows"]]
    assert (tmp_path / "restored.txt").read_text() == "to {}e or\nnot t{} be, É{}{}".format(*written)
    assert {row["is_restored"] for row in found["rows"]} <= {True, False}
    assert [row["is_restored"] for row in found["rows"]] == [sign != "_" for sign in written]


def test_with_a_high_bar_everything_stays_masked(command, tmp_path):
    assert command("to ?e or not ?o be", "--mask", "?", "--keep-below", "1")[0] == 0
    assert (tmp_path / "restored.txt").read_text() == "to ?e or not ?o be"


REFUSED = {
    "has no '_'": ("to be", ()),
    "has no '?'": ("to _e", ("--mask", "?")),
    "give one character": ("to _e", ("--mask", "[]")),
    "keep_below must lie in 0..1": ("to _e", ("--keep-below", "2")),
    "not a UTF-8 text": (b"to \xff_", ()),
    "is a folder or a device": ("to _e", ("--output", "/")),
    "spacing must lie": ("to _e", ("--spacing", "-1")),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_restored_is_one_message(why, command, tmp_path):
    text, flags = REFUSED[why]
    status, said = command(text, *flags)
    assert status == 2 and why in said and said.count("\n") == 1
    assert not (tmp_path / "restored.txt").exists()


def test_the_damaged_text_is_never_replaced(command, tmp_path):
    status, said = command("to _e", "--output", str(tmp_path / "damaged.txt"))
    assert status == 2 and "is the damaged text" in said
    assert (tmp_path / "damaged.txt").read_text() == "to _e"


def test_nor_by_what_is_said_of_its_characters(command, tmp_path):
    damaged = tmp_path / "damaged.txt"
    (tmp_path / "restored.txt.json").symlink_to(damaged)
    status, said = command("to _e")
    assert status == 2 and "restored.txt.json is the damaged text" in said
    assert damaged.read_text() == "to _e"


def test_line_ends_stay_as_they_are(command, tmp_path):
    assert command("to be\r\nor n_t\r\n")[0] == 0
    assert re.fullmatch(rb"to be\r\nor n.t\r\n", (tmp_path / "restored.txt").read_bytes(), re.DOTALL)


def test_gpt_restores_nothing(command):
    status, said = command("to _e or", method=gpt)
    assert status == 2 and "cannot tell what is behind a mask" in said


def test_the_shipped_weights_restore_a_famous_line():
    engine = methods.load("diffusion")
    decoding = diffusion.Decoding(temp=1.0, cool_to=1.0, top_k=1)
    found = restore.restore(engine, "First Citi_en:\nBefore we proceed any further, hear me sp_ak.\n", "_", decoding)
    assert "".join(best[0][0] for _, best in found) == "ze"


def test_the_program_of_the_docs_makes_a_text_of_the_poems_of_frequent_characters(tmp_path, monkeypatch):
    page = (cli.ROOT / "docs" / "restoring.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    (tmp_path / "tang.py").write_text(program.replace("2500", "4"), encoding="utf-8")
    folder = tmp_path / "package" / "dist" / "quantangshi"
    folder.mkdir(parents=True)
    poems = [["春眠。", "春眠。"], ["春曉。"], [], ["春眠。", "春眠。"]]
    text = json.dumps([{"paragraphs": lines, "author": "孟浩然"} for lines in poems], ensure_ascii=False)
    (folder / "poet.tang.0.json").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("tang.py")
    assert (tmp_path / "tang.txt").read_text(encoding="utf-8") == "春眠。\n春眠。"
