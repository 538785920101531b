"""Signals from Slurm to a job of a sweep, and the orderly end that they ask for.

Slurm asks with SIGTERM (`scancel`, preemption), and some time before the time limit with the signal
of submitit. Depending on how a cluster tracks processes, only the first process of a job gets it,
or all of them do. So the first process listens, and interrupts the one that does the work, which
stores what it has. All others are started with these signals blocked.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker

from sleap_lab.errors.interruption import EXIT_CODE
from sleap_lab.runs import slurm
from sleap_lab.runs.summary import RunSummary

EXECUTOR, WARNING = "SUBMITIT_EXECUTOR", "SUBMITIT_PREEMPT_SIGNAL"
"""What submitit puts into the environment of a job: its kind, and the signal before the limit."""
RUNNING = "RUNNING"
CODES = {"failed": 1, "interrupted": EXIT_CODE}
"""Exit codes of jobs that ended without one of their own."""


def from_slurm() -> bool:
    """Return whether submitit started this process as a job of Slurm."""
    return os.environ.get(EXECUTOR) == "slurm"


def _warning() -> signal.Signals:
    """Return the signal that comes some time before the time limit."""
    return signal.Signals[f"SIG{os.environ.get(WARNING, 'USR2')}"]


@contextmanager
def listening() -> Iterator[list[signal.Signals]]:
    """Note the signals that ask a job of Slurm to end, in place of what they would do.

    Yields:
        Those that came so far; none elsewhere than in a job of Slurm.
    """
    came: list[signal.Signals] = []
    numbers = [signal.SIGTERM, _warning()] if from_slurm() else []
    before = {
        number: signal.signal(number, lambda got, _: came.append(signal.Signals(got)))
        for number in numbers
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def withheld() -> Iterator[None]:
    """Let the processes that a job of Slurm starts within the block never get these signals."""
    if not from_slurm():
        yield
        return
    numbers = {signal.SIGTERM, _warning()}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        resource_tracker.ensure_running()  # once it runs, SIGTERM is not blocked any more
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cause(came: Sequence[signal.Signals]) -> str:
    """Return why Slurm asks this job to end."""
    told = slurm.facts(slurm.job_id() or "")
    limit, runs = told.get("TimeLimit", ""), told.get("RunTime", "")
    if _is_preempted(told):
        return "preempted by a job of higher priority in Slurm"
    if _warning() in came or (limit and slurm.minutes(runs) >= slurm.minutes(limit)):
        return f"Slurm's time limit of {limit or 'the job'} (hydra.launcher.timeout_min)"
    return f"cancelled or queued again in Slurm ({came[0].name})"


def leave(run: RunSummary | None, came: Sequence[signal.Signals]) -> None:
    """End a job of Slurm so that Slurm knows how it went, and queues it again where it should.

    Slurm does so by itself only if the job does not end in time.

    Args:
        run: How the job went; None if it did not start.
        came: The signals that came.

    Raises:
        SystemExit: With the exit code of the run, if that is not 0.
    """
    if not from_slurm():
        return
    status = "interrupted" if run is None else run.status
    if run is not None and status == "interrupted" and came:
        told = slurm.facts(slurm.job_id() or "")
        asked = _warning() in came or _is_preempted(told)
        if asked and told.get("JobState", RUNNING) == RUNNING:
            _queue_again()
    if code := (run and run.exit_code) or CODES.get(status, 0):
        raise SystemExit(code)


def _is_preempted(told: dict[str, str]) -> bool:
    """Return whether a job is or was preempted since it started last."""
    preempted = told.get("PreemptTime", "None")
    return preempted != "None" and preempted >= told.get("StartTime", "")


def _queue_again() -> None:
    """Let submitit queue this job again, unless its time limit has ended it too often.

    Raises:
        SystemExit: The job is in the queue again.
    """
    handler = signal.getsignal(_warning())
    try:
        if callable(handler):
            handler(_warning(), None)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)  # the log of the job
