"""A job in a process of its own: what it is given, and what is recorded of it however it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from sleap_lab.launch import job as job_module
from sleap_lab.launch.job import (
    THREADS,
    Share,
    Sweep,
    _cause,
    _clear,
    _done,
    _environment,
    _record,
    _slot,
    needed_modules,
)
from sleap_lab.runs import summary
from sleap_lab.runs.folder import Invocation
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import Config, ModelConfig, RuntimeConfig, TrackerConfig
from sleap_lab.settings.frames import Piece
from sleap_lab.sweeps import ledger

BEFORE, AFTER = "2026-01-02T02:59:59+00:00", "2026-01-02T03:00:01+00:00"
ASKED = Invocation(overrides=["tracker=flow"], choices={"tracker": "flow"}, job=7)


@pytest.fixture
def make_sweep(tmp_path):
    def make(**fields):
        share = Share(**fields)
        return Sweep(tmp_path, {}, {}, ("sleap-lab",), tmp_path, os.getpid(), "here", share)

    return make


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No setting of whoever runs the tests, and none of theirs afterwards."""
    for name in (*THREADS, "CUDA_VISIBLE_DEVICES", "SLURM_CPUS_PER_TASK"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)


class Ended:
    """A process that ended with a code."""

    def __init__(self, exitcode):
        self.exitcode = exitcode


# --- what a job is given ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["experiment", "pipelines.pipeline", "tracking", "report"]),
        # Joining what other jobs predicted takes no PyTorch, and a piece ends with its poses.
        ({"pieces": Path("pieces")}, ["experiment", "tracking", "report"]),
        ({"piece": Piece(0, 16)}, ["experiment", "pipelines.pipeline"]),
    ],
)
def test_a_job_starts_with_the_modules_that_it_needs(fields, expected):
    config = Config(model=ModelConfig(kind="bottomup"), tracker=TrackerConfig(tracking=True))
    found = needed_modules(config, Invocation(**fields))
    assert found == [f"sleap_lab.{name}" for name in expected]


def test_jobs_share_the_threads_of_their_machine(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    given = _environment(Share(threads=2), 0, Config())
    assert [given[name] for name in THREADS] == ["9", "2", "2", "2"]  # what the user set stays


def test_a_job_of_slurm_has_the_threads_it_asked_for(monkeypatch):
    assert not set(THREADS) & set(_environment(Share(), 0, Config()))
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert [_environment(Share(), 0, Config())[name] for name in THREADS] == ["3"] * 4


@pytest.mark.parametrize(
    ("gpus", "device", "seen"),
    [
        (("4", "5"), "auto", ["4", "5", "4"]),
        (("4", "5"), "cuda", ["4", "5", "4"]),
        (("4", "5"), "cuda:1", [None] * 3),  # he who names a card gets that card
        (("4", "5"), "cpu", [None] * 3),
        ((), "auto", [None] * 3),
    ],
)
def test_jobs_that_run_at_once_take_turns_with_the_gpus(gpus, device, seen):
    config = Config(runtime=RuntimeConfig(device=device))
    given = [
        _environment(Share(3, gpus, 1), slot, config).get("CUDA_VISIBLE_DEVICES")
        for slot in range(3)
    ]
    assert given == seen


# --- slots ------------------------------------------------------------------------------


def test_never_more_than_the_slots_are_taken(make_sweep, monkeypatch):
    monkeypatch.setattr(job_module, "SECONDS_BETWEEN_LOOKS", 0.005)
    sweep, taken, most, lock = make_sweep(slots=2), [], [], threading.Lock()

    def work():
        with _slot(sweep) as slot:
            with lock:
                taken.append(slot)
                most.append(sorted(taken))
            time.sleep(0.01)
            with lock:
                taken.remove(slot)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8
    assert all(slots in ([0], [1], [0, 1]) for slots in most)


def test_where_the_launcher_sees_to_it_there_is_no_waiting(make_sweep, tmp_path):
    with _slot(make_sweep()) as first, _slot(make_sweep()) as second:
        assert (first, second) == (0, 0)
    assert not (tmp_path / ".slots").exists()


@pytest.mark.parametrize("reason", [ledger.FAILED, ledger.INTERRUPTED])
@pytest.mark.parametrize("slots", [None, 1])
def test_a_stopped_sweep_has_no_slots(make_sweep, tmp_path, monkeypatch, reason, slots):
    monkeypatch.setattr(job_module, "SECONDS_BETWEEN_LOOKS", 0.005)
    (tmp_path / ".slots").mkdir()
    sweep, found = make_sweep(slots=slots), []
    with FileLock(tmp_path / ".slots" / "0.lock"):
        if slots is None:
            ledger.stop(tmp_path, reason)

        def wait():
            with _slot(sweep) as slot:
                found.append(slot)

        waiting = threading.Thread(target=wait)
        waiting.start()
        ledger.stop(tmp_path, reason)
        waiting.join()
    assert found == [None]


# --- what is recorded -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exitcode", "expected"),
    [
        (
            -signal.SIGKILL,
            "its process was ended by SIGKILL (as by kill -9, or because memory ran out)",
        ),
        (
            -signal.SIGSEGV,
            "its process was ended by SIGSEGV (a crash in compiled code; the log shows where)",
        ),
        (-signal.SIGHUP, "its process was ended by SIGHUP"),
        (9, "its process ended with exit code 9 before the run was over"),
    ],
)
def test_the_cause_of_death(exitcode, expected):
    assert _cause(exitcode) == expected


