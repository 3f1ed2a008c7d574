"""The notebooks in examples/ run from top to bottom and still show what they are about."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

SHARED = {"study_table"}  # read data and a model that lie outside the project
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(
    path: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path.stem in SHARED:
        monkeypatch.setenv("FAIROPT_DATA", str(request.getfixturevalue("data_dir")))
        monkeypatch.setenv("FAIROPT_MODELS", str(request.getfixturevalue("models_dir")))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    audits = any("fo.audit(" in cell.source for cell in notebook.cells)
    assert audits == any("fairopt-chip" in output.get("data", {}).get("text/html", "") for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_with_its_output(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def test_only_the_grafted_group_is_held() -> None:
    notebook = nbformat.read(NOTEBOOKS[-1], as_version=4)
    shown = "".join(
        output.get("data", {}).get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert shown.count("✕ over limit") >= 1
    rows = [row for row in shown.split("<tr>") if "✕ over limit" in row]
    assert all("Pordelic" in row for row in rows)
