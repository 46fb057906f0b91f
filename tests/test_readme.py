"""The pages' own commands, run as they stand on tiny weights, or parsed; their flags, links, tables and Python."""

import importlib
import json
import re
import runpy
import shlex
import string
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import tyro

import methods
from benchmarks import readme, tables
from lab import cli
from lab.command import flags as flags_of_method
from lab.command import run as run_method
from lab.measuring import experiment
from lab.model import checkpoint, onnx_graph
from methods import METHODS

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in [*readme.pages(), *ROOT.glob("C*.md")]
}
README, CHINESE, EXPERIMENTS = PAGES["README.md"], PAGES["README.zh-CN.md"], PAGES["docs/experiments.md"]
FENCES = [
    fence.replace("\\\n", "") for page in PAGES.values() for fence in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
]
PYTHON = [block for page in PAGES.values() for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
SHELL = [line for fence in FENCES for line in re.findall(r'^(?:[^"\n]|"[^"]*")+', fence, re.MULTILINE)]
INLINE = [  # but of the rows of tables that name a commit, whose commands they are
    found
    for page in PAGES.values()
    for found in re.findall(r"`(uv run [^`]+)`(?!.*`[0-9a-f]{12}[^`]*` \|$)", page, re.MULTILINE)
]
ASIDE = {
    "--train": 0,
    "--resume": 0,
    "--weights": 1,
    "--data": 1,
    "--init": 1,
}  # what the test sets, and how many values
OTHERS = {"jupyter", "pytest", "ruff", "python"}


def after_uv_run(line):
    """What `uv run` is to run: a script with its flags, without uv's own options and torchrun's."""
    words = shlex.split(line, comments=True)
    words = words[words.index("run") + 1 :]
    while words[0] in ("--extra", "--group", "--no-sync", "--with"):
        words = words[1 if words[0] == "--no-sync" else 2 :]
    return tuple(words[3:] if words[0] == "torchrun" else words)


def without(argv, names):
    """argv without these flags and their values."""
    kept, skip = [], 0
    for word in argv:
        skip = names[word] + 1 if word in names else skip
        if skip == 0:
            kept.append(word)
        skip = max(0, skip - 1)
    return kept


COMMANDS = list(dict.fromkeys(after_uv_run(line) for line in [*SHELL, *INLINE] if "uv run " in line.split("#")[0]))
SCRIPT_COMMANDS = [command for command in COMMANDS if command[0].endswith(".py") and command[0] != "methods.py"]
METHOD_COMMANDS = {  # one of those that are alike without what the test sets
    (*without(command, ASIDE), "--train" in command): command
    for command in map(after_uv_run, (line for line in SHELL if line.startswith("uv run ")))
    if command[0].removesuffix(".py") in METHODS
}.values()
BENCHMARK_COMMANDS = [command[1:] for command in COMMANDS if command[0] == "-m"]
SCRIPTS = {path.stem for path in ROOT.glob("*.py")} - METHODS.keys() - {"methods"}
FLAG = re.compile(r"`--([\w-]+)`")


@pytest.fixture
def shakespeare_like(own_root, text_file):
    """A text that holds every printable ASCII character but the signs of a mask and a gap, and those of the Chinese page."""
    characters = "".join(sorted({*string.printable[:95], *CHINESE} - {"_", "*"}))
    text_file.write_text(characters * 3 + text_file.read_text(encoding="utf-8"), encoding="utf-8")
    return text_file


def test_the_readme_is_one_page_and_begins_with_the_two_commands():
    assert len(README.splitlines()) <= 140
    install = README.split("## Install")[1].split("##")[0]
    assert "Python >= 3.10, uv (`pip install uv`)" in install
    warning, commands = install.split("```bash")
    assert "5 GB" in warning and "UV_TORCH_BACKEND=cpu" in warning
    assert "uv run diffusion_flow.py " in commands
    assert "uv run pytest " in commands


def test_the_chinese_readme_says_the_same():
    """Figures, commands, Python and scripts of README.md; more commands of its own, for a Chinese text."""
    assert len(CHINESE.splitlines()) <= 220
    assert "[简体中文](README.zh-CN.md)" in README and "[English](README.md)" in CHINESE
    ours, theirs = (re.findall(r"\{\w.*?\}", "".join(re.findall("<!--.*-->", page))) for page in (CHINESE, README))
    assert sorted(name.replace("{chinese}", "{shown}") for name in ours) == sorted(theirs)
    ours, theirs = (
        {after_uv_run(line) for line in re.findall(r"^uv run .*", page, re.MULTILINE)} for page in (CHINESE, README)
    )
    assert {tuple(word.replace("my_text", "hongloumeng") for word in command) for command in theirs} <= ours
    assert {f"{name}.py" for name in SCRIPTS | METHODS.keys()} <= set(re.findall(r"\w+\.py", CHINESE))


def test_every_line_of_a_shell_block_is_a_command_that_is_checked():
    assert {line.split()[0] for line in SHELL if not line.startswith("SCREENSHOTS=")} <= {"uv", "git", ".ci/run"}
    others = [command for command in COMMANDS if not command[0].endswith(".py") and command[0] != "-m"]
    assert {command[0] for command in others} <= OTHERS
    for words in others:
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    assert len(METHOD_COMMANDS) >= 10
    assert all(command in COMMANDS for command in METHOD_COMMANDS)


@pytest.mark.parametrize("command", METHOD_COMMANDS, ids=" ".join)
def test_a_command_of_a_page_runs(command, shakespeare_like, own_root, tiny, capsys):
    if "onnx" in command:
        pytest.importorskip("onnxscript", reason="needs --extra onnx")
    name, path = command[0].removesuffix(".py"), own_root / "weights.pt"
    method, argv = METHODS[name], without(command[1:], ASIDE)
    training = ["--train", "--iters", "1", "--data", str(shakespeare_like), *tiny]
    if "--train" not in command:
        assert run_method(method, [*training, "--weights", str(path), "--max-new-tokens", "1"]) == 0
        capsys.readouterr()
        training = []
    short = [] if "--infill" in command else ["--max-new-tokens", "60"]  # where the command does not say
    assert run_method(method, [*short, *argv, *training, "--weights", str(path)]) == 0
    captured = capsys.readouterr()
    assert len(captured.out) > 18
    assert "forward passes (NFE" in captured.err


def test_every_script_is_shown():
    assert {command[0].removesuffix(".py") for command in SCRIPT_COMMANDS} == SCRIPTS | METHODS.keys()
    benchmarks = [path for path in ROOT.glob("benchmarks/**/*.py") if "__main__" in path.read_text("utf-8")]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in benchmarks}
    assert names >= {command[0] for command in BENCHMARK_COMMANDS}


