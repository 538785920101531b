"""The code of the notebook runs, cell by cell, and what it shows is kept in it."""

import json
from pathlib import Path

import matplotlib
import pytest

from sleap_lab.demo.__main__ import copy

NOTEBOOK = Path(__file__).parents[2] / "docs" / "examples" / "tour.ipynb"
CELLS = [
    cell
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    if cell["cell_type"] == "code"
]


def test_the_code_of_the_cells_runs(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    copy(tmp_path / "practice")
    monkeypatch.chdir(tmp_path / "practice")
    matplotlib.use("Agg")
    names = {}
    for number, cell in enumerate(CELLS, start=1):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    matplotlib.pyplot.close("all")
    assert names["result"].summary.counts["tracks"] == 3
    assert set(names["table"]["track"]) == {"track_0", "track_1", "track_2"}
    assert names["batch"].poses.frames[-1].tolist() == [0, 7]


def test_the_notebook_was_run_from_top_to_bottom():
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    outputs = [output for cell in CELLS for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert NOTEBOOK.stat().st_size < 200_000