def record(folder, *, earlier=None, stopped=None):
    stamp = summary.stamp(earlier)
    run = _record(folder, Ended(-signal.SIGKILL), ASKED, stamp, stamp, stopped=stopped)
    assert summary.read(folder) == run
    return run


@pytest.mark.parametrize(
    ("stopped", "status"), [(None, "failed"), ("cancelled in Slurm", "interrupted")]
)
def test_a_job_that_died_has_no_verdict(tmp_path, stopped, status):
    summary.write(tmp_path, RunSummary(started=AFTER, job=7, pid=1))
    run = record(tmp_path, stopped=stopped)
    assert (run.status, run.exit_code, run.started, run.pid) == (status, None, AFTER, 1)
    assert run.ended is not None
    assert ("SIGKILL" in run.error) == (stopped is None)
    assert stopped in (None, run.error)
    assert ledger.has_to_run(run, "none")


def test_a_job_that_said_how_it_ended_is_believed(tmp_path):
    summary.write(
        tmp_path,
        RunSummary(status="failed", exit_code=1, started=AFTER, ended=AFTER, error="no such file"),
    )
    assert record(tmp_path, earlier=RunSummary(started=BEFORE)).error == "no such file"


@pytest.mark.parametrize(
    "earlier",
    [None, RunSummary(status="finished", started=BEFORE, ended=BEFORE, mlflow={"run_id": "x"})],
)
def test_a_job_that_died_before_it_began_is_recorded_too(tmp_path, earlier):
    if earlier is not None:
        summary.write(tmp_path, earlier)
    run = record(tmp_path, earlier=earlier)
    assert (run.status, run.job, run.overrides, run.choices) == (
        "failed",
        7,
        ["tracker=flow"],
        {"tracker": "flow"},
    )
    assert run.mlflow == (earlier and {"run_id": "x"})


@pytest.mark.parametrize("status", ["finished", "partial", "failed"])
def test_a_job_that_is_done_stays_done(tmp_path, status):
    code = {"finished": 0, "partial": 3, "failed": 1}[status]
    done = RunSummary(status=status, exit_code=code, started=AFTER, ended=AFTER)
    summary.write(tmp_path, done)
    before = (tmp_path / "run.json").read_bytes()
    # Whoever looks at it found it done, or did it himself, or was killed after that.
    for earlier in (done, None):
        stamp = summary.stamp(earlier)
        assert _record(tmp_path, Ended(0), ASKED, stamp, None, stopped=None).status == status
    assert (tmp_path / "run.json").read_bytes() == before


# --- a second attempt -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "now", "done"),
    [
        (None, None, False),
        (
            RunSummary(started=BEFORE),
            RunSummary(status="finished", started=BEFORE, ended=AFTER),
            True,
        ),
        (
            RunSummary(started=BEFORE),
            RunSummary(status="failed", exit_code=1, started=BEFORE, ended=AFTER),
            True,
        ),
        (
            RunSummary(started=BEFORE),
            RunSummary(status="failed", started=BEFORE, ended=AFTER),  # its process died
            False,
        ),
        (
            RunSummary(started=BEFORE),
            RunSummary(status="interrupted", started=BEFORE, ended=AFTER),
            False,
        ),
        (RunSummary(started=BEFORE), RunSummary(status="running", started=AFTER), False),
        (None, RunSummary(status="finished", started=BEFORE, ended=AFTER), True),
        # The job runs again on purpose.
        *(
            (same, same, False)
            for same in [RunSummary(status="finished", started=BEFORE, ended=BEFORE)]
        ),
    ],
)
def test_a_job_that_was_finished_meanwhile_is_done(tmp_path, known, now, done):
    if now is not None:
        summary.write(tmp_path, now)
    assert (_done(tmp_path, summary.stamp(known)) is not None) == done


def test_a_new_attempt_begins_in_an_empty_folder_with_the_log_of_the_last(tmp_path):
    assert _clear(tmp_path) is None
    with summary.lock(tmp_path):
        summary.write(tmp_path, RunSummary(status="failed", job=7, mlflow={"run_id": "x"}))
        for name in ("run.log", "predictions.slp", ".hydra/config.yaml", "snapshot/git.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        assert _clear(tmp_path) == {"run_id": "x"}
        assert summary.is_alive(tmp_path, summary.read(tmp_path))
    assert {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    } == {*("run.json", "run.log", "run.lock", ".hydra/config.yaml")}
    again = summary.read(tmp_path)
    assert (again.status, again.job, again.mlflow) == ("running", 7, {"run_id": "x"})


# --- processes --------------------------------------------------------------------------

ORPHAN = """
import os, sys, time
from sleap_lab.launch.job import _end_with
from sleap_lab.runs import summary
import socket
_end_with(int(sys.argv[1]), socket.gethostname() if sys.argv[2] == "here" else "elsewhere")
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_a_process_ends_with_the_sweep_that_it_works_for(host):
    sweep = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    worker = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(sweep.pid), host], stdout=subprocess.PIPE
    )
    assert worker.stdout.readline() == b"ready\n"
    sweep.communicate(b"\n")
    if host == "here":
        assert worker.wait(300) == 1
    else:  # on a cluster jobs go on
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(2)
        worker.kill()
        worker.wait()
    worker.stdout.close()
