"""Sweeps with one command, in the file system and in MLflow, also when jobs fail or are killed."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import sleap_io as sio

from sleap_lab.runs.mlflow_run import PARENT_TAG
from sleap_lab.runs.summary import process_exists


@pytest.fixture(scope="module")
def sweep(finished, sleap_lab, mlflow_runs):
    """Return a function that runs a sweep beside the demo; it returns the end and the results."""

    def sweep(*words):
        before = set(finished.cwd.glob("outputs/multirun/*/*"))
        ended = sleap_lab("-m", "experiment=demo", "report=none", *words, cwd=finished.cwd)
        (folder,) = set(finished.cwd.glob("outputs/multirun/*/*")) - before
        runs = [
            run
            for run in mlflow_runs(finished.cwd)
            if run.data.tags["sleap_lab.folder"].startswith(str(folder))
        ]
        (parent,) = [run for run in runs if PARENT_TAG not in run.data.tags]
        children = sorted(
            (run for run in runs if run is not parent),
            key=lambda run: run.data.tags["sleap_lab.job"],
        )
        return SimpleNamespace(
            folder=folder, parent=parent, children=children, rows=rows_of(folder), **vars(ended)
        )

    return sweep


@pytest.fixture(scope="module")
def tracking(demo):
    """The words of a sweep of four cheap jobs: they track the true poses and compare with them."""
    truth = [
        f"data.path={demo.truth}",
        f"evaluator.ground_truth_path={demo.truth}",
        "data.frames=0-40",
    ]
    return [
        "-m",
        *truth,
        "model=none",
        "evaluator=identity",
        "report=none",
        "tracker=fixed_window,local_queues",
        "tracker.max_tracks=2,3",
    ]


@pytest.fixture(scope="module")
def undisturbed(sleap_lab, tracking, tmp_path_factory):
    """The outcome of these jobs where nothing happens to them."""
    cwd = tmp_path_factory.mktemp("undisturbed")
    assert sleap_lab(*tracking, "logger=none", cwd=cwd).code == 0
    return outcome(cwd)


def rows_of(folder):
    return list(csv.DictReader((folder / "results.csv").read_text().splitlines()))


def outcome(cwd):
    """Return results, poses and tracks of the one sweep in a folder, without what always varies."""
    (folder,) = cwd.glob("outputs/multirun/*/*")
    results = [
        {name: value for name, value in row.items() if name != "seconds"} for row in rows_of(folder)
    ]
    jobs = []
    for number in range(len(results)):
        labels = sio.load_slp(str(folder / str(number) / "predictions.slp"), open_videos=False)
        tracks = [
            [instance.track.name if instance.track else None for instance in frame]
            for frame in labels
        ]
        jobs.append((hashlib.sha256(labels.numpy().tobytes()).hexdigest(), tracks))
    return results, jobs


def running(cwd):
    """Return the processes of the jobs that run in a folder."""
    records = [json.loads(path.read_text()) for path in cwd.glob("outputs/multirun/*/*/*/run.json")]
    return [
        record["pid"]
        for record in records
        if record["status"] == "running" and process_exists(record["host"], record["pid"])
    ]


def pause_one(cwd):
    """Pause the process of a job within its work; return its number, or None if none works."""
    for pid in running(cwd):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            if pid in running(cwd):
                return pid
            os.kill(pid, signal.SIGCONT)
    return None


# --- what a sweep leaves ----------------------------------------------------------------


def test_two_by_two_settings_are_four_runs_under_one(sweep, finished):
    """Takes ten seconds: a run of the demo, and four jobs, each a process, with MLflow."""
    done = sweep(
        "data.frames=0-5", "tracker=fixed_window,local_queues", "tracker.tracking_window_size=3,5"
    )
    assert done.code == 0, done.err
    assert "predicting" not in done.err  # all four track what the demo has predicted
    assert (done.parent.info.status, done.parent.data.tags["sleap_lab.folder"]) == (
        "FINISHED",
        str(done.folder),
    )
    assert [run.data.tags[PARENT_TAG] for run in done.children] == 4 * [done.parent.info.run_id]
    assert [run.info.status for run in done.children] == 4 * ["FINISHED"]
    assert [run.info.run_name for run in done.children] == [
        "0: 3, fixed_window (tracking_window_size, tracker)",
        "1: 5, fixed_window (tracking_window_size, tracker)",
        "2: 3, local_queues (tracking_window_size, tracker)",
        "3: 5, local_queues (tracking_window_size, tracker)",
    ]
    assert "#/experiments/1/runs?workflowType=machine_learning" in done.out
    settings = [
        (
            run.data.params["tracker.candidates_method"],
            run.data.params["tracker.tracking_window_size"],
        )
        for run in done.children
    ]
    assert settings == [
        ("fixed_window", "3"),
        ("fixed_window", "5"),
        ("local_queues", "3"),
        ("local_queues", "5"),
    ]
    assert [(row["tracker"], row["tracker.tracking_window_size"]) for row in done.rows] == settings
    assert [row["status"] for row in done.rows] == 4 * ["finished"]
    for number, run in enumerate(done.children):
        record = json.loads((done.folder / str(number) / "run.json").read_text())
        assert record["mlflow"]["run_id"] == run.info.run_id
        assert (
            record["metrics"]["identity/idf1"]
            == run.data.metrics["identity/idf1"]
            == float(done.rows[number]["identity/idf1"])
        )
    assert (
        "best          job 1 by identity/idf1, tied with jobs 0, 2, 3; "
        "the simpler setting decides\n" in done.out
    )


def test_a_job_that_fails_fails_alone(sweep):
    """Takes five seconds: three jobs, each a process with its run in MLflow."""
    done = sweep(
        'data.frames="0-1","5000","2-3"', "evaluator=none", "evaluator.ground_truth_path=null"
    )
    assert done.code == 3
    assert "Traceback" not in done.err
    assert [row["status"] for row in done.rows] == ["finished", "failed", "finished"]
    assert done.rows[1]["error"].startswith("data.frames: frame 5000 is out of range")
    assert done.parent.info.status == "FAILED"
    assert [run.info.status for run in done.children] == ["FINISHED", "FAILED", "FINISHED"]
    assert "5000" in done.out
    assert "error: job 1 failed: data.frames: frame 5000" in done.err


def test_a_mistake_in_one_job_stops_the_sweep_before_it_begins(finished, sleap_lab):
    before = set(finished.cwd.glob("outputs/multirun/*/*"))
    ended = sleap_lab("-m", "experiment=demo", "tracker.tracking_window_size=3,0", cwd=finished.cwd)
    assert (ended.code, ended.err) == (
        2,
        "error: tracker.tracking_window_size: got 0; accepted: at least 1\n",
    )
    assert set(finished.cwd.glob("outputs/multirun/*/*")) == before


# --- what may happen to a sweep ---------------------------------------------------------


def test_a_sweep_goes_on_where_it_was_killed(
    start, sleap_lab, wait_for, mlflow_runs, tracking, undisturbed, tmp_path
):
    """Takes fifteen seconds: a sweep is killed twice, each time within a job, and finished."""
    killed = tmp_path / "killed"
    killed.mkdir()
    process = start(*tracking, cwd=killed)
    os.kill(wait_for(lambda: pause_one(killed), process), signal.SIGKILL)  # one job
    out, err = process.communicate(timeout=300)
    assert process.returncode == 3, (out, err)
    assert err.count("its process was ended by SIGKILL") == 1

    process = start(*tracking, "sweep.rerun=failed", cwd=killed)
    pid = wait_for(lambda: pause_one(killed), process)
    process.kill()  # the sweep itself
    process.wait()
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not process_exists(os.uname().nodename, pid))  # takes its job with it
    process.stdout.close()
    process.stderr.close()

    ended = sleap_lab(*tracking, cwd=killed)
    assert ended.code == 0, ended.err
    assert "note: resuming" in ended.err
    assert outcome(killed) == undisturbed
    runs = mlflow_runs(killed)
    (parent,) = [run for run in runs if PARENT_TAG not in run.data.tags]
    assert len(runs) == 1 + 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags[PARENT_TAG] for run in runs if run is not parent} == {parent.info.run_id}

    again = sleap_lab(*tracking, cwd=killed)
    assert (again.code, again.out.count("finished in")) == (0, 0)
    assert "nothing is left to do" in again.err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_keeps_what_is_done_and_leaves_no_process(
    start, sleap_lab, wait_for, tracking, tmp_path, stop
):
    """Takes five seconds: four jobs, each a process, are begun and finished by two commands."""
    process = start(*tracking, "logger=none", "data.frames=null", cwd=tmp_path)
    (pid,) = wait_for(lambda: running(tmp_path), process)
    process.send_signal(stop)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not process_exists(os.uname().nodename, pid)
    (folder,) = tmp_path.glob("outputs/multirun/*/*")
    assert json.loads((folder / "sweep.json").read_text())["status"] == "interrupted"
    assert "not run" in [row["status"] for row in rows_of(folder)]
    assert sleap_lab(*tracking, "logger=none", "data.frames=null", cwd=tmp_path).code == 0
    assert list(tmp_path.glob("outputs/multirun/*/*")) == [folder]


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(["joblib", "hydra.launcher.n_jobs=2"], id="joblib"),
        pytest.param(["submitit_local"], id="submitit", marks=pytest.mark.slow),
    ],
)
def test_jobs_that_run_side_by_side_come_out_the_same(
    start, sleap_lab, wait_for, tracking, undisturbed, tmp_path, launcher
):
    """Takes five seconds: four jobs, each a process, are begun and finished by two commands."""
    pytest.importorskip(f"hydra_plugins.hydra_{launcher[0].removesuffix('_local')}_launcher")
    process = start(
        *tracking, "logger=none", f"hydra/launcher={launcher[0]}", *launcher[1:], cwd=tmp_path
    )
    os.kill(wait_for(lambda: pause_one(tmp_path), process), signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 3, err
    assert err.count("its process was ended by SIGKILL") == 1
    (folder,) = tmp_path.glob("outputs/multirun/*/*")
    assert [row["status"] for row in rows_of(folder)].count("finished") == 3
    assert (
        sleap_lab(*tracking, "logger=none", cwd=tmp_path).code == 0
    )  # another launcher finishes it
    assert outcome(tmp_path) == undisturbed


@pytest.mark.slow
def test_jobs_that_run_side_by_side_see_one_gpu_each(sleap_lab, tracking, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    seen = tmp_path / "seen"
    seen.mkdir()
    look = (
        f"import os, pathlib; pathlib.Path({str(seen)!r}, str(os.getpid()))"
        ".write_text(os.environ.get('CUDA_VISIBLE_DEVICES', 'none'))"
    )
    (tmp_path / "sitecustomize.py").write_text(LOOKING.format(look=look))
    words = [*tracking, "logger=none", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    program = (
        f"import sys; sys.argv = ['sleap-lab', *{words!r}]; from sleap_lab.cli import main; main()"
    )
    environment = {
        **os.environ,
        "SLEAP_LAB_GPUS": "2",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert {path.read_text() for path in seen.iterdir()} == {"0", "1"}
    assert len(list(seen.iterdir())) == 4


# Run by every Python that starts in the test's folder: shows what the process of a job sees.
LOOKING = """
import multiprocessing.process
begin = multiprocessing.process.BaseProcess.run
def run(process):
    import sleap_lab.experiment
    inner = sleap_lab.experiment.run
    def looking(*arguments):
        {look}
        return inner(*arguments)
    sleap_lab.experiment.run = looking
    begin(process)
multiprocessing.process.BaseProcess.run = run
"""


def test_a_server_that_is_away_all_along_costs_a_sweep_nothing(
    sleap_lab, mlflow_runs, tracking, tmp_path
):
    """Takes five seconds: four jobs, each a process, and a second command that logs them."""
    away = [*tracking, "logger.tracking_uri=http://127.0.0.1:9"]
    ended = sleap_lab(*away, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert "`sleap-lab sync" in ended.err
    (folder,) = tmp_path.glob("outputs/multirun/*/*")
    for file in (
        folder / "ledger.jsonl",
        *folder.glob("*/snapshot/config.yaml"),
    ):  # the address was wrong
        file.write_text(
            file.read_text().replace(
                "http://127.0.0.1:9", f"sqlite:///{tmp_path}/outputs/mlflow.db"
            )
        )
    synced = sleap_lab("sync", cwd=tmp_path)
    assert (synced.code, synced.out.split()[-1]) == (0, "logged"), synced.err
    runs = mlflow_runs(tmp_path)
    assert len(runs) == 1 + 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.metrics["identity/idf1"] for run in runs if PARENT_TAG in run.data.tags} == {
        float(row["identity/idf1"]) for row in rows_of(Path(folder))
    }
