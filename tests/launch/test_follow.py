"""What is said of jobs, and mirrored, while a sweep runs."""

import os
import shutil
import threading
import time
from dataclasses import replace

import pytest

from sleap_lab.launch import follow
from sleap_lab.launch.follow import began, ended, following, is_running
from sleap_lab.runs import summary
from sleap_lab.runs.summary import SWEEP_FILE, RunSummary
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.sweeps.results import begin_sweep, read_jobs

OFF = LoggerConfig(mlflow=False)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(follow, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(follow, "SECONDS_BETWEEN_CHECKS", 0.02)


@pytest.fixture
def make_jobs(root, make_sweep):
    """Return a function that writes a sweep and returns its folder and jobs.

    Of the jobs, only the given values are known.
    """

    def make(*jobs, logger=OFF, known=()):
        folder = make_sweep(root / "sweep", *jobs, logger=logger)
        begin_sweep(folder, ["sleap-lab"])
        return folder, [
            job if job.number in known else replace(job, run=None) for job in read_jobs(folder)
        ]

    return make


def said_of(make_jobs, root, capsys, *fields, known=()):
    folder, jobs = make_jobs(*fields, known=known)
    with following(folder, jobs, jobs, OFF, root):
        pass
    return capsys.readouterr()


def test_a_line_says_how_a_job_went(make_jobs, root, capsys):
    metrics = {"eval/oks_map": 0.75, "eval/other": 1.0, "identity/switches": 2}
    said = said_of(
        make_jobs,
        root,
        capsys,
        {"metrics": metrics},
        {"status": "partial"},
        {"status": None},
        {},
        known=[3],
    )
    assert (
        said.out == "job 0  finished in 1.5 s: oks_map 0.75, switches 2\n"
        "job 1  partial in 1.5 s: oks_map 0.75\n"
    )
    assert said.err == ""


def test_a_failure_comes_with_the_log(make_jobs, root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    said = said_of(make_jobs, root, capsys, {"status": "failed", "error": "out of memory"})
    assert said.err == "error: job 0 failed: out of memory (log: sweep/0/run.log)\n"


def test_what_holds_for_all_jobs_is_noted_once(make_jobs, root, capsys):
    said = said_of(make_jobs, root, capsys, {"notes": ["a", "b"]}, {"notes": ["b", "c"]})
    assert said.err.splitlines() == ["warning: job 0: a", "warning: job 0: b", "warning: job 1: c"]


def test_what_trackers_did_is_told_apart_from_warnings(make_jobs, root, capsys):
    said = said_of(make_jobs, root, capsys, {"notes": ["a"], "remarks": ["b"]}, {"remarks": ["b"]})
    assert said.err.splitlines() == ["warning: job 0: a", "note: job 0: b"]


def test_it_is_said_at_once(make_jobs, root, capsys):
    folder, jobs = make_jobs({"status": None}, {"status": None})
    with following(folder, jobs, jobs, OFF, root):
        summary.write(folder / "1", RunSummary(status="finished", ended=summary.now(), job=1))
        deadline = time.monotonic() + 60
        while "job 1" not in (said := capsys.readouterr().out):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert said.startswith("job 1  finished")
    assert capsys.readouterr().out == ""


def test_a_job_whose_processes_all_died_is_said_to_be_dead(make_jobs, root, capsys):
    folder, jobs = make_jobs({"status": None})
    with following(folder, jobs, jobs, OFF, root):
        with summary.lock(jobs[0].folder):
            summary.write(jobs[0].folder, RunSummary(job=0))
            time.sleep(0.1)
            assert summary.read(jobs[0].folder).status == "running"
        deadline = time.monotonic() + 60
        while "job 0 interrupted" not in capsys.readouterr().err:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_an_interrupted_job_may_go_on(make_jobs, root, capsys):
    folder, jobs = make_jobs({"status": None})
    said = ""

    def write_and_wait(run, expected):
        nonlocal said
        summary.write(folder / "0", run)
        deadline = time.monotonic() + 60
        while expected not in said:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            shown = capsys.readouterr()
            said += shown.out + shown.err

    with following(folder, jobs, jobs, OFF, root) as all_ended:
        cause = {"error": "preempted", "ended": summary.now()}
        write_and_wait(RunSummary(status="interrupted", job=0, **cause), "job 0 interrupted")
        assert not all_ended.is_set()
        write_and_wait(RunSummary(status="finished", job=0, ended=summary.now()), "job 0  finished")
        assert all_ended.wait(60)
    assert said.count("job 0") == 2


RUNNING = {"status": "running", "ended": None, "pid": os.getpid()}


@pytest.mark.parametrize(
    ("known", "now", "has_ended", "has_begun", "runs"),
    [
        (None, None, False, False, False),
        (None, {}, True, True, False),
        (None, RUNNING, False, True, True),
        ({}, {}, False, False, False),  # an earlier attempt
        # Another attempt, whatever the clock of its machine says.
        ({}, {"started": "2026-01-02T02:00:00+00:00"}, True, True, False),
        (RUNNING, {}, True, False, False),  # begun by a command that was killed, ended meanwhile
        (RUNNING, RUNNING, False, False, True),
        (RUNNING, {"status": "interrupted"}, False, False, False),  # it will be run again
    ],
)
def test_what_has_become_of_a_job(make_jobs, make_run, known, now, has_ended, has_begun, runs):
    folder, (job,) = make_jobs({"status": None} if known is None else known, known=[0])
    if now is not None:
        shutil.rmtree(folder / "0", ignore_errors=True)
        make_run(folder / "0", job=0, **now)
    assert (ended(job) is not None, began(job), is_running(job)) == (has_ended, has_begun, runs)


def test_jobs_are_mirrored_as_they_end(make_jobs, root, logger, store):
    fields = [
        {"overrides": ["a=1"]},
        {"overrides": ["a=2"], "status": "failed"},
        {"overrides": ["a=3"]},
    ]
    folder, jobs = make_jobs(*fields, logger=logger, known=[2])
    with following(folder, jobs, jobs, logger, root):
        pass
    parent = summary.read(folder, SWEEP_FILE).mlflow["run_id"]
    assert store.client.get_run(parent).info.status == "RUNNING"  # until the sweep is over
    children = store.client.search_runs(
        [store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    assert {child.info.run_name: child.info.status for child in children} == {
        "0: 1 (a)": "FINISHED",
        "1: 2 (a)": "FAILED",
    }


def test_a_server_that_is_away_costs_one_try(make_jobs, root, logger, capsys, monkeypatch):
    away = replace(logger, tracking_uri="http://127.0.0.1:9")
    tries = []
    monkeypatch.setattr(follow, "mirror_job", lambda *arguments: tries.append(arguments))
    folder, jobs = make_jobs({}, {}, logger=away)
    with following(folder, jobs, jobs, away, root):
        pass
    assert tries == []
    assert capsys.readouterr().err.count("no MLflow server answers") == 1


def test_a_store_that_breaks_is_left_alone_until_the_end(
    make_jobs, root, logger, store, capsys, monkeypatch
):
    tries = []

    def fail(*arguments):
        tries.append(arguments)
        raise OSError("disk full\nat sector 7")

    monkeypatch.setattr(follow, "mirror_job", fail)
    folder, jobs = make_jobs({}, {}, logger=logger)
    with following(folder, jobs, jobs, logger, root):
        pass
    assert len(tries) == 1
    assert (
        "warning: MLflow: disk full; the jobs are logged when the sweep is over\n"
        in capsys.readouterr().err
    )


def test_it_ends_with_its_block_whatever_happens(make_jobs, root):
    folder, jobs = make_jobs({"status": None})
    before = set(threading.enumerate())  # other tests may have left some
    started = set()

    def fail():
        with following(folder, jobs, jobs, OFF, root):
            started.update(set(threading.enumerate()) - before)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(started) == 2
    assert not started & set(threading.enumerate())
