"""A method and a sampler of one's own: files that lie elsewhere, as CONTRIBUTING.md says; nothing of ours is touched."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import diffusion
import evaluate_likelihood
import methods
import run_inference_sweep
import visualize
from lab import cli, command

SAMPLER = """
import torch
from lab.decoding.canvas import Frame
from lab.decoding.sampling import probabilities

def all_a(model, canvas, decoding, rngs):
    idx, masked = canvas.idx, canvas.masked
    columns = torch.arange(idx.size(1)).expand_as(idx)
    probs = probabilities(model(idx[:, : model.config.block_size])[:, :1], 1).repeat(1, idx.size(1), 1)
    yield Frame(torch.where(masked, 2, idx), masked & False, masked & False, columns, probs, 1.0)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder outside the project with my_method.py, a copy of diffusion.py with uniform mask shares, and a sampler."""
    monkeypatch.setattr(methods, "METHODS", dict(methods.METHODS))
    monkeypatch.setattr("lab.model.checkpoint.ROOT", tmp_path)
    source = Path(diffusion.__file__).read_text(encoding="utf-8")
    changed = source.replace("torch.special.ndtri(rng.stratified(len(x0))).sigmoid()", "rng.stratified(len(x0))")
    changed = changed.replace('name="diffusion"', 'name="mine"').replace('title="Masked diffusion"', 'title="Mine"')
    assert changed.count("mine") == 1 and "ndtri" not in changed
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "my_method.py").write_text(changed, encoding="utf-8")
    (folder / "my_sampler.py").write_text(SAMPLER)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    for name in ("my_method", "my_sampler"):
        sys.modules.pop(name, None)


def test_a_method_of_ones_own_is_trained_swept_scored_and_filmed(elsewhere, text_file, own_root, tiny, capsys):
    path = str(elsewhere / "my_method.py")
    few = ["--max-new-tokens", "24", "--data", str(text_file)]
    assert command.run(methods.find(path), ["--train", "--iters", "3", *few, *tiny]) == 0
    assert (own_root / "weights" / "mine.pt").exists() and len(capsys.readouterr().out) == 16 + 24 + 1
    methods.METHODS.pop("mine")
    sweep = ["--method", path, "--spacing", "2,4", "--prompts", "1", "--output-dir", str(own_root / "out"), *few]
    assert cli.run(run_inference_sweep.main, run_inference_sweep.Args, sweep) == 0
    (rows,) = own_root.glob("out/mine_*/results.json")
    assert {(row["module"], row["spacing"]) for row in json.loads(rows.read_text())} == {("mine", 2), ("mine", 4)}
    methods.METHODS.pop("mine")
    score = ["--method", path, "--weights", str(own_root / "weights" / "mine.pt"), "--output-dir", str(own_root)]
    score += ["--data", str(text_file), "--strategies", "left", "--windows", "2"]
    assert cli.run(evaluate_likelihood.main, evaluate_likelihood.Args, score) == 0
    found = json.loads((own_root / "likelihood.json").read_text())
    assert found["rows"][0]["measure"].startswith("upper bound") and found["paths"][0]["module"] == "mine"
    methods.METHODS.pop("mine")
    film = ["--method", path, "--blocks", "1", "--save", str(own_root / "mine.html")]
    assert cli.run(visualize.main, visualize.Args, film) == 0
    assert "Mine" in (own_root / "mine.html").read_text(encoding="utf-8")


def test_a_sampler_of_ones_own_writes_in_place_of_the_methods(elsewhere, make_weights, capsys):
    path = make_weights(diffusion.METHOD)
    flags = ["--weights", str(path), "--prompt", "to", "--max-new-tokens", "9"]
    assert command.run(diffusion.METHOD, [*flags, "--sampler", f"{elsewhere / 'my_sampler.py'}:all_a"]) == 0
    assert capsys.readouterr().out == "to" + "a" * 9 + "\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--sampler", "nix.py:f"], "nix.py: no such file"),
        (["--sampler", "my_sampler"], "FILE.py:FUNCTION"),
        (["--sampler", "{}/my_sampler.py:nix"], "has no function nix"),
    ],
)
def test_a_sampler_that_is_none_is_refused(flags, said, elsewhere, make_weights, capsys):
    flags = [flag.format(elsewhere) for flag in flags]
    assert command.run(diffusion.METHOD, ["--weights", str(make_weights(diffusion.METHOD)), *flags]) == 2
    assert said in capsys.readouterr().err


TAKEN = """
from dataclasses import replace
from diffusion import METHOD as other
METHOD = replace(other, title="Mine")
"""


@pytest.mark.parametrize(
    ("text", "said"), [("METHOD = 3", "defines no METHOD"), (TAKEN, "there is a method 'diffusion'")]
)
def test_a_file_that_is_no_method_is_refused(text, said, elsewhere):
    name = "own_" + said.split()[0]
    (elsewhere / f"{name}.py").write_text(text)
    with pytest.raises(cli.UserError, match=said):
        methods.find(str(elsewhere / f"{name}.py"))


def test_a_weights_file_that_names_a_python_file_imports_nothing(elsewhere, make_weights, tmp_path):
    ran = tmp_path / "ran"
    (elsewhere / "evil.py").write_text(f"open({str(ran)!r}, 'w')")
    path = make_weights(replace(diffusion.METHOD, name=str(elsewhere / "evil.py")))
    with pytest.raises(cli.UserError, match="name its file with --method"):
        methods.load(path=path)
    assert not ran.exists()


def test_rows_say_which_sampler_wrote(elsewhere, make_weights, text_file, tmp_path):
    flags = ["--module", "diffusion", "--weights", str(make_weights(diffusion.METHOD)), "--prompts", "1"]
    flags += ["--max-new-tokens", "9", "--output-dir", str(tmp_path / "out")]
    sampler = f"{elsewhere / 'my_sampler.py'}:all_a"
    assert cli.run(run_inference_sweep.main, run_inference_sweep.Args, [*flags, "--sampler", sampler]) == 0
    (folder,) = (tmp_path / "out").iterdir()
    (row,) = json.loads((folder / "results.json").read_text())
    assert row["sampler"] == sampler and row["text"].endswith("a" * 9)
    again = [*flags, "--resume", str(folder)]
    assert cli.run(run_inference_sweep.main, run_inference_sweep.Args, again) == 0
    (row,) = json.loads((folder / "results.json").read_text())
    assert row["sampler"] is None and not row["text"].endswith("a" * 9)  # that of another sampler is none of its own


def test_the_defaults_of_a_method_need_not_be_those_of_its_settings(elsewhere, make_weights, capsys):
    ancestral = replace(diffusion.METHOD, decoding=diffusion.Decoding(steps=4, spacing=3))
    flags = ["--weights", str(make_weights(ancestral)), "--prompt", "to", "--max-new-tokens", "9"]
    assert command.run(ancestral, flags) == 0
    assert "4 forward passes" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--help"], ["nix.py"], ["data.txt"]])
def test_the_command_of_a_file_that_is_no_method_is_one_message(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["methods.py", *words])
    assert cli.guard(methods.main) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_training_is_refused_for_a_sampler_that_is_none(elsewhere, text_file, own_root, tiny):
    flags = ["--train", "--iters", "1", "--data", str(text_file), "--sampler", "nix.py:f", *tiny]
    assert command.run(diffusion.METHOD, flags) == 2
    assert not (own_root / "weights").exists()


def test_a_bug_in_a_sampler_of_ones_own_keeps_its_traceback(elsewhere):
    (elsewhere / "my_sampler.py").write_text("def fill(model, canvas, decoding, rngs): yield canvas + 1")
    flags = [
        "--sampler",
        f"{elsewhere / 'my_sampler.py'}:fill",
        "--weights",
        str(cli.ROOT / "weights" / "diffusion.pt"),
    ]
    with pytest.raises(TypeError, match="unsupported operand"):
        command.run(diffusion.METHOD, [*flags, "--max-new-tokens", "8"])
