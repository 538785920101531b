"""Logging later: whatever was missed is logged once, and nothing else."""

import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from sleap_lab.errors import RunError
from sleap_lab.runs import mlflow_run, summary
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.store import open_store
from sleap_lab.runs.summary import SWEEP_FILE
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.sweeps import sync as sync_module
from sleap_lab.sweeps.results import begin_sweep, finish_sweep
from sleap_lab.sweeps.sync import sync


@pytest.fixture
def gone():
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def runs(store, condition=""):
    return store.client.search_runs([store.experiment_id], condition)


def test_what_is_missing_is_logged_once(root, logger, store, make_run):
    done, missed = make_run(root / "a" / "done", logger), make_run(root / "a" / "missed", logger)
    log_run(done, logger, outputs_root=root)
    assert sync([], outputs_root=root) == {done: "already logged", missed: "logged"}
    assert sync([], outputs_root=root) == {done: "already logged", missed: "already logged"}
    assert len(runs(store)) == 2


def test_runs_that_were_not_meant_to_be_logged_are_logged_only_by_name(root, store, make_run):
    quiet = make_run(root / "a" / "quiet", LoggerConfig(mlflow=False, experiment_name="flies"))
    assert sync([], outputs_root=root) == {}
    assert sync([quiet], outputs_root=root) == {quiet: "logged"}


def test_folders_may_be_relative(root, logger, make_run, monkeypatch):
    folder = make_run(root / "run", logger)
    monkeypatch.chdir(folder)
    assert sync([type(folder)(".")], outputs_root=root) == {folder: "logged"}


def test_a_run_that_was_killed_is_logged_as_killed_and_a_living_one_is_left(
    root, logger, store, make_run, gone
):
    killed = make_run(root / "killed", logger, status="running", ended=None, pid=gone)
    living = make_run(root / "living", logger, status="running", ended=None)
    assert sync([], outputs_root=root) == {killed: "logged", living: "still running"}
    assert [run.info.status for run in runs(store)] == ["KILLED"]


def test_a_damaged_run_does_not_keep_others_from_being_logged(root, logger, make_run):
    damaged, good = make_run(root / "damaged", logger), make_run(root / "good", logger)
    (damaged / "run.json").write_text("{")
    outcome = sync([root], outputs_root=root)
    assert outcome[good] == "logged"
    assert outcome[damaged].startswith(f"failed: {damaged}/run.json is damaged")


def test_a_sweep_that_missed_everything_is_logged_with_its_parent(
    root, logger, store, make_sweep, gone
):
    sweep = make_sweep(root / "multirun" / "sweep", {}, {}, logger=logger)
    summary.write(sweep, replace(begin_sweep(sweep, ["sleap-lab"]), pid=gone), SWEEP_FILE)  # killed
    assert sync([sweep / "1"], outputs_root=root) == {sweep: "logged"}
    assert sync([sweep], outputs_root=root) == {sweep: "already logged"}
    parent = summary.read(sweep, SWEEP_FILE).mlflow["run_id"]
    assert store.client.get_run(parent).info.status == "KILLED"
    assert len(runs(store, f"tags.`mlflow.parentRunId` = '{parent}'")) == 2


def test_a_job_that_was_missed_is_added_to_its_sweep(root, logger, store, make_sweep, make_run):
    sweep = make_sweep(root / "sweep", {}, {"status": None}, logger=logger)
    begin_sweep(sweep, ["sleap-lab"])
    finish_sweep(sweep)
    assert sync([], outputs_root=root) == {sweep: "logged"}
    make_run(sweep / "1", logger, job=1)
    assert sync([], outputs_root=root) == {sweep: "logged"}
    assert len(runs(store)) == 1 + 2


def test_the_jobs_of_a_sweep_are_looked_up_together(
    root, logger, store, make_sweep, make_run, monkeypatch
):
    sweep = make_sweep(root / "sweep", *[{}] * 4, {"status": None}, logger=logger)
    begin_sweep(sweep, ["sleap-lab"])
    finish_sweep(sweep)
    assert sync([], outputs_root=root) == {sweep: "logged"}
    gone = summary.read(sweep / "2").mlflow["run_id"]
    store.client.delete_run(gone)
    asked = []
    get_run = MlflowClient.get_run
    monkeypatch.setattr(mlflow_run, "MAX_RUNS_AT_ONCE", 2)
    monkeypatch.setattr(
        MlflowClient,
        "get_run",
        lambda client, run_id: asked.append(run_id) or get_run(client, run_id),
    )
    assert sync([], outputs_root=root) == {sweep: "already logged"}
    jobs = {summary.read(sweep / str(i)).mlflow["run_id"] for i in range(4)}
    assert not jobs & {*asked}
    make_run(sweep / "4", logger, job=4)
    assert sync([], outputs_root=root) == {sweep: "logged"}
    assert not jobs & {*asked}
    assert len(runs(store)) == 1 + 5 - 1


def test_another_address_may_be_given(root, logger, store, make_run):
    folder = make_run(root / "run", replace(logger, tracking_uri="http://127.0.0.1:9"))
    assert sync([folder], outputs_root=root)[folder].startswith(
        "failed: logger.tracking_uri: no MLflow server answers"
    )
    assert sync([folder], outputs_root=root, tracking_uri=store.uri) == {folder: "logged"}


