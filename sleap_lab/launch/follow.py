"""While a sweep runs: report each job as soon as it ends, and mirror it to MLflow.

The process that runs the sweep does both, from the files that jobs leave. So it is the same for
every launcher, and only one process writes to the MLflow store.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic

from sleap_lab import terminal
from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.folder import LOG_FILE
from sleap_lab.runs.store import first_line
from sleap_lab.runs.summary import RunSummary, finite
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.sweeps.best import Job
from sleap_lab.sweeps.mlflow_log import mirror_job, open_parent, titles_of
from sleap_lab.sweeps.results import read_objective
from sleap_lab.sweeps.table import HEADLINES

SECONDS_BETWEEN_LOOKS = 0.3
REST = 9  # times as long as a look at all jobs took, which is long with very many
SECONDS_BETWEEN_CHECKS = 2.0  # for processes that died without a record

Queue = SimpleQueue[Job | None]


@contextmanager
def following(
    folder: Path,
    jobs: Sequence[Job],
    pending: Sequence[Job],
    logger: LoggerConfig,
    outputs_root: Path,
) -> Iterator[Event]:
    """Report and mirror jobs as they end, as long as the block runs.

    Args:
        folder: The sweep folder.
        jobs: All its jobs.
        pending: The jobs to run, with their last known state.
        logger: Where to log them.
        outputs_root: Folder of the default store.

    Yields:
        An event, set once all pending jobs have ended.
    """
    done: Queue = SimpleQueue()
    over, all_ended = Event(), Event()
    threads = [
        Thread(target=_report, args=(pending, over, all_ended, done), daemon=True),
        Thread(target=_mirror, args=(folder, jobs, logger, outputs_root, done), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield all_ended
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _report(pending: Sequence[Job], over: Event, all_ended: Event, done: Queue) -> None:
    """Print a line for each job that ends, and hand it on.

    One that was interrupted may be continued, as by Slurm, which queues jobs again.
    """
    try:
        _report_all(pending, over, all_ended, done)
    finally:
        done.put(None)


def _report_all(pending: Sequence[Job], over: Event, all_ended: Event, done: Queue) -> None:
    waiting = list(pending)
    noted: set[str] = set()
    dead: set[Path] = set()
    checked, took = monotonic(), 0.0
    while waiting:
        last = over.wait(max(SECONDS_BETWEEN_LOOKS, REST * took))
        began_to_look = monotonic()
        if last or monotonic() - checked > SECONDS_BETWEEN_CHECKS:
            checked = monotonic()
            found = {job.folder for job in waiting if _is_dead(job)}
            # The supervisor of a job needs a moment to record why it died.
            for folder in found if last else found & dead:
                with suppress(RunError):
                    summary.settle(folder)
            dead = found
        for job in waiting[:]:
            if (run := ended(job)) is not None:
                waiting.remove(job)
                if run.status == "interrupted":
                    waiting.append(replace(job, run=run))
                print_job(str(job), run, job.folder)
                for text, say in (
                    *((note, terminal.warn) for note in run.notes),
                    *((remark, terminal.note) for remark in run.remarks),
                ):
                    if text not in noted:  # what is said of all jobs is shown once
                        say(f"{job}: {text}")
                noted.update(run.notes, run.remarks)
                if run.status != "interrupted":
                    done.put(replace(job, run=run))
        if not waiting:
            all_ended.set()
        took = monotonic() - began_to_look
        if last:
            break


def ended(job: Job) -> RunSummary | None:
    """Return how a job went if it has ended since its state was last read.

    A record that an earlier attempt died does not count as an end.
    """
    run = _read(job)
    if run is None or run.status == "running" or summary.stamp(run) == summary.stamp(job.run):
        return None
    return run if run.status != "interrupted" or began(job) else None


def began(job: Job) -> bool:
    """Return whether a job has begun since its state was last read."""
    run = _read(job)
    return run is not None and (job.run is None or run.started != job.run.started)


def is_running(job: Job) -> bool:
    """Return whether the process of a job lives."""
    run = _read(job)
    return run is not None and run.status == "running" and summary.is_alive(job.folder, run)


def _is_dead(job: Job) -> bool:
    """Return whether the process of a job died without a record."""
    run = _read(job)
    return run is not None and run.status == "running" and not summary.is_alive(job.folder, run)


def _read(job: Job) -> RunSummary | None:
    try:
        return summary.read(job.folder)
    except RunError:
        return None


def print_job(name: str, run: RunSummary, folder: Path) -> None:
    """Show in a line how a job went, with the place of its log if it did not go well."""
    if run.error is not None:
        terminal.fail(
            f"{name} {run.status}: {run.error} (log: {terminal.shown(folder / LOG_FILE)})"
        )
        return
    metrics = finite(run.metrics)
    said = ", ".join(
        f"{name.rpartition('/')[2]} {metrics[name]:.4g}" for name in HEADLINES if name in metrics
    )
    terminal.table(
        [
            (
                name,
                f"{run.status} in {sum(run.stages.values()):.1f} s" + (f": {said}" if said else ""),
            )
        ]
    )


def _mirror(
    folder: Path, jobs: Sequence[Job], logger: LoggerConfig, outputs_root: Path, done: Queue
) -> None:
    """Log each job that ends under the sweep's MLflow run.

    Jobs that cannot be logged now are logged with the results of the sweep.
    """
    parent = None
    if logger.mlflow:
        try:
            parent = open_parent(logger, folder, outputs_root, jobs)
        except RunError as error:
            terminal.warn(str(error))
    titles, objective = titles_of(jobs), read_objective(folder).name
    while (job := done.get()) is not None:
        if parent is None:
            continue
        try:
            mirror_job(parent, job, titles, logger, objective)
        except Exception as error:  # each kind of store raises errors of its own
            terminal.warn(
                f"MLflow: {first_line(error)}; the jobs are logged when the sweep is over"
            )
            parent = None
