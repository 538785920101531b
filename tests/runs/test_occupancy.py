"""A folder that a user chose holds one run, or none."""

import os

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.runs import summary
from sleap_lab.runs.occupancy import occupied
from sleap_lab.runs.summary import RunSummary


def enter(folder):
    with occupied(folder) as mlflow:
        return mlflow


def test_a_folder_is_held_by_one_run_at_a_time(tmp_path):
    with (
        occupied(tmp_path / "mine"),
        pytest.raises(
            ConfigError,
            match=r"^hydra\.run\.dir: a run is going on in .*mine; choose another folder$",
        ),
    ):
        enter(tmp_path / "mine")
    assert enter(tmp_path / "mine") is None


@pytest.mark.parametrize("status", ["finished", "partial"])
def test_results_are_never_overwritten(tmp_path, status):
    summary.write(tmp_path, RunSummary(status=status))
    with pytest.raises(
        ConfigError,
        match="holds the results of another run; choose another folder, or remove this one",
    ):
        enter(tmp_path)


def test_a_run_without_a_lock_is_told_by_its_process(tmp_path):
    summary.write(tmp_path, RunSummary(pid=os.getpid()))
    with pytest.raises(ConfigError, match="a run is going on in"):
        enter(tmp_path)


def test_folders_of_sweeps_and_damaged_runs_are_refused(tmp_path):
    for name, content, says in (
        ("sweep.json", "{}", "holds a sweep"),
        ("run.json", "{", "is damaged"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(content)
        with pytest.raises(ConfigError, match=says):
            enter(folder)


def test_what_a_run_without_a_result_left_makes_room_and_nothing_else_does(tmp_path):
    summary.write(
        tmp_path,
        RunSummary(status="failed", exit_code=1, mlflow={"run_id": "1"}, counts={"frames": 3}),
    )
    (tmp_path / "snapshot").mkdir()
    for name in (
        "snapshot/config.yaml",
        "metrics.json",
        "predictions.slp",
        "predictions.000_a.csv",
        "run.log",
        "video.mp4",
        "truth.slp",
    ):
        (tmp_path / name).touch()
    assert enter(tmp_path) == {"run_id": "1"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == [
        "run.json",
        "run.log",
        "truth.slp",
        "video.mp4",
    ]
    assert summary.read(tmp_path).counts == {}
