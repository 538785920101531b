"""A sweep from a checked command line: resume an earlier one, run the rest, show the results."""

import multiprocessing
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from sleap_lab import terminal
from sleap_lab.errors import RunError, SleapLabError, listed
from sleap_lab.launch.beforehand import refuse_hopeless
from sleap_lab.launch.facts import Sweep
from sleap_lab.launch.job import job_context, limit_threads
from sleap_lab.launch.passing import run_jobs
from sleap_lab.launch.pieces import (
    Prediction,
    joinable,
    joining,
    of_pieces,
    on_launcher,
    plan_predictions,
    remove_used,
)
from sleap_lab.runs import summary
from sleap_lab.runs.links import where_to_look
from sleap_lab.runs.summary import SWEEP_FILE
from sleap_lab.settings.application import Configs
from sleap_lab.settings.config import OUTPUTS, LoggerConfig
from sleap_lab.settings.copies import copies
from sleap_lab.settings.jobs import CheckedCommand
from sleap_lab.settings.overrides import as_typed, hiding, quote
from sleap_lab.sweeps import ledger
from sleap_lab.sweeps.best import Job, Objective, best_job, objective_problem
from sleap_lab.sweeps.ledger import (
    Plan,
    PlannedJob,
    claim,
    has_to_run,
    sweep_fingerprint,
    write_plan,
)
from sleap_lab.sweeps.mlflow_log import log_sweep
from sleap_lab.sweeps.rendering import sweep_table, told_first
from sleap_lab.sweeps.results import begin_sweep, finish_sweep, read_jobs, read_objective
from sleap_lab.sweeps.table import sweep_rows

SOME_FAILED, ALL_FAILED = 3, 1
MOST_ROWS = 300  # of the table on the terminal
MOST_NAMED = 20  # jobs in a line


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
    plan, rerun = _plan(checked), checked.jobs[0].config.sweep.rerun
    objective = Objective(plan.objective, plan.direction)
    folder, lock = claim(Path(OUTPUTS) / "multirun", checked.folder, plan, afresh=rerun == "all")
    fresh = not (folder / ledger.LEDGER).is_file()
    try:
        earlier = objective if fresh else read_objective(folder)
        write_plan(folder, plan)
        jobs = read_jobs(folder)
        pending = [job for job in jobs if has_to_run(job.run, rerun)]
        _say_what_is_left(folder, jobs, pending, rerun)
        if pending:
            try:
                with terminal.unless_quick("checking all jobs before the first one starts"):
                    _check(checked, jobs, pending)
            except SleapLabError:
                if fresh:
                    ledger.discard(folder, lock, keep=checked.folder is not None)
                raise
        if pending or not _is_over(folder) or objective != earlier:
            jobs = _run(folder, jobs, pending, plan, checked, overrides, command, configs)
    finally:
        lock.release()
    _show(folder, jobs, objective)
    _say_what_to_do(jobs)
    return exit_code(jobs)


def _plan(checked: CheckedCommand) -> Plan:
    """Return the plan of a sweep."""
    config = checked.jobs[0].config
    return Plan(
        sweep_fingerprint(
            [job.config for job in checked.jobs], [job.folder for job in checked.jobs]
        ),
        config.logger,
        [PlannedJob(number, job.folder, job.overrides) for number, job in enumerate(checked.jobs)],
        config.sweep.objective,
        config.sweep.direction,
    )


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
    rows = sweep_rows(jobs, best)
    shown = told_first(rows, MOST_ROWS, best)
    terminal.results.print(sweep_table(shown, best.criterion if best else None))
    if len(shown) < len(rows):
        terminal.note(f"{len(rows) - len(shown)} more jobs are in results.csv")
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
    """Return whether the results of the sweep in a folder are written."""
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
        numbers = listed(again, MOST_NAMED)
        terminal.note(f"the same command runs the jobs without a result: job {numbers}")
    if failed:
        numbers = listed(failed, MOST_NAMED)
        terminal.note(f"sweep.rerun=failed also runs those that failed: job {numbers}")


def _run(
    folder: Path,
    jobs: Sequence[Job],
    pending: Sequence[Job],
    plan: Plan,
    checked: CheckedCommand,
    overrides: Sequence[str],
    command: Sequence[str],
    configs: Configs,
) -> list[Job]:
    """Run the pending jobs, then write and log the results of the sweep.

    Predictions that are jobs of their own run first.
    """
    outputs_root, settings = Path(OUTPUTS).absolute(), checked.jobs[0].config.sweep
    (folder / ledger.STOP_FILE).unlink(missing_ok=True)
    begin_sweep(folder, command)
    shared = hiding(plan.logger.tracking_uri, overrides)
    words = [*overrides, *shared, f"hydra.sweep.dir={quote(str(folder))}"]
    sweep = Sweep(
        folder=folder.absolute(),
        jobs={job.folder: job.number for job in plan.jobs},
        known={},
        command=tuple(command),
        cwd=Path.cwd(),
        pid=os.getpid(),
        host=socket.gethostname(),
        fail_fast=settings.fail_fast,
        copies=copies(),
    )
    phase = partial(run_jobs, outputs_root=outputs_root, shared=shared, configs=configs)
    interrupted, predictions = False, list[Prediction]()
    try:
        own = {number: job.config for number, job in enumerate(checked.jobs)}
        predictions = plan_predictions(folder, pending, own)
        pieces = {job: piece for each in predictions for job, piece in each.pieces.items()}
        left = [job for job in pieces if has_to_run(job.run, settings.rerun)]
        if left:
            predicting = of_pieces(sweep, {job: pieces[job] for job in left})
            phase(predicting, left, left, replace(plan.logger, mlflow=False), words)
        ready = joinable(pending, predictions)
        others = on_launcher(words, settings.cpu_launcher)
        phase(joining(sweep, predictions, ready), jobs, pending, plan.logger, others, ready)
    except KeyboardInterrupt:
        interrupted = True
        terminal.warn(f"what was done so far is kept; go on with: {as_typed(command)}")
        raise
    finally:
        with suppress(OSError):  # submitit makes a folder of this very name
            (folder / ".submitit" / "%j").rmdir()
        jobs = finish_sweep(folder, interrupted=interrupted)
        remove_used(predictions, jobs)
        if plan.logger.mlflow:
            _log(folder, plan.logger, outputs_root)
    return jobs


def _log(folder: Path, logger: LoggerConfig, outputs_root: Path) -> None:
    """Log a sweep that is over; it can be logged later, too."""
    try:
        log_sweep(folder, logger, outputs_root)
    except RunError as error:
        terminal.warn(str(error))