@pytest.mark.parametrize("command", [*SCRIPT_COMMANDS, *BENCHMARK_COMMANDS], ids=" ".join)
def test_a_script_of_a_page_knows_its_flags(command, monkeypatch):
    """That the scripts run and leave their files is test_scripts.py's business."""
    monkeypatch.setattr(onnx_graph, "PACKAGES", ())  # with or without them
    script = importlib.import_module(command[0].removesuffix(".py"))
    Args = flags_of_method(script.METHOD) if hasattr(script, "METHOD") else script.Args
    assert tyro.cli(Args, args=command[1:], config=cli.CONFIG)


def flags_of(text):
    """The flags of Markdown tables, with the default that stands in the same place: {name: default}."""
    found = {}
    for line in re.findall(r"^\| `(?:--|damaged`).*", text, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = FLAG.findall(cells[0]) or ["damaged"]  # the one that is typed without a flag
        found |= dict(zip(names, cells[1:] if names[0].startswith("a-") else cells[1:2] * len(names), strict=False))
    return {name.replace("-", "_"): default for name, default in found.items()}


def as_shown(default):
    """A default as docs/experiments.md writes it; None where it may say in words what is done without the flag."""
    if default in (None, (), MISSING):
        return None
    values = default if isinstance(default, tuple) else (default,)
    paths = [f"`{value.relative_to(ROOT).as_posix()}`" for value in values if isinstance(value, Path)]
    return ", ".join(paths) or ",".join(map(str, values))


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_flag_is_told_with_its_default(name):
    """Each script's section of docs/experiments.md; those that write many texts share a table."""
    (anchor,) = re.findall(rf"^\| \[`{name}.py`\]\(#(.*?)\)", EXPERIMENTS, re.MULTILINE)
    sections = re.split(r"^## ", EXPERIMENTS, flags=re.MULTILINE)
    (own,) = [section for section in sections if slug(section.splitlines()[0]) == anchor]
    Args = importlib.import_module(name).Args
    told = flags_of(own)
    if issubclass(Args, experiment.Args):
        (shared,) = [section for section in sections if section.startswith("Flags that many share")]
        told = flags_of(shared.split("Unless told otherwise")[0]) | told
    assert told.keys() == {field.name for field in fields(Args)}
    for field in fields(Args):
        shown = as_shown(field.default)
        assert shown in (None, told[field.name]), f"{field.name}: {shown}, not {told[field.name]}"


def test_every_flag_of_the_three_commands_is_told_with_its_defaults():
    told, found = flags_of(EXPERIMENTS.split("## The commands")[1].split("\n## ")[0]), {}
    for args in (flags_of_method(method)() for method in METHODS.values()):
        for part in (args, args.decoding, args.recipe, args.config):
            for field in fields(part):
                found.setdefault(field.name, set()).add(as_shown(getattr(part, field.name)))
    assert told.keys() == found.keys() - {"decoding", "recipe", "config", "vocab_size"}
    for name, cell in told.items():
        shown = set(re.sub(r" \(.*?\)", "", cell).split(", ")) - {""}
        assert found[name] in (shown, {None}), name


def slug(heading):
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            found = (ROOT / name).parent / path if path else ROOT / name
            assert found.exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.*)", found.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in map(slug, headings), target


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.splitlines()[-1][:40])
def test_python_of_a_page_runs(block, shakespeare_like, own_root, tiny, capsys, monkeypatch):
    for name, path in (("diffusion", "diffusion.pt"), ("diffusion", "my_diffusion.pt")):
        flags = ["--train", "--iters", "1", "--data", str(shakespeare_like), "--max-new-tokens", "1", *tiny]
        assert run_method(METHODS[name], [*flags, "--weights", str(own_root / path)]) == 0
    capsys.readouterr()
    monkeypatch.setattr(methods.checkpoint, "default_path", lambda name: own_root / f"{name}.pt")
    monkeypatch.chdir(own_root)
    (own_root / "block.py").write_text(block, encoding="utf-8")
    runpy.run_path(str(own_root / "block.py"))
    assert len(capsys.readouterr().out) > 100 * block.count("print(")


