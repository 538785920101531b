"""Many experiments with one command, in the file system and in MLflow."""

import csv
import json
from types import SimpleNamespace

import pytest

from sleap_lab.runs.store import PARENT_TAG


@pytest.fixture(scope="module")
def sweep(finished, sleap_lab, mlflow_runs):
    """Return a function that runs a sweep where the demo ran, and returns how it ended and what it left."""

    def sweep(*words):
        before = set(finished.cwd.glob("outputs/multirun/*/*"))
        ended = sleap_lab("-m", "experiment=demo", "report=none", *words, cwd=finished.cwd)
        (folder,) = set(finished.cwd.glob("outputs/multirun/*/*")) - before
        runs = [run for run in mlflow_runs(finished.cwd) if run.data.tags["sleap_lab.folder"].startswith(str(folder))]
        (parent,) = [run for run in runs if PARENT_TAG not in run.data.tags]
        children = sorted((run for run in runs if run is not parent), key=lambda run: run.data.tags["sleap_lab.job"])
        rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
        return SimpleNamespace(folder=folder, parent=parent, children=children, rows=rows, **vars(ended))

    return sweep


def test_two_by_two_settings_are_four_runs_under_one(sweep, finished):
    done = sweep("data.frames=0-5", "tracker=fixed_window,local_queues", "tracker.tracking_window_size=3,5")
    assert done.code == 0, done.err
    assert "predicting" not in done.err  # all four track what the demo has predicted
    assert (done.parent.info.status, done.parent.data.tags["sleap_lab.folder"]) == ("FINISHED", str(done.folder))
    assert [run.data.tags[PARENT_TAG] for run in done.children] == 4 * [done.parent.info.run_id]
    assert [run.info.status for run in done.children] == 4 * ["FINISHED"]
    settings = [(run.data.params["tracker.candidates_method"], run.data.params["tracker.tracking_window_size"]) for run in done.children]
    assert settings == [("fixed_window", "3"), ("fixed_window", "5"), ("local_queues", "3"), ("local_queues", "5")]
    assert [(row["tracker"], row["tracker.tracking_window_size"]) for row in done.rows] == settings
    assert [row["status"] for row in done.rows] == 4 * ["finished"]
    for number, run in enumerate(done.children):
        record = json.loads((done.folder / str(number) / "run.json").read_text())
        assert record["mlflow"]["run_id"] == run.info.run_id
        assert record["metrics"]["identity/idf1"] == run.data.metrics["identity/idf1"] == float(done.rows[number]["identity/idf1"])


def test_a_job_that_fails_fails_alone(sweep):
    done = sweep('data.frames="0-1","5000","2-3"', "evaluator=none", "evaluator.ground_truth_path=null")
    assert done.code == 3
    assert "Traceback" not in done.err
    assert [row["status"] for row in done.rows] == ["finished", "failed", "finished"]
    assert done.rows[1]["error"].startswith("data.frames: frame 5000 is out of range")
    assert done.parent.info.status == "FAILED"
    assert [run.info.status for run in done.children] == ["FINISHED", "FAILED", "FINISHED"]
    assert "5000" in done.out


def test_a_mistake_in_one_job_stops_the_sweep_before_it_begins(finished, sleap_lab):
    before = set(finished.cwd.glob("outputs/multirun/*/*"))
    ended = sleap_lab("-m", "experiment=demo", "tracker.tracking_window_size=3,0", cwd=finished.cwd)
    assert (ended.code, ended.err) == (2, "error: tracker.tracking_window_size: got 0; accepted: at least 1\n")
    assert set(finished.cwd.glob("outputs/multirun/*/*")) == before


@pytest.mark.slow
def test_jobs_can_run_side_by_side(demo, sleap_lab, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = [f"data.path={demo.truth}", "data.frames=0-3", "model=none", "tracker=fixed_window", "logger=none", "report=none"]
    ended = sleap_lab("-m", *words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "tracker.tracking_window_size=2,3", cwd=tmp_path)
    assert ended.code == 0, ended.err
    records = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/multirun/*/*/*/run.json")]
    assert [record["status"] for record in records] == 2 * ["finished"]
