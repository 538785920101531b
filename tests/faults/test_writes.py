"""A few of the calls that `make faults` lets fail, all of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None,
    reason="calls are made to fail on Linux, with a C compiler",
)
def test_a_call_that_fails_costs_a_line_and_no_file():
    """Takes half a minute: each call that fails needs a run of the demo, and one more after it."""
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.writes", "--first", "20", "--every", "233"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
