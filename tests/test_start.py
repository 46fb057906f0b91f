"""Before PyTorch: what --help and refusals cost, what a rehearsal leaves behind (nothing), and OpenMP's settings."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab import cli, start

# runs as any Python does before its script: prints, at the end, which heavy packages were imported, and OpenMP's setting
WATCH = """
import atexit, os, pathlib, sys
if hasattr(os, "getloadavg"):
    os.getloadavg = lambda: (float(os.environ.get("LOAD", 100)), 0, 0)
read_text = pathlib.Path.read_text
def read(path, *how, **more):
    if path == pathlib.Path("/proc/stat"):
        return "procs_running " + os.environ.get("RUNNING", "3")
    return read_text(path, *how, **more)
pathlib.Path.read_text = read
def tell():
    found = [n for n in ("torch", "numpy", "scipy", "pandas", "matplotlib") if hasattr(sys.modules.get(n), "__version__")]
    print("loaded:", *found, os.environ.get("OMP_WAIT_POLICY"), file=sys.stderr)
atexit.register(tell)
"""


@pytest.fixture
def launch(tmp_path):
    """launch(*words, **environment) -> (exit status, stdout, stderr without its last line, what that line says was loaded)."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)

    def run(*words, cwd=cli.ROOT, **environment):
        environment = {
            **{key: value for key, value in cli.os.environ.items() if key != "OMP_WAIT_POLICY"},
            "PYTHONPATH": f"{tmp_path}:{cli.ROOT}".replace(":", cli.os.pathsep),
            **environment,
        }
        done = subprocess.run(
            [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        *err, loaded = done.stderr.splitlines()
        return done.returncode, done.stdout, "\n".join(err), loaded.removeprefix("loaded: ").split()

    return run


SCRIPTS = sorted(path for path in cli.ROOT.glob("*.py") if "cli.run(main" in path.read_text(encoding="utf-8"))
BENCHMARKS = ["infilling", "frontier", "readme"]
RUNS = [[path.name] for path in SCRIPTS] + [["-m", f"benchmarks.{name}"] for name in BENCHMARKS]


@pytest.mark.parametrize("words", RUNS, ids=lambda words: words[-1])
def test_help_loads_nothing_heavy(words, launch):
    status, out, err, loaded = launch(*words, "--help")
    assert status == 0 and out.startswith("usage: ") and err == ""
    assert loaded == ["PASSIVE"]


REFUSED = {
    "gpt.py --nonsense": "--nonsense",
    "gpt.py --temp -1": "temp must lie in 0..inf",
    "gpt.py --iters 3": "--iters: training only",
    "gpt.py --resume": "--resume and --init go with --train",
    "diffusion.py --steps 3 --spacing 2": "steps",
    "visualize.py --save film.mp4": "--save film.mp4: only",
    "restore.py damaged.txt": "--output",
    "run_inference_sweep.py --resume nix": "--resume nix: has no rows.jsonl",
    "-m benchmarks.frontier --rounds -1": "rounds",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_refusal_of_flags_loads_nothing_heavy(line, launch):
    status, out, err, loaded = launch(*line.split())
    assert status == 2 and out == "" and REFUSED[line] in err
    assert loaded == ["PASSIVE"]


def test_from_another_folder_too(launch, tmp_path):
    status, out, _, loaded = launch(str(cli.ROOT / "gpt.py"), "--help", cwd=tmp_path)
    assert status == 0 and "--temp" in out and loaded == ["PASSIVE"]


def test_a_command_that_writes_loads_pytorch_and_no_table_maker(launch):
    status, out, err, loaded = launch("gpt.py", "--max-new-tokens", "2", "--prompt", "To b")
    assert status == 0 and len(out) == 7 and "2 new characters" in err
    assert loaded == ["torch", "numpy", "PASSIVE"]


def test_the_users_settings_of_openmp_win(launch):
    assert launch("gpt.py", "--help", OMP_WAIT_POLICY="ACTIVE")[-1] == ["ACTIVE"]


def test_on_a_quiet_machine_threads_wait_as_they_come(launch):
    assert launch("gpt.py", "--help", LOAD="0.1")[-1] == ["None"]


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not say what runs now")
def test_the_load_of_a_command_that_has_ended_makes_no_busy_machine(launch):
    assert launch("gpt.py", "--help", RUNNING="1")[-1] == ["None"]


@pytest.fixture
def script(tmp_path):
    """script(text) -> path of a file that starts as ours do."""

    def write(text):
        path = tmp_path / "script.py"
        path.write_text(f"import sys\nimport torch\nfrom torch import nn\nfrom dataclasses import dataclass\n{text}")
        return path

    return write


ARGS = "@dataclass(frozen=True)\nclass Args:\n    what: str = 'x'\n"


def rehearsed(path, monkeypatch, *argv):
    """The exit status of a rehearsal of a script; None where the script is to run."""
    monkeypatch.setattr(sys, "argv", ["script.py", *argv])
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    try:
        start.rehearse(path)
    except SystemExit as stop:
        return stop.code
    return None


DEFINING = """
@torch.compile
class Layer(nn.Module):
    device = torch.device("cpu")
    size: torch.Tensor | None = None
    @torch.inference_mode()
    def forward(self, x: torch.Tensor, y: "int | torch.Tensor" = 0) -> list[torch.Tensor]:
        return nn.functional.relu(x)
"""


def test_classes_decorators_and_annotations_of_a_method_need_no_pytorch(script, monkeypatch, capsys):
    path = script(DEFINING + ARGS + "def main(args):\n    print(args.what)\n")
    assert rehearsed(path, monkeypatch, "--help") == 0
    assert "--what" in capsys.readouterr().out


USES = {
    "at the top": "ONE = torch.ones(1) + 1\n",
    "in a condition at the top": "if torch.cuda.is_available(): pass\n",
    "a bug": "1 / 0\n",
}


@pytest.mark.parametrize("what", USES)
def test_what_cannot_be_rehearsed_is_left_to_the_run(what, script, monkeypatch, capsys):
    assert rehearsed(script(USES[what] + ARGS + "def main(args):\n    pass\n"), monkeypatch, "--help") is None
    assert capsys.readouterr() == ("", "")


def test_where_the_flags_are_right_nothing_is_done_or_left(script, monkeypatch, capsys):
    before, path = {*sys.modules}, sys.meta_path[:]
    text = script(ARGS + "def main(args):\n    print('once')\n")
    assert rehearsed(text, monkeypatch) is None
    assert capsys.readouterr() == ("", "") and sys.meta_path == path
    assert not any(isinstance(module, start.Hollow) for module in sys.modules.values())
    assert "rehearsal" not in {*sys.modules} - before


DEPENDS = {
    "a condition": "if torch.cuda.is_available(): raise cli.UserError('no')",
    "a comparison": "torch.cuda.device_count() > 1 or sys.exit(7)",
    "a kind": "isinstance(3, nn)",
    "behind a handler of everything": "\n        try: list(torch.zeros(3))\n        except Exception: sys.exit(7)",
    "a bug": "raise ZeroDivisionError",
}


@pytest.mark.parametrize("what", DEPENDS)
def test_flags_that_depend_on_pytorch_are_left_to_the_run(what, script, monkeypatch, capsys):
    path = script(
        f"from lab import cli\n{ARGS}    def __post_init__(self): {DEPENDS[what]}\ndef main(args):\n    pass\n"
    )
    assert rehearsed(path, monkeypatch) is None
    assert capsys.readouterr() == ("", "")


def test_our_modules_are_made_anew_after_a_rehearsal_those_in_c_not(script, monkeypatch):
    monkeypatch.delitem(sys.modules, "lab.decoding.sampling")
    monkeypatch.delattr(sys.modules["lab.decoding"], "sampling")
    path = script("from lab.decoding import sampling\n" + ARGS + "def main(args):\n    torch.ones(1)\n")
    assert rehearsed(path, monkeypatch) is None
    assert "lab.decoding.sampling" not in sys.modules and not hasattr(sys.modules["lab.decoding"], "sampling")
    assert sys.modules["lab.cli"] is cli
