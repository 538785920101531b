"""Passing the jobs of a sweep to a launcher, and waiting until each has ended."""

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

from omegaconf import DictConfig

from sleap_lab import terminal
from sleap_lab.errors import RunError, listed
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.launch import queue
from sleap_lab.launch.facts import Sweep
from sleap_lab.launch.follow import began, ended, following, is_running
from sleap_lab.launch.job import SECONDS_TO_STOP, supervise
from sleap_lab.launch.launchers import Launch, launching, share, waiting_for_all
from sleap_lab.runs import summary
from sleap_lab.runs.store import first_line
from sleap_lab.settings.application import Configs
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.settings.overrides import quote
from sleap_lab.sweeps import ledger
from sleap_lab.sweeps.best import Job

LAUNCHES = 3  # attempts to pass jobs to a launcher that fails
SECONDS_BETWEEN_LOOKS = 0.5


def run_jobs(
    sweep: Sweep,
    jobs: Sequence[Job],
    pending: Sequence[Job],
    logger: LoggerConfig,
    words: Sequence[str],
    ready: Sequence[Job] | None = None,
    *,
    outputs_root: Path,
    shared: Sequence[str],
    configs: Configs,
) -> None:
    """Pass jobs to a launcher, and report and log them as they end.

    Args:
        sweep: The sweep, without the share of the machine that each job gets.
        jobs: All jobs.
        pending: Those that are reported.
        logger: Where to log them.
        words: The overrides that choose the launcher.
        ready: Those that are run; by default all pending ones.
        outputs_root: Folder of the default store.
        shared: Overrides of all jobs, in addition to their own.
        configs: The configs that the command uses.
    """
    ready = pending if ready is None else ready
    known = {job.name_in(sweep.folder): summary.stamp(job.run) for job in jobs}
    with (
        following(sweep.folder, jobs, pending, logger, outputs_root) as all_ended,
        launching(words, configs) as (settings, launch),
    ):
        sweep = replace(sweep, known=known, share=share(settings.hydra.launcher, len(ready)))
        pass_on = partial(
            _pass_on,
            launch=launch,
            launcher=settings.hydra.launcher,
            pending=ready,
            sweep=sweep,
            shared=shared,
            all_ended=all_ended,
        )
        _launch(pass_on, ready, sweep, all_ended)


def _launch(
    pass_on: Callable[[Sequence[Job]], list[Job]],
    pending: Sequence[Job],
    sweep: Sweep,
    all_ended: Event,
) -> None:
    """Run jobs until each has ended or is lost.

    What an earlier command left running, or in the queue of Slurm, goes on and is waited for.

    Args:
        pass_on: Passes jobs to the launcher, and returns those that it lost.
        pending: The jobs.
        sweep: Their sweep.
        all_ended: Set once all jobs have ended.
    """
    left = list(pending)
    try:
        for _ in range(LAUNCHES):
            queued = queue.still_queued(sweep.folder, [job.name_in(sweep.folder) for job in left])
            left = [job for job in left if ended(job) is None]  # some may have ended meanwhile
            if not left or ledger.stopped(sweep.folder):
                return
            live = [
                job for job in left if job.name_in(sweep.folder) in queued or _runs_elsewhere(job)
            ]
            _say_what_goes_on(live, queued)
            lost = pass_on([job for job in left if job not in live])
            if live:
                queue.wait(list(queued.values()), all_ended)
                _wait(live)
            left = [*lost, *live]
    except BaseException:
        ledger.stop(sweep.folder, ledger.INTERRUPTED)
        _wait(pending, SECONDS_TO_STOP)
        queue.cancel(sweep.folder, [job.name_in(sweep.folder) for job in pending])
        for job in pending:
            with suppress(RunError):  # the job never began
                summary.settle(job.folder, cause=summary.BY_USER)
        raise


def _pass_on(
    jobs: Sequence[Job],
    launch: Launch,
    launcher: DictConfig,
    pending: Sequence[Job],
    sweep: Sweep,
    shared: Sequence[str],
    all_ended: Event,
) -> list[Job]:
    """Pass jobs to the launcher, wait for them, and return those to pass to it again.

    Args:
        jobs: The jobs.
        launch: Passes jobs to the launcher.
        launcher: Settings of the launcher.
        pending: All jobs of the sweep that were not done when it began.
        sweep: The sweep.
        shared: Overrides of all jobs, in addition to their own.
        all_ended: Set once all jobs have ended.

    Raises:
        RunError: The launcher cannot start any.
    """
    if not jobs:
        return []
    names = [job.name_in(sweep.folder) for job in jobs]
    words = [
        [*job.overrides, *shared, f"hydra.sweep.subdir={quote(name)}"]
        for job, name in zip(jobs, names, strict=True)
    ]
    try:
        with waiting_for_all(launcher, sweep.folder, names, all_ended):
            launch(words, partial(supervise, sweep=sweep))
    except Exception as error:  # a worker was killed, and the launcher stopped
        raise_interruption(error)
        _wait(jobs)
        if not any(map(began, pending)):
            raise RunError(f"hydra/launcher: {first_line(error)}") from error
        terminal.warn(f"hydra/launcher: {first_line(error)}; what is left is started again")
        return list(jobs)
    _wait(jobs)
    if queue.is_slurm(launcher):
        of_name = dict(zip(names, jobs, strict=True))
        absent = queue.wait_for_records(
            sweep.folder,
            [name for name, job in of_name.items() if not _has_record(job)],
            lambda name: _has_record(of_name[name]),
        )
        _wait(jobs)
        queue.say_what_never_began(sweep.folder, {name: of_name[name].number for name in absent})
    return []


def _has_record(job: Job) -> bool:
    """Return whether a job has begun, or ended, since its state was last read."""
    return began(job) or ended(job) is not None


def _runs_elsewhere(job: Job) -> bool:
    """Return whether a job of an earlier command runs on another machine.

    Jobs on this machine end with their command.
    """
    return is_running(job) and job.run is not None and job.run.host != socket.gethostname()


def _say_what_goes_on(jobs: Sequence[Job], queued: Mapping[str, str]) -> None:
    """Show which jobs of an earlier command are waited for."""
    if jobs:
        ids = f" as {listed(sorted(queued.values()), 5)}" if queued else ""
        numbers = listed([str(job.number) for job in jobs], 20)
        terminal.note(f"job {numbers} still waits or runs{ids}, and is not started again")


def _wait(jobs: Sequence[Job], seconds: float = math.inf) -> None:
    """Wait until none of the jobs runs; one may outlive the process its launcher started it in."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(is_running(job) for job in jobs):
        time.sleep(SECONDS_BETWEEN_LOOKS)
