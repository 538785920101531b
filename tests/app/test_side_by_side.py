"""Runs at the same time: on one output file, one cache, and one locked MLflow store."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from sleap_lab.inference.cache import entries
from sleap_lab.media.labels import read_labels, to_poses

QUIET = ("report=none", "logger=none")


@pytest.fixture
def words(demo):
    return (f"data.path={demo.truth}", "model=none", "report=none")


@pytest.fixture(scope="module")
def database(tmp_path_factory, sleap_lab, demo):
    """An MLflow store with a run in it: making one takes seconds, copying it none."""
    cwd = tmp_path_factory.mktemp("store")
    assert (
        sleap_lab(
            f"data.path={demo.truth}", "model=none", "tracker=fixed_window", "report=none", cwd=cwd
        ).code
        == 0
    )
    return cwd / "outputs" / "mlflow.db"


def test_of_runs_that_write_the_same_file_each_is_whole_and_the_earlier_ones_are_kept(
    words, start, tmp_path
):
    """Takes six seconds: several runs of the demo at the same time."""
    settings = [("data.frames=0-9",), ("data.frames=10-39",), ("data.frames=40-99",)]
    processes = [
        start(*words, "tracker=fixed_window", "output.path=poses.slp", *more, *QUIET, cwd=tmp_path)
        for more in settings
    ]
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    kept = ["poses.slp", "poses.slp.bak", "poses.slp.bak2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs", *kept]
    (tmp_path / "read").mkdir()
    found = []
    for number, name in enumerate(kept):
        labels = (tmp_path / name).rename(tmp_path / "read" / f"{number}.slp")
        found.append(to_poses(read_labels(labels)).frames[:, 1].tolist())
    assert sorted(found) == [list(range(10)), list(range(10, 40)), list(range(40, 100))]
    assert len(list(tmp_path.glob("outputs/*/*/run.json"))) == 3


def test_runs_that_need_the_same_compute_it_once(words, start, tmp_path):
    """Takes six seconds: several runs of the demo at the same time."""
    processes = [start(*words, "tracker=fixed_window", *QUIET, cwd=tmp_path) for _ in range(3)]
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    asked = [
        json.loads(path.read_text())["cache"]["track"]
        for path in tmp_path.glob("outputs/*/*/run.json")
    ]
    assert sorted(asked) == ["hit", "hit", "miss"]
    assert len(entries(tmp_path / "outputs" / "cache")) == 1
    arrays = [
        to_poses(read_labels(path)).to_arrays()
        for path in tmp_path.glob("outputs/*/*/predictions.slp")
    ]
    assert all(
        array.tobytes() == other[name].tobytes()
        for name, array in arrays[0].items()
        for other in arrays
    )


IMPATIENT = """
import sys
from sleap_lab import cli
from sleap_lab.runs import store
store.LOCK_SECONDS = 2
cli.main(sys.argv[1:])
"""
"""Waits two seconds for a store that somebody holds, and not two minutes."""


# nobody else may read; nobody else may write
@pytest.mark.parametrize("hold", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_store_that_somebody_holds_costs_a_warning_and_is_filled_later(
    words, sleap_lab, database, mlflow_runs, tmp_path, hold
):
    """Takes six seconds: a run of the demo whose logging gives up, and is done later."""
    (tmp_path / "outputs").mkdir()
    held = shutil.copy(database, tmp_path / "outputs")
    with closing(sqlite3.connect(held, isolation_level=None)) as holder:
        holder.execute(f"BEGIN {hold}")
        command = [sys.executable, "-c", IMPATIENT, *words, "tracker=fixed_window"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        holder.execute("ROLLBACK")
    (run,) = tmp_path.glob("outputs/*/*/run.json")
    # On a busy machine it may also say that it takes long.
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    assert ended.returncode == 0
    assert said.endswith(
        f"database is locked; the run is complete in {run.parent}, "
        f"`sleap-lab sync {run.parent}` uploads it later"
    )
    assert (run.parent / "predictions.slp").exists()
    assert sleap_lab("sync", cwd=tmp_path).code == 0
    (logged,) = [
        run
        for run in mlflow_runs(tmp_path)
        if run.data.tags["sleap_lab.folder"].startswith(str(tmp_path))
    ]
    assert logged.info.status == "FINISHED"
