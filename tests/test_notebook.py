"""The notebook of the documentation: committed without outputs, and every cell runs over a finished experiment."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import lms_ray

ROOT = Path(lms_ray.__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "python.ipynb"


def test_it_is_kept_without_outputs_and_as_jupyter_writes_it():
    text = NOTEBOOK.read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 10
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count]
    assert text == nbformat.writes(notebook, indent=1) + "\n"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.ray
def test_every_cell_runs(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LMS_RAY_EXPERIMENT", str(finished / "small"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in (finished / "small").rglob("*")}
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = [kind for output in shown for kind in output.get("data", {})]
    assert kinds.count("image/png") == 3 and "text/html" in kinds
    assert {path: path.stat().st_mtime_ns for path in (finished / "small").rglob("*")} == before, "it only reads"
    (model,) = tmp_path.glob("*/model-tr")
    assert (model / "model.safetensors").is_file()
