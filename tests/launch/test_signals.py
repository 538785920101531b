"""Signals to a job of Slurm; tests/cluster does the same with a real one."""

import os
import signal
import subprocess
import sys

import pytest

from sleap_lab.launch import signals
from sleap_lab.runs import slurm
from sleap_lab.runs.summary import RunSummary

TERM, WARNING = signal.SIGTERM, signal.SIGUSR2


@pytest.fixture
def in_slurm(monkeypatch):
    monkeypatch.setenv(signals.EXECUTOR, "slurm")
    monkeypatch.delenv(signals.WARNING, raising=False)


def test_signals_are_noted_and_not_followed(in_slurm):
    before = signal.getsignal(TERM)
    with signals.listening() as came:
        signal.raise_signal(TERM)
        signal.raise_signal(WARNING)
    assert came == [TERM, WARNING]
    assert signal.getsignal(TERM) == before


def test_elsewhere_they_do_what_they_did(monkeypatch):
    monkeypatch.delenv(signals.EXECUTOR, raising=False)
    before = signal.getsignal(TERM)
    with signals.listening() as came, signals.withheld():
        assert signal.getsignal(TERM) == before
        assert not {TERM, WARNING} & signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert came == []
    signals.leave(RunSummary(status="failed"), [])  # does nothing


def test_processes_of_a_job_do_not_get_them(in_slurm):
    code = "import signal; print(*sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))"
    with signals.withheld():
        shown = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert {int(word) for word in shown.split()} >= {TERM, WARNING}
    assert not {TERM, WARNING} & signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize(
    ("came", "told", "expected"),
    [
        (
            [TERM],
            {"RunTime": "00:00:04", "TimeLimit": "00:10:00"},
            "cancelled or queued again in Slurm (SIGTERM)",
        ),
        ([TERM], {}, "cancelled or queued again in Slurm (SIGTERM)"),
        ([TERM], {"RunTime": "00:10:01", "TimeLimit": "00:10:00"}, "time limit of 00:10:00"),
        ([WARNING], {"RunTime": "00:09:00", "TimeLimit": "00:10:00"}, "time limit of 00:10:00"),
        ([TERM], {"StartTime": "2026-01-01T01", "PreemptTime": "2026-01-01T02"}, "preempted"),
        # It was preempted earlier, and has been started again.
        ([TERM], {"StartTime": "2026-01-01T03", "PreemptTime": "2026-01-01T02"}, "cancelled"),
    ],
)
def test_why_slurm_ends_a_job(in_slurm, came, told, expected, monkeypatch):
    monkeypatch.setattr(slurm, "facts", lambda job: told)
    assert expected in signals.cause(came)


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (RunSummary(status="finished", exit_code=0), None),
        (RunSummary(status="partial", exit_code=3), 3),
        (RunSummary(status="failed", exit_code=1), 1),
        (RunSummary(status="failed"), 1),  # its process died
        (RunSummary(status="interrupted"), 130),
        (None, 130),  # the sweep was stopped before
    ],
)
def test_slurm_is_told_how_it_went(in_slurm, run, code):
    if code is None:
        signals.leave(run, [])
        return
    with pytest.raises(SystemExit) as ended:
        signals.leave(run, [])
    assert ended.value.code == code


@pytest.mark.parametrize(
    ("status", "came", "told", "again"),
    [
        ("interrupted", [WARNING], {"JobState": "RUNNING"}, True),
        ("interrupted", [TERM], {"JobState": "RUNNING", "PreemptTime": "2026"}, True),
        # Slurm queues it again by itself.
        ("interrupted", [TERM], {"JobState": "COMPLETING", "PreemptTime": "2026"}, False),
        ("interrupted", [TERM], {"JobState": "COMPLETING"}, False),  # scancel
        ("interrupted", [], {"JobState": "RUNNING"}, False),  # Ctrl-C in the command
        ("finished", [WARNING], {"JobState": "RUNNING"}, False),  # in time
    ],
)
def test_which_jobs_are_queued_again(in_slurm, status, came, told, again, monkeypatch):
    queued = []
    monkeypatch.setattr(slurm, "facts", lambda job: told)
    monkeypatch.setattr(signals, "_queue_again", lambda: queued.append(os.getpid()))
    with pytest.raises(SystemExit) if status == "interrupted" else pytest.MonkeyPatch.context():
        signals.leave(RunSummary(status=status), came)
    assert bool(queued) == again
