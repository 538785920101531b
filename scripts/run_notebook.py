"""Run the notebook of the documentation and keep what its cells show.

    pip install nbclient ipykernel
    python scripts/run_notebook.py

`tests/docs/test_notebook.py` runs the code of its cells, without these packages.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

from sleap_lab.demo.__main__ import copy

NOTEBOOK = Path(__file__).parents[1] / "docs" / "examples" / "tour.ipynb"


def main() -> None:
    """Run all cells in a copy of the demo; what tells progress is not kept."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with TemporaryDirectory() as folder:
        practice = Path(folder) / "practice"
        copy(practice)
        NotebookClient(notebook, resources={"metadata": {"path": str(practice)}}).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if not _is_progress(out)]
    nbformat.write(notebook, NOTEBOOK)


def _is_progress(output: nbformat.NotebookNode) -> bool:
    """Return whether an output is what a run tells while it goes on."""
    shown = output.output_type == "display_data" and "image/png" not in output.data
    return shown or output.get("name") == "stderr"


if __name__ == "__main__":
    main()
