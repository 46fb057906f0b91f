"""The README's own commands, run as they stand on tiny weights; each must end well."""

import importlib
import re
import shlex
import string
from pathlib import Path

import pytest
import tyro

from benchmarks import readme
from lab import checkpoint, cli
from lab.cli import UserError
from methods import METHODS

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
FENCED = "".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL)).replace("\\\n", "")
COMMANDS = [
    shlex.split(line.replace("--extra page ", ""), comments=True)
    for line in re.findall(r'^uv run (?:[^"\n]|"[^"]*")*', FENCED, re.MULTILINE)
]
SCRIPT_COMMANDS = [
    command[2:] for command in COMMANDS if command[2].endswith(".py") and command[2].removesuffix(".py") not in METHODS
]
METHOD_COMMANDS = [command[2:] for command in COMMANDS if command[2].removesuffix(".py") in METHODS]
ASIDE = {"--train": 0, "--weights": 1, "--data": 1}  # what the test sets itself, and how many values follow


@pytest.fixture
def shakespeare_like(own_root, text_file):
    """A text that holds every printable ASCII character but the mask symbol."""
    characters = string.printable[:95].replace("_", "") + "\n"
    text_file.write_text(characters * 3 + text_file.read_text(encoding="utf-8"), encoding="utf-8")
    return text_file


def without(argv, names):
    """argv without these flags and their values."""
    kept, skip = [], 0
    for word in argv:
        skip = names[word] + 1 if word in names else skip
        if skip == 0:
            kept.append(word)
        skip = max(0, skip - 1)
    return kept


def test_the_first_screen_has_the_two_commands():
    first = README.split("##")[0]
    assert "Prerequisite: Python >= 3.10 and uv (`pip install uv`)" in first
    assert "uv run diffusion_flow.py " in first
    assert "uv run pytest " in first
    assert len(METHOD_COMMANDS) >= 10


@pytest.mark.parametrize("command", METHOD_COMMANDS, ids=" ".join)
def test_a_command_of_the_readme_runs(command, shakespeare_like, own_root, tiny, capsys):
    name, path = command[0].removesuffix(".py"), own_root / "weights.pt"
    method, argv = METHODS[name], without(command[1:], ASIDE)
    training = ["--train", "--iters", "1", "--data", str(shakespeare_like), *tiny]
    if "--train" not in command:
        assert cli.run(method.main, method.Args, [*training, "--weights", str(path), "--max-new-tokens", "1"]) == 0
        capsys.readouterr()
        training = []
    assert cli.run(method.main, method.Args, [*argv, *training, "--weights", str(path)]) == 0
    captured = capsys.readouterr()
    assert len(captured.out) > 30
    assert "calls (NFE" in captured.err


def test_every_script_is_shown():
    shown = {command[0].removesuffix(".py") for command in SCRIPT_COMMANDS}
    root = Path(__file__).resolve().parent.parent
    assert shown == {path.stem for path in root.glob("*.py")} - METHODS.keys() - {"methods"}


@pytest.mark.parametrize("command", SCRIPT_COMMANDS, ids=" ".join)
def test_a_script_of_the_readme_knows_its_flags(command):
    """That the scripts run and leave their files is test_scripts.py's business."""
    script = importlib.import_module(command[0].removesuffix(".py"))
    assert tyro.cli(script.Args, args=command[1:], config=cli.CONFIG)


def test_evaluate_likelihood_runs(shakespeare_like, own_root, tiny, capsys):
    assert ["uv", "run", "evaluate_likelihood.py", "--repeats", "2"] in COMMANDS
    for name, method in METHODS.items():
        flags = ["--train", "--iters", "1", "--data", str(shakespeare_like), "--max-new-tokens", "1", *tiny]
        assert cli.run(method.main, method.Args, [*flags, "--weights", str(own_root / f"{name}.pt")]) == 0
    script = importlib.import_module("evaluate_likelihood")
    weights = ",".join(str(own_root / f"{name}.pt") for name in METHODS)
    argv = ["--weights", weights, "--data", str(shakespeare_like), "--output-dir", str(own_root / "out")]
    argv += ["--windows", "2"]
    assert cli.run(script.main, script.Args, argv) == 0
    assert "diffusion_flow" in capsys.readouterr().out
    assert (own_root / "out" / "likelihood.json").exists()


def test_shipped_weights_are_there_small_and_named_after_their_method():
    paths = sorted((Path(__file__).resolve().parent.parent / "weights").glob("*.pt"))
    paths = [path for path in paths if not path.name.endswith(".resume.pt")]
    assert sum(path.stat().st_size for path in paths) < 30e6
    for path in paths:
        if path.stem in METHODS:
            method = METHODS[path.stem]
            checkpoint.load(path, path.stem, method.Model, type(method.Args().config))
    assert {path.stem for path in paths} >= METHODS.keys()


@pytest.mark.parametrize("path", readme.pages(), ids=lambda path: path.name)
def test_tables_and_samples_say_what_the_results_say(path):
    page = path.read_text(encoding="utf-8")
    assert readme.render(page) == page


def test_every_table_has_a_place():
    pages = "".join(path.read_text(encoding="utf-8") for path in readme.pages())
    assert all(f"<!-- {name} -->\n" in pages for name in readme.PLACES)


def test_an_unknown_table_is_a_mistake():
    with pytest.raises(UserError, match="likelyhood: unknown"):
        readme.render("<!-- likelyhood -->\n<!-- end -->")