def test_one_dead_server_is_asked_once_and_does_not_stop_the_others(
    root, logger, make_run, monkeypatch
):
    dead = replace(logger, tracking_uri="http://127.0.0.1:9")
    folders = [make_run(root / "a", dead), make_run(root / "b", logger), make_run(root / "c", dead)]
    asked = []
    prepare = sync_module.prepare_store
    monkeypatch.setattr(
        sync_module,
        "prepare_store",
        lambda *given: (asked.append(given[0].tracking_uri), prepare(*given))[1],
    )
    outcomes = sync([], outputs_root=root)
    assert [outcomes[folder].partition(":")[0] for folder in folders] == [
        "failed",
        "logged",
        "failed",
    ]
    assert asked == [dead.tracking_uri, None]


def test_a_project_that_is_renamed_takes_its_store_along(root, logger, store, make_run):
    make_run(root / "old", logger)
    sync([], outputs_root=root)
    moved = root.rename(root.with_name("fed or starved? 50%20"))
    new = make_run(moved / "new", logger)
    assert sync([], outputs_root=moved) == {new: "logged", moved / "old": "already logged"}
    there = open_store(logger, moved)
    found = there.client.search_runs([there.experiment_id])
    assert len(found) == 2
    for run in found:
        assert run.info.artifact_uri.startswith((moved / "mlartifacts").as_uri())
        assert "run.json" in {item.path for item in there.client.list_artifacts(run.info.run_id)}
    assert not root.exists()


def test_a_copy_keeps_its_artifacts_to_itself(root, logger, store, make_run):
    make_run(root / "old", logger)
    sync([], outputs_root=root)
    copy = shutil.copytree(root, root.with_name("copy"))
    new = make_run(copy / "new", logger)
    before = sorted(path for path in root.rglob("*"))
    assert sync([new], outputs_root=copy) == {new: "logged"}
    assert sorted(path for path in root.rglob("*")) == before
    assert (
        open_store(logger, root).client.get_experiment("0").artifact_location
        == (root / "mlartifacts" / "0").as_uri()
    )


@pytest.mark.parametrize("for_good", [False, True])
def test_what_a_person_deleted_is_not_logged_again(
    root, logger, store, make_run, make_sweep, for_good
):
    run = make_run(root / "run", logger)
    sweep = make_sweep(root / "sweep", {}, {"status": None}, logger=logger)
    begin_sweep(sweep, ["sleap-lab"])
    finish_sweep(sweep)
    assert sync([], outputs_root=root) == {run: "logged", sweep: "logged"}
    make_run(sweep / "1", logger, job=1)
    for found in runs(store):
        store.client.delete_run(found.info.run_id)
        if for_good:
            store.client._tracking_client.store._hard_delete_run(found.info.run_id)
    assert sync([run, sweep], outputs_root=root) == dict.fromkeys(
        [run, sweep], "left out: deleted in MLflow"
    )
    assert runs(store) == []
    # The other store does not have the run.
    assert sync([run], outputs_root=root.parent / "elsewhere") == {run: "logged"}


def test_a_run_that_was_sent_elsewhere_is_known_where_it_was(
    root, logger, store, make_run, tmp_path
):
    run = make_run(root / "run", logger)
    assert sync([], outputs_root=root) == {run: "logged"}
    assert sync([run], outputs_root=root, tracking_uri=f"sqlite:///{tmp_path}/second.db") == {
        run: "logged"
    }
    assert sync([run], outputs_root=root) == {run: "already logged"}
    assert len(runs(store)) == 1


def test_copies_in_the_artifact_folder_are_no_runs(root, logger, make_run):
    folder = make_run(root / "run", logger)
    sync([], outputs_root=root)
    assert list((root / "mlartifacts").rglob("run.json"))
    assert list(sync([], outputs_root=root)) == [folder]


def test_a_sweep_that_another_command_runs_is_left_alone(root, logger, store, make_sweep):
    sweep = make_sweep(root / "sweep", {}, logger=logger)
    begin_sweep(sweep, ["sleap-lab"])
    with summary.lock(sweep, SWEEP_FILE):
        assert sync([], outputs_root=root) == {sweep: "still running"}


def test_a_sweep_without_any_run_is_logged_too(root, logger, store, make_sweep):
    sweep = make_sweep(root / "sweep", {"status": None}, logger=logger)
    begin_sweep(sweep, ["sleap-lab"])
    finish_sweep(sweep, interrupted=True)
    assert sync([], outputs_root=root) == {sweep: "logged"}
    assert [run.info.status for run in runs(store)] == ["KILLED"]


def test_a_sweep_without_its_ledger_is_named(root, logger, make_sweep, make_run):
    sweep, good = make_sweep(root / "sweep", {}, logger=logger), make_run(root / "good", logger)
    begin_sweep(sweep, ["sleap-lab"])
    finish_sweep(sweep)
    (sweep / "ledger.jsonl").unlink()
    outcome = sync([], outputs_root=root)
    assert outcome[good] == "logged"
    assert "it holds no ledger.jsonl" in outcome[sweep]


def test_runs_that_were_left_running_are_closed(root, logger, store, make_run, gone):
    make_run(root / "run", logger)
    tags = {"sleap_lab.host": socket.gethostname(), "sleap_lab.pid": str(gone)}
    orphan = store.client.create_run(store.experiment_id, tags=tags).info.run_id
    sync([], outputs_root=root)
    assert store.client.get_run(orphan).info.status == "KILLED"


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(RunError, match=r"holds no run: there is no run\.json in it or below it"):
        sync([tmp_path], outputs_root=tmp_path)
