"""From what a user calls a run to its folder."""

import shutil
from pathlib import Path

import pytest

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.summary import SWEEP_FILE, RunSummary
from sleap_lab.sweeps.find import find_run, find_runs
from sleap_lab.sweeps.mlflow_log import log_sweep
from sleap_lab.sweeps.results import begin_sweep, finish_sweep


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def find(root, scratch):
    """Return a function that finds runs with the store of the tests."""
    return lambda word: find_runs(str(word), scratch, outputs_root=root)


@pytest.fixture
def sweep(root, logger, make_sweep):
    """A sweep of three jobs, of which the second failed, in the file system and in MLflow."""
    jobs = [
        {"status": "finished"},
        {"status": "failed", "error": "no memory"},
        {"status": "partial"},
    ]
    folder = make_sweep(root / "multirun" / "noon", *jobs, logger=logger)
    begin_sweep(folder, ["sleap-lab", "-m"])
    finish_sweep(folder)
    log_sweep(folder, logger, root)
    return folder


def run_id(folder, name=summary.RUN_FILE):
    return summary.read(folder, name).mlflow["run_id"]


def test_a_run_folder_is_itself(find, root, make_run):
    assert find(make_run(root / "a=b")) == ([root / "a=b"], [])


def test_a_sweep_is_its_jobs_that_ended_well(find, sweep):
    found = find(sweep)
    assert found.folders == [sweep / "0", sweep / "2"]
    assert found.left_out == [f"job 1 of {sweep} is left out: no memory"]


def test_a_run_of_mlflow_is_its_folder_while_that_is_there(find, root, logger, make_run, sweep):
    folder = make_run(root / "run", logger)
    assert find(log_run(folder, logger, outputs_root=root)).folders == [folder]
    assert find(run_id(sweep, SWEEP_FILE)).folders == [sweep / "0", sweep / "2"]


def test_a_run_of_mlflow_whose_folder_is_gone_is_fetched(find, root, scratch, logger, make_run):
    folder = make_run(root / "run", logger, metrics={"eval/oks_map": 0.25})
    (folder / "metrics.json").write_text("{}")
    word = log_run(folder, logger, outputs_root=root)
    shutil.rmtree(folder)
    assert find(word).folders == [scratch / word]
    assert summary.read(scratch / word).metrics == {"eval/oks_map": 0.25}
    fetched = {
        path.relative_to(scratch / word).as_posix()
        for path in (scratch / word).rglob("*")
        if path.is_file()
    }
    documents = {
        f"snapshot/{name}"
        for name in (
            "config",
            "overrides",
            "command",
            "packages",
            "git",
            "hashes",
            "device",
            "videos",
        )
    }
    assert {name.rpartition(".")[0] for name in fetched} - {"snapshot/dirty"} == documents | {
        "run",
        "metrics",
        "predictions",
    }


def test_a_folder_that_now_holds_another_run_is_not_taken_for_it(
    find, root, scratch, logger, make_run
):
    word = log_run(make_run(root / "run", logger), logger, outputs_root=root)
    summary.write(
        root / "run",
        RunSummary(status="finished", mlflow={"run_id": "0" * 32, "tracking_uri": "x"}),
    )
    assert find(word).folders == [scratch / word]


def test_a_sweep_of_mlflow_whose_folder_is_gone_is_fetched_job_by_job(find, sweep, scratch):
    word, jobs = run_id(sweep, SWEEP_FILE), [run_id(sweep / str(job)) for job in range(3)]
    shutil.rmtree(sweep)
    found = find(word)
    assert sorted(found.folders) == sorted(scratch / jobs[job] for job in (0, 2))
    assert [summary.read(folder).job for folder in found.folders] == [0, 2]
    assert found.left_out == [f"job {jobs[1]} is left out: FAILED"]


def test_nothing_of_a_run_is_written_outside_its_folder(
    find, root, scratch, logger, make_run, monkeypatch, store
):
    """A store that answers with other paths than it was asked for."""
    word = log_run(make_run(root / "run", logger), logger, outputs_root=root)
    shutil.rmtree(root / "run")
    listed = type(store.client).list_artifacts

    def evil(self, run_id, path=None):
        from mlflow.entities import FileInfo

        return [
            *listed(self, run_id, path),
            FileInfo("../evil", False, 1),
            FileInfo("snapshot/../../evil", False, 1),
        ]

    with monkeypatch.context() as patch:
        patch.setattr(type(store.client), "list_artifacts", evil)
        (folder,) = find(word).folders
    assert not any("evil" in path.name for path in folder.parent.rglob("*"))
    shutil.rmtree(folder)

    def elsewhere(self, run_id, path, dst_path=None):
        target = Path(dst_path).parent / "evil"
        target.write_text("")
        return str(target)

    monkeypatch.setattr(type(store.client), "download_artifacts", elsewhere)
    with pytest.raises(RunError, match=r"the store wrote run\.json to .*evil"):
        find(word)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nowhere", "nowhere is not a run folder"),
        (".", "is not a run folder"),
        ("f" * 32, "has no such run; logger.tracking_uri=… names another store"),
        ("../" + "f" * 32, "is not a run folder"),
    ],
)
def test_what_is_no_run_is_refused(find, word, says):
    with pytest.raises(ConfigError, match=says):
        find(word)


def test_a_run_that_others_logged_is_refused(find, store):
    word = store.client.create_run(store.experiment_id).info.run_id
    with pytest.raises(ConfigError, match="not a run of sleap-lab"):
        find(word)


def test_a_store_that_is_not_there_is_not_made(tmp_path, scratch):
    with pytest.raises(ConfigError, match="there is no MLflow store at"):
        find_runs("f" * 32, scratch, outputs_root=tmp_path)
    assert not (tmp_path / "mlflow.db").exists()
    with pytest.raises(RunError, match="no MLflow server answers"):
        find_runs("f" * 32, scratch, tracking_uri="http://127.0.0.1:9", outputs_root=tmp_path)


def test_a_single_run_is_no_sweep(root, scratch, sweep):
    with pytest.raises(ConfigError, match="is a sweep of 3 jobs; give the folder of one of them"):
        find_run(str(sweep), scratch, outputs_root=root)
    assert find_run(str(sweep / "0"), scratch, outputs_root=root) == sweep / "0"
