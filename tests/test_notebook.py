"""The notebook runs from its first cell to its last, on short texts.

uv run --group notebook pytest tests/test_notebook.py
"""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs: uv run --group notebook")
nbclient = pytest.importorskip("nbclient", reason="needs: uv run --group notebook")
TOUR = Path(__file__).parents[1] / "notebooks" / "tour.ipynb"


def test_the_tour_runs_and_shows_what_it_promises():
    tour = nbformat.read(TOUR, as_version=4)
    assert not any(cell.get("outputs") for cell in tour.cells), "the notebook is stored without what it printed"
    settings = next(cell for cell in tour.cells if "NEW, SEED" in cell.source)
    settings.source = settings.source.replace("240", "24")
    nbclient.NotebookClient(tour, timeout=300, resources={"metadata": {"path": TOUR.parent}}).execute()
    shown = [
        str(output.get("data", output.get("text", ""))) for cell in tour.cells for output in cell.get("outputs", [])
    ]
    assert all(
        any(part in text for text in shown)
        for part in ("--- diffusion_flow\nROMEO:", "<iframe", "mask 5", " is dead, long live the ")
    )


def test_its_links_lead_somewhere():
    for cell in nbformat.read(TOUR, as_version=4).cells:
        for link in (part.split(")")[0].split("#")[0] for part in cell.source.split("](")[1:]):
            assert (TOUR.parent / link).exists(), link
