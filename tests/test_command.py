"""What the three commands print, and where."""

import re
import sys

import pytest
import torch

from diffusion import METHOD as diffusion
from gpt import METHOD as gpt
from lab import cli, command
from lab.model import machine
from methods import METHODS

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
FIGURES = r"[\d,]+ new characters, [\d,]+ forward passes \(NFE; .* full passes\), .* s, [\d,]+ characters per second( \(busy machine.*\))?\n"


def run(method, path, *flags):
    return command.run(method, ["--weights", str(path), *flags])


@every_method
def test_on_a_pipe_the_text_goes_to_stdout_and_the_figures_to_stderr(method, make_weights, capsys):
    assert run(method, make_weights(method), "--max-new-tokens", "60") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("to be or not to ")
    assert len(captured.out) == 16 + 60 + 1
    assert re.fullmatch(FIGURES, captured.err)


@every_method
def test_the_same_seed_writes_the_same_text_and_another_one_another(method, make_weights, capsys):
    path, texts = make_weights(method), []
    for seed in ("1", "1", "2"):
        run(method, path, "--seed", seed, "--max-new-tokens", "60", "--temp", "2")
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


@every_method
def test_a_prompt_is_gone_on_from(method, make_weights, capsys):
    assert run(method, make_weights(method), "--prompt", "hello", "--max-new-tokens", "10") == 0
    assert re.fullmatch("hello.{10}\n", capsys.readouterr().out, re.DOTALL)


@every_method
def test_writing_needs_no_corpus(method, make_weights, own_root):
    assert not (own_root / "data.txt").exists()
    assert run(method, make_weights(method), "--max-new-tokens", "5") == 0
    assert not (own_root / ".cache").exists()


def test_without_weights_at_the_default_path_it_says_so_and_trains(own_root, text_file, tiny, monkeypatch, capsys):
    monkeypatch.setattr("lab.model.checkpoint.ROOT", own_root)
    flags = ["--data", str(text_file), "--iters", "1", "--max-new-tokens", "5", *tiny]
    assert command.run(gpt, flags) == 0
    assert "gpt.pt: no such file; training it first" in capsys.readouterr().err
    assert (own_root / "weights" / "gpt.pt").exists()
    assert command.run(gpt, ["--max-new-tokens", "5"]) == 0
    assert "training" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "named"), [(["--iters", "20"], "--iters:"), (["--n-embd", "8", "--n-layer", "2"], "--n-layer --n-embd:")]
)
def test_flags_of_a_training_without_one_are_refused(flags, named, make_weights, capsys):
    assert run(diffusion, make_weights(diffusion), *flags) == 2
    assert named in capsys.readouterr().err


@every_method
def test_missing_weights_advise_the_same_command_with_train(method, tmp_path, monkeypatch, capsys):
    path = tmp_path / "my w.pt"
    monkeypatch.setattr(sys, "argv", [f"{method.name}.py", "--weights", str(path), "--seed", "3"])
    assert run(method, path, "--seed", "3") == 2
    assert f"uv run {method.name}.py --weights '{path}' --seed 3 --train\n" in capsys.readouterr().err


def test_an_unknown_device_is_refused():
    with pytest.raises(cli.UserError, match="nonsense"):
        machine.pick_device("nonsense")
    assert machine.pick_device("cpu") == torch.device("cpu")


def test_nothing_is_compiled_on_mac_or_windows_or_without_a_compiler(monkeypatch):
    for platform in ("darwin", "win32"):
        monkeypatch.setattr("sys.platform", platform)
        assert not machine.can_compile(torch.device("cpu"))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert not machine.can_compile(torch.device("cpu"))
