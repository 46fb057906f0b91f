"""The rules of the house, read from the source: who may import whom, what may run at import, how long a file may be."""

import ast
import difflib
import io
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("gpt", "diffusion", "diffusion_flow", "streams")
LAB = sorted(ROOT.glob("lab/**/*.py"))
SCRIPTS = [path for path in sorted(ROOT.glob("*.py")) if path.stem not in (*METHODS, "methods")]
BENCHMARKS = sorted(ROOT.glob("benchmarks/*.py"))
FILES = [*LAB, *SCRIPTS, *BENCHMARKS, *(ROOT / f"{name}.py" for name in (*METHODS, "methods"))]
LONGEST = 2550  # tokens of a file
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Top-level names of the modules that a file imports."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names


def code_lines(path):
    """Line -> number of tokens, for the lines that bear code: comments, docstrings and blank lines are free."""
    docs = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docs |= set(range(node.lineno, node.end_lineno + 1))
    lines = {}
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in skip and token.start[0] not in docs:
            lines[token.start[0]] = lines.get(token.start[0], 0) + 1
    return lines


def test_lab_imports_no_method_and_no_script():
    above = {*METHODS, "methods", "benchmarks", *(path.stem for path in SCRIPTS)}
    for path in LAB:
        assert not imports(path) & above, path


def test_a_room_imports_only_from_itself_and_from_the_rooms_before_it():
    rooms = ["", "decoding", "model", "training", "measuring", "showing", "command"]
    assert {path.parent.name for path in LAB} == {"lab", *rooms[1:-1]}

    def room(parts):
        return rooms.index(parts[0] if parts[0] in rooms else "")

    edges = set()
    for path in LAB:
        here = room(path.relative_to(ROOT / "lab").with_suffix("").parts)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "lab":
                names = [node.module] if "." in node.module else [f"lab.{alias.name}" for alias in node.names]
                for name in names:
                    edges.add((room(name.split(".")[1:]), here))
                    assert room(name.split(".")[1:]) <= here, f"{path}: {name}"
    assert len(edges) > 15


def test_no_script_imports_a_script():
    scripts = {path.stem for path in SCRIPTS}
    for path in [*SCRIPTS, *(ROOT / f"{name}.py" for name in METHODS)]:
        assert not imports(path) & scripts, path


def test_the_one_edge_between_methods():
    edges = {(name, other) for name in METHODS for other in METHODS if other in imports(ROOT / f"{name}.py")}
    assert edges == {("diffusion_flow", "diffusion")}


@every_file
def test_nothing_happens_at_import(path):
    """A file's top level holds its docstring, imports, definitions, constants, and the call of its main.

    But for lab/start.py, which is there for what comes first.
    """
    for node in tree(path).body if path.name != "start.py" else ():
        is_doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_main = isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        is_definition = isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign)
        assert is_doc or is_main or is_definition, f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Assign):
            called = {ast.unparse(call.func) for call in ast.walk(node.value) if isinstance(call, ast.Call)}
            records = {"Method", "Config", "Recipe", "Decoding", "replace"} if path.stem in METHODS else set()
            assert called <= {"Path", "Path(__file__).resolve"} | records, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", [path for path in FILES if path not in LAB], ids=lambda path: path.name)
def test_what_a_user_starts_imports_first_what_comes_before_pytorch(path):
    """Threads are told to sleep before PyTorch is loaded, and --help does without it, only where it stands there."""
    lines = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.names[0].name if isinstance(node, ast.Import) else node.module for node in lines]
    others = [name for name in names if name.partition(".")[0] not in sys.stdlib_module_names]
    text = path.read_text(encoding="utf-8")
    is_started = "__name__ == " in text
    assert not is_started or others[0] == "lab.start"


@every_file
def test_public_names_are_documented(path):
    module = tree(path)
    assert ast.get_docstring(module) or not module.body, f"{path.name}: the file says nothing of itself"
    for node in module.body:
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if public and not (isinstance(node, ast.ClassDef) and node.name == "Args"):
            short = isinstance(node, ast.FunctionDef) and len(node.body) <= 2
            assert ast.get_docstring(node) or short, f"{path.name}: {node.name}"


@every_file
def test_files_stay_short(path):
    lines = code_lines(path)
    assert sum(lines.values()) <= LONGEST
    if lines:
        assert sum(lines.values()) / len(lines) < 15  # short is what needs no second reading


@every_file
def test_functions_fit_on_a_screen(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            body = [line for line in code_lines(path) if node.lineno <= line <= node.end_lineno]
            assert len(body) <= 42, f"{path.name}: {node.name} has {len(body)} lines"


def test_what_departs_is_marked_and_told_in_the_docs():
    """docs/methods.md says what changes from gpt.py to diffusion.py and streams.py, then to diffusion_flow.py, in how many places."""
    page, chinese = ((ROOT / "docs" / f"methods{end}.md").read_text(encoding="utf-8") for end in ("", ".zh-CN"))
    for name in ("diffusion", "diffusion_flow", "streams"):
        marks = (ROOT / f"{name}.py").read_text(encoding="utf-8").count("[NEW]") - 1  # the docstring explains the mark
        assert f"{marks} places marked `[NEW]` in `{name}.py`" in page
        assert name == "streams" or f"`{name}.py` 里有 {marks} 处 `[NEW]`" in chinese


@pytest.mark.parametrize(
    "page, heading",
    [("README.md", "## Files"), ("README.zh-CN.md", "## 代码结构"), ("CONTRIBUTING.md", "## The files")],
)
def test_every_file_of_a_tree_exists_and_none_is_missing(page, heading):
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = text.split(heading)[1].split("```text\n")[1].split("```")[0].splitlines()
    named = [name for line in lines if not line.startswith(" ") for name in line.split("  ")[0].split()]
    rooms, inside = "", []
    for line in lines:
        if line.startswith("    "):
            inside.append(rooms + line.split()[0])
        else:
            rooms = line.split()[0]
    assert len(named) > 15
    found = {file for name in named + inside for file in ROOT.glob(name)}
    assert all(list(ROOT.glob(name)) for name in named + inside)
    assert {path for path in FILES if path.parent == ROOT} <= found
    assert not inside or {path for path in LAB if path.stem != "__init__"} <= found


def test_the_whole_stays_small_and_is_not_packed_into_few_lines():
    lines = [tokens for path in FILES for tokens in code_lines(path).values()]
    assert sum(lines) <= 55_000 and sum(lines) / len(lines) < 10.8


def test_the_diff_of_the_first_two_methods_reads_like_the_paper():
    """As `diff gpt.py diffusion.py | wc -l` counts it: a line for each line that goes or comes, one or two for each place."""
    one, two = ((ROOT / f"{name}.py").read_text(encoding="utf-8").splitlines() for name in METHODS[:2])
    changed = [
        ops for ops in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes() if ops[0] != "equal"
    ]
    lines = sum(b - a + d - c + 1 + (b > a and d > c) for _, a, b, c, d in changed)
    assert lines <= 155
