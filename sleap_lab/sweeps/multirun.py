"""A sweep from a checked command line: resume an earlier one, run the rest, show the results."""

import math
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event

from omegaconf import DictConfig

from sleap_lab import terminal
from sleap_lab.errors import RunError, SleapLabError, listed
from sleap_lab.interruption import raise_interruption
from sleap_lab.runs import summary
from sleap_lab.runs.links import where_to_look
from sleap_lab.runs.store import first_line
from sleap_lab.runs.summary import SWEEP_FILE
from sleap_lab.settings.compose import Configs
from sleap_lab.settings.config import OUTPUTS
from sleap_lab.settings.jobs import CheckedCommand
from sleap_lab.settings.overrides import as_typed, hiding, quote
from sleap_lab.sweeps import ledger, queue
from sleap_lab.sweeps.beforehand import refuse_hopeless
from sleap_lab.sweeps.follow import began, ended, following, is_running
from sleap_lab.sweeps.job import SECONDS_TO_STOP, Sweep, job_context, limit_threads, supervise
from sleap_lab.sweeps.launchers import Launch, launching, share, waiting_for_all
from sleap_lab.sweeps.ledger import (
    Plan,
    PlannedJob,
    claim,
    has_to_run,
    sweep_fingerprint,
    write_plan,
)
from sleap_lab.sweeps.rendering import sweep_table
from sleap_lab.sweeps.results import begin_sweep, finish_sweep, log_sweep, read_jobs, read_objective
from sleap_lab.sweeps.table import (
    Job,
    Objective,
    best_job,
    objective_problem,
    sweep_rows,
)

SOME_FAILED, ALL_FAILED = 3, 1
LAUNCHES = 3  # attempts to pass jobs to a launcher that fails
SECONDS_BETWEEN_LOOKS = 0.5


def run_sweep(
    checked: CheckedCommand, overrides: Sequence[str], command: Sequence[str], configs: Configs
) -> int:
    """Run the jobs of a sweep that are not done yet, and return the exit code of the command.

    Args:
        checked: All its jobs, and the folder that the user chose, if any.
        overrides: The command line's overrides.
        command: What the user typed, for the record.
        configs: The configs that it uses.

    Raises:
        ConfigError: The chosen folder is not free, or no job can run because of its settings.
        RunError: The launcher cannot start jobs, or no job can run because of its files.
    """
    config = checked.jobs[0].config
    folders = [job.folder for job in checked.jobs]
    plan = Plan(
        sweep_fingerprint([job.config for job in checked.jobs], folders),
        config.logger,
        [PlannedJob(number, job.folder, job.overrides) for number, job in enumerate(checked.jobs)],
        config.sweep.objective,
        config.sweep.direction,
    )
    objective = Objective(plan.objective, plan.direction)
    folder, lock = claim(
        Path(OUTPUTS) / "multirun", checked.folder, plan, afresh=config.sweep.rerun == "all"
    )
    fresh = not (folder / ledger.LEDGER).is_file()
    try:
        earlier = objective if fresh else read_objective(folder)
        write_plan(folder, plan)
        jobs = read_jobs(folder)
        pending = [job for job in jobs if has_to_run(job.run, config.sweep.rerun)]
        _say_what_is_left(folder, jobs, pending, config.sweep.rerun)
        if pending:
            try:
                _check(checked, jobs, pending)
            except SleapLabError:
                if fresh:
                    ledger.discard(folder, lock, keep=checked.folder is not None)
                raise
        if pending or not _is_over(folder) or objective != earlier:
            jobs = _run(
                folder,
                jobs,
                pending,
                plan,
                overrides,
                command,
                configs,
                fail_fast=config.sweep.fail_fast,
            )
    finally:
        lock.release()
    _show(folder, jobs, objective)
    _say_what_to_do(jobs)
    return exit_code(jobs)


def _check(checked: CheckedCommand, jobs: Sequence[Job], pending: Sequence[Job]) -> None:
    """Say what is to know about the jobs to run, and refuse a sweep of which none can run."""
    limit_threads()
    configs = [checked.jobs[job.number].config for job in pending]
    context = (
        job_context(configs[0])
        if checked.launcher == "BasicLauncher"
        else multiprocessing.get_context("spawn")  # leaves no server behind
    )
    numbers = [job.number for job in pending]
    refuse_hopeless(
        list(zip(numbers, configs, strict=True)),
        context,
        checked.launcher,
        others=any(job.ended_well and job not in pending for job in jobs),
    )


def _show(folder: Path, jobs: Sequence[Job], objective: Objective) -> None:
    """Show the results side by side, and the place of their files."""
    best = best_job(jobs, objective)
    terminal.results.print(
        sweep_table(sweep_rows(jobs, objective), best.criterion if best else None)
    )
    if problem := objective_problem(jobs, objective):
        terminal.warn(problem)
    said = [("best", str(best))] if best is not None else []
    terminal.table(
        [
            *said,
            ("results", terminal.shown(folder / "results.html")),
            ("sweep folder", terminal.shown(folder)),
            *where_to_look(summary.read(folder, SWEEP_FILE).mlflow),
        ]
    )