def test_evaluate_likelihood_runs(shakespeare_like, own_root, tiny, capsys):
    assert ("evaluate_likelihood.py", "--repeats", "2") in COMMANDS
    for name, method in METHODS.items():
        flags = ["--train", "--iters", "1", "--data", str(shakespeare_like), "--max-new-tokens", "1", *tiny]
        assert run_method(method, [*flags, "--weights", str(own_root / f"{name}.pt")]) == 0
    script = importlib.import_module("evaluate_likelihood")
    weights = ",".join(str(own_root / f"{name}.pt") for name in METHODS)
    argv = ["--weights", weights, "--data", str(shakespeare_like), "--output-dir", str(own_root / "out")]
    argv += ["--windows", "2"]
    assert cli.run(script.main, script.Args, argv) == 0
    assert "diffusion_flow" in capsys.readouterr().out
    rows = json.loads((own_root / "out" / "likelihood.json").read_text())["rows"]
    windows = [row for row in rows if row["measure"].endswith("non-overlapping windows")]
    kinds = {row["module"]: row["measure"].partition(",")[0] for row in windows}
    assert kinds == {"gpt": "exact", "diffusion": "upper bound", "diffusion_flow": "upper bound", "streams": "exact"}


def test_shipped_weights_are_there_small_and_named_after_their_method():
    paths = sorted((ROOT / "weights").rglob("*.pt"))
    paths = [path for path in paths if not path.name.endswith(".resume.pt")]
    assert sum(path.stat().st_size for path in paths) < 30e6
    for path in paths:
        if path.stem in METHODS:
            method = METHODS[path.stem]
            checkpoint.load(path, method)
    assert {path.stem for path in paths} >= METHODS.keys()


@pytest.mark.parametrize("path", readme.pages(), ids=lambda path: path.name)
def test_tables_and_samples_say_what_the_results_say(path):
    page = path.read_text(encoding="utf-8")
    assert readme.render(page) == page


def test_every_table_has_a_place():
    pages = "".join(path.read_text(encoding="utf-8") for path in readme.pages())
    assert all(f"<!-- {name} |" in pages for name in tables.ROWS)


def test_a_table_has_as_many_columns_as_its_heading():
    places = [place for page in PAGES.values() for place in re.findall(readme.TABLE, page)]
    assert len(places) > 15
    for kept, _, pattern in places:
        assert {line.count("|") for line in kept.splitlines()[1:]} == {pattern.count("|") + 2}, kept


@pytest.mark.parametrize("page", [README, CHINESE], ids=["English", "Chinese"])
def test_the_first_table_fits_the_column_of_a_repository_page(page):
    """838 pixels, at about 8 for a letter, 16 for a Chinese character and 27 for the margins of a cell, with the two blanks."""
    table = re.search(readme.TABLE, page)[0]
    columns = list(zip(*(line.strip("|").split("|") for line in table.splitlines()[1:-1]), strict=True))
    assert len(columns) == 6
    widths = [max(sum(16 if cell > "\u2e80" else 8 for cell in text) for text in column) for column in columns]
    assert sum(widths) + 11 * len(widths) <= 838


def test_no_figure_interrupts_a_sentence():
    for name, page in PAGES.items():
        assert not re.search(r"-->[\d.,]+<!--", page), name


def test_a_sentence_has_the_figures_of_the_first_table():
    (gpt,) = [row for row in tables.summary() if row["name"] == "GPT"]
    page = "- <!-- It makes {GPT[nfe]:.0f} passes. -->\n  It makes 7 passes.\nMore.\n"
    assert readme.render(page) == page.replace("7", f"{gpt['nfe']:.0f}")


def test_an_unknown_table_is_a_mistake():
    with pytest.raises(KeyError, match="likelyhood"):
        readme.render("<!-- likelyhood | {nats} | -->\n| nats |\n|---|\n<!-- end -->")


def test_an_unknown_configuration_is_seen():
    with pytest.raises(KeyError, match="GPT-5"):
        readme.render("<!-- {GPT-5[nats]} nats. -->\n1 nats.")
