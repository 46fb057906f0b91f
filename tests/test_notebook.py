"""The notebook runs from its first cell to its last, and is stored with what it shows.

uv run --group notebook pytest tests/test_notebook.py
"""

import re
import runpy
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs: uv run --group notebook")
nbclient = pytest.importorskip("nbclient", reason="needs: uv run --group notebook")
TOUR = Path(__file__).parents[1] / "notebooks" / "tour.ipynb"


def shown(tour):
    """What each cell prints and displays, as one text."""
    return ["".join(map(said, cell.get("outputs", []))) for cell in tour.cells]


def said(output):
    return output.get("text") or output["data"].get("text/html", "")


def test_the_tour_runs_without_a_warning_and_shows_what_is_stored():
    tour = nbformat.read(TOUR, as_version=4)
    stored = shown(tour)
    nbclient.NotebookClient(tour, timeout=300, resources={"metadata": {"path": TOUR.parent}}).execute()
    assert {output.get("name", "stdout") for cell in tour.cells for output in cell.get("outputs", [])} == {"stdout"}
    assert list(map(bool, shown(tour))) == list(map(bool, stored))
    for part in ("--- streams\nROMEO:", "<iframe", "mask 5", " is dead, long live the ", "noise gone", "--- flow off"):
        for texts in (stored, shown(tour)):
            assert any(part in text for text in texts), part


def test_what_is_stored_is_small_and_names_no_folder_of_a_machine():
    text = TOUR.read_text(encoding="utf-8")
    assert len(text) < 150_000
    assert not re.search(r"/(home|Users|root|tmp|work|usr|opt)/|site-packages", text)
    assert not re.search(r'"(start_time|iopub.*|shell.*)"', text)


def test_the_first_cell_brings_the_project_to_an_empty_machine(tmp_path, monkeypatch):
    """As on Colab: its folder holds the notebook alone. A stand-in of subprocess.run says what would be installed."""
    cell = next(cell for cell in nbformat.read(TOUR, as_version=4).cells if cell.cell_type == "code")
    asked = []

    def run(command, check):
        asked.append(command)
        if command[0] == "git":
            (tmp_path / command[-1]).mkdir()
            for name in ("notebooks", "pyproject.toml"):
                (tmp_path / command[-1] / name).symlink_to(TOUR.parents[1] / name)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("builtins.input", lambda _: "ADDRESS")
    (tmp_path / "cell.py").write_text(cell.source, encoding="utf-8")
    runpy.run_path(str(tmp_path / "cell.py"))
    assert "ADDRESS" in asked[0] and asked[-1][-1] == "../pyproject.toml"
    assert Path("../methods.py").exists() and Path("../pyproject.toml").exists()
    asked.clear()
    runpy.run_path(str(tmp_path / "cell.py"))
    assert not asked  # in a clone there is nothing to bring


def test_every_question_has_an_answer_that_unfolds():
    questions = [cell.source for cell in nbformat.read(TOUR, as_version=4).cells if "**Question.**" in cell.source]
    assert len(questions) > 5
    for source in questions:
        assert source.rstrip().endswith("</details>") and "<summary>Answer</summary>\n\n" in source


def test_its_links_lead_somewhere():
    for cell in nbformat.read(TOUR, as_version=4).cells:
        for link in re.findall(r"\]\(([^#)]+)", cell.source):
            assert link.startswith("https://") or (TOUR.parent / link).exists(), link
