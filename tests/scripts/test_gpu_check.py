"""The script itself needs a GPU; what can be tested is its table, and that it refuses to begin."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_rows_of_several_kinds_are_one_table(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS.parent)
    shown = runpy.run_path(str(SCRIPTS / "gpu_check.py"))["shown"]
    rows = [{"kind": "a", "rate": 1.26}, {"kind": "b", "error": "1|2 fails\n\nin a.py"}]
    assert shown("speed", rows) == (
        "\n## speed\n\n| kind | rate | error |\n| --- | --- | --- |\n"
        "| a | 1.3 |  |\n| b |  | 1\\|2 fails |\n"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path):
    ended = subprocess.run(
        ["sh", str(SCRIPTS / "gpu_check.sh"), "reference", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable},
        timeout=300,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (2, "error: PyTorch finds no CUDA device here\n")
    assert not (tmp_path / "out").exists()