def exit_code(jobs: Sequence[Job]) -> int:
    """Return 0 if all jobs finished, 1 if none has a result, 3 otherwise."""
    if all(job.status == "finished" for job in jobs):
        return 0
    return SOME_FAILED if any(job.ended_well for job in jobs) else ALL_FAILED


def _is_over(folder: Path) -> bool:
    """Whether the results of the sweep in a folder are written."""
    return (folder / SWEEP_FILE).is_file() and summary.settle(folder, SWEEP_FILE).status in (
        "finished",
        "failed",
    )


def _say_what_is_left(
    folder: Path, jobs: Sequence[Job], pending: Sequence[Job], rerun: str
) -> None:
    """Show that a sweep is resumed, if it is."""
    if all(job.run is None for job in jobs):
        return
    where = terminal.shown(folder)
    if rerun == "all":
        terminal.note(f"running all of {where} again")
    elif pending:
        terminal.note(f"resuming {where}: {len(jobs) - len(pending)} of {len(jobs)} jobs are done")
    else:
        terminal.note(f"nothing is left to do in {where}; sweep.rerun=all runs the sweep again")


def _say_what_to_do(jobs: Sequence[Job]) -> None:
    """Show how to get the missing results."""
    again = [str(job.number) for job in jobs if has_to_run(job.run, "none")]
    failed = [
        str(job.number)
        for job in jobs
        if has_to_run(job.run, "failed") and str(job.number) not in again
    ]
    if again:
        terminal.note(f"the same command runs what has no result: job {', '.join(again)}")
    if failed:
        terminal.note(f"sweep.rerun=failed also runs what failed: job {', '.join(failed)}")


def _run(
    folder: Path,
    jobs: Sequence[Job],
    pending: Sequence[Job],
    plan: Plan,
    overrides: Sequence[str],
    command: Sequence[str],
    configs: Configs,
    *,
    fail_fast: bool,
) -> list[Job]:
    """Run the pending jobs, then write and log the results of the sweep."""
    outputs_root = Path(OUTPUTS).absolute()
    (folder / ledger.STOP_FILE).unlink(missing_ok=True)
    begin_sweep(folder, command)
    shared = hiding(plan.logger.tracking_uri, overrides)
    words = [*overrides, *shared, f"hydra.sweep.dir={quote(str(folder))}"]
    interrupted = False
    try:
        with (
            following(folder, jobs, pending, plan.logger, outputs_root) as all_ended,
            launching(words, configs) as (settings, launch),
        ):
            sweep = Sweep(
                folder=folder.absolute(),
                jobs={job.folder: job.number for job in plan.jobs},
                known={str(job.folder.relative_to(folder)): summary.stamp(job.run) for job in jobs},
                command=tuple(command),
                cwd=Path.cwd(),
                pid=os.getpid(),
                host=socket.gethostname(),
                share=share(settings.hydra.launcher, len(pending)),
                fail_fast=fail_fast,
            )
            pass_on = partial(
                _pass_on,
                launch=launch,
                launcher=settings.hydra.launcher,
                pending=pending,
                sweep=sweep,
                shared=shared,
                all_ended=all_ended,
            )
            _launch(pass_on, pending, sweep, all_ended)
    except KeyboardInterrupt:
        interrupted = True
        terminal.warn(f"what was done so far is kept; go on with: {as_typed(command)}")
        raise
    finally:
        with suppress(OSError):  # submitit makes a folder of this very name
            (folder / ".submitit" / "%j").rmdir()
        jobs = finish_sweep(folder, interrupted=interrupted)
        if plan.logger.mlflow:
            try:
                log_sweep(folder, plan.logger, outputs_root)
            except RunError as error:
                terminal.warn(str(error))
    return jobs


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
            queued = queue.still_queued(sweep.folder, [_name(job, sweep) for job in left])
            left = [job for job in left if ended(job) is None]  # some may have ended meanwhile
            if not left or ledger.stopped(sweep.folder):
                return
            live = [job for job in left if _name(job, sweep) in queued or _runs_elsewhere(job)]
            _say_what_goes_on(live, queued)
            lost = pass_on([job for job in left if job not in live])
            if live:
                queue.wait(list(queued.values()), all_ended)
                _wait(live)
            left = [*lost, *live]
    except BaseException:
        ledger.stop(sweep.folder, ledger.INTERRUPTED)
        _wait(pending, SECONDS_TO_STOP)
        queue.cancel(sweep.folder, [_name(job, sweep) for job in pending])
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
    names = [_name(job, sweep) for job in jobs]
    words = [
        [*job.overrides, *shared, f"hydra.sweep.subdir={quote(name)}"]
        for job, name in zip(jobs, names, strict=True)
    ]
    waiting = (
        queue.handing_in(sweep.folder, names, all_ended)
        if queue.is_slurm(launcher)
        else waiting_for_all(launcher)
    )
    try:
        with waiting:
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
        queue.say_what_never_began(
            sweep.folder,
            {
                _name(job, sweep): job.number
                for job in jobs
                if not began(job) and ended(job) is None
            },
        )
    return []


def _name(job: Job, sweep: Sweep) -> str:
    """Return the name of a job's folder in that of its sweep."""
    return str(job.folder.absolute().relative_to(sweep.folder))


def _runs_elsewhere(job: Job) -> bool:
    """Whether a job of an earlier command runs on another machine; here they end with theirs."""
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
