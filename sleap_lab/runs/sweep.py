"""The parent of a multirun: the table of its jobs, and the MLflow run that holds them together.

A sweep folder holds one run folder per job, `sweep.json` with the sweep's own fate, `command.txt`,
and once it is over `results.csv` and `results.md`.
"""

import csv
import io
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from sleap_lab.config import LoggerConfig
from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import finite, later, logged_metrics, mirror_run, shorten, sweep_name, user
from sleap_lab.runs.store import Entry, Store, fill_run, is_complete, nest, open_run, open_store, prepare_store
from sleap_lab.runs.summary import SWEEP_FILE, RunSummary, overridden

# What decides which job is best, the first that any job has; larger is better.
CRITERIA = ("identity/idf1", "eval/oks_map")

# Metrics that are columns of the table, where any job has them.
HEADLINES = (
    "eval/oks_map",
    "eval/pck",
    "eval/dist_p90",
    "identity/hota",
    "identity/idf1",
    "identity/mota",
    "identity/switches",
    "speed/frames_per_second",
)

SECONDARY = ("eval/pck", "identity/mota", "speed/frames_per_second")  # left out of the terminal's table, which is narrow

COMMAND_FILE = "command.txt"
RESULTS = ("results.csv", "results.md")
MLFLOW_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
STYLES = {"finished": "green", "partial": "yellow", "failed": "red", "interrupted": "red", "running": "cyan"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One job of a sweep and how it went."""

    folder: Path
    run: RunSummary

    @property
    def number(self) -> int | str:
        """Number of the job; the name of its folder if it left none."""
        return self.folder.name if self.run.job is None else self.run.job

    @property
    def ended_well(self) -> bool:
        """Whether the job has a result."""
        return self.run.status in ("finished", "partial")


def start_parent(logger: LoggerConfig, sweep_folder: Path, command: Sequence[str], outputs_root: Path) -> str | None:
    """Record that a sweep begins, and open its MLflow run before any job starts.

    Jobs find the run through `sweep.json`, in whatever process they run.

    Returns:
        Id of the MLflow run, or None if nothing is logged.

    Raises:
        RunError: The store cannot be used. The sweep itself can run, and be logged later.
    """
    sweep_folder.mkdir(parents=True, exist_ok=True)
    sweep = RunSummary()
    summary.write(sweep_folder, sweep, SWEEP_FILE)
    (sweep_folder / COMMAND_FILE).write_text(shlex.join(command) + "\n", encoding="utf-8")
    if not logger.mlflow:
        return None
    try:
        return open_run(prepare_store(logger, outputs_root), sweep_folder, SWEEP_FILE, sweep, _entry(sweep_folder, sweep, [], logger))
    except Exception as error:  # the mirror may break in any way; the sweep must not
        raise later(sweep_folder, error) from error


def finish_parent(logger: LoggerConfig, sweep_folder: Path, outputs_root: Path, *, interrupted: bool = False) -> list[Row]:
    """Write the results of a sweep and log them on its MLflow run, with every job that is not logged yet.

    The parent gets the metrics of the best job and a true status: FINISHED if all jobs ended well,
    KILLED if the sweep was interrupted, FAILED otherwise.

    Args:
        logger: Where to log; with `mlflow` off only the files are written.
        sweep_folder: Folder of the sweep.
        outputs_root: Folder of the default store.
        interrupted: Whether the sweep was stopped before all jobs had run.

    Returns:
        The rows of the result table.

    Raises:
        RunError: The store cannot be used; the files are written and the sweep can be logged later.
    """
    jobs = read_jobs(sweep_folder)
    rows = sweep_rows(jobs)
    (sweep_folder / "results.csv").write_text(_csv(rows), encoding="utf-8")
    (sweep_folder / "results.md").write_text(_markdown(rows), encoding="utf-8")
    sweep = summary.read(sweep_folder, SWEEP_FILE)
    sweep.status = "interrupted" if interrupted else "finished" if jobs and all(job.ended_well for job in jobs) else "failed"
    sweep.ended = sweep.ended or summary.now()
    sweep.counts = {"jobs": len(jobs)} | {f"jobs_{status}": count for status, count in Counter(job.run.status for job in jobs).items()}
    _, best = best_job(jobs)
    sweep.metrics = best.run.metrics if best else {}
    summary.write(sweep_folder, sweep, SWEEP_FILE)
    if logger.mlflow:
        try:
            _mirror(open_store(logger, outputs_root), sweep_folder, sweep, jobs, logger)
        except Exception as error:  # the mirror may break in any way; the results are safe
            raise later(sweep_folder, error) from error
    return rows


def read_jobs(sweep_folder: Path) -> list[Job]:
    """Return the jobs of a sweep by number; one that died before it wrote anything counts as failed."""
    folders = [
        folder for folder in sweep_folder.iterdir() if folder.is_dir() and (folder.name.isdigit() or (folder / summary.RUN_FILE).is_file())
    ]
    jobs = []
    for folder in sorted(folders, key=lambda folder: (len(folder.name), folder.name)):
        try:
            run = summary.settle(folder)
        except RunError as error:
            run = RunSummary(status="failed", error=str(error))
        jobs.append(Job(folder, run))
    return jobs


def sweep_rows(jobs: Sequence[Job]) -> list[Row]:
    """Return one row per job: number, status, what varied between the jobs, headline metrics, seconds and error.

    An override that all jobs share is left out, and a metric that no job has.
    """
    varied = varied_keys(jobs)
    headlines = [name for name in HEADLINES if any(name in job.run.metrics for job in jobs)]
    return [
        {
            "job": job.number,
            "status": job.run.status,
            **{key: overridden(job.run.overrides).get(key) for key in varied},
            **{name: job.run.metrics.get(name) for name in headlines},
            "seconds": round(sum(job.run.stages.values()), 1),
            "error": job.run.error,
        }
        for job in jobs
    ]


def varied_keys(jobs: Sequence[Job]) -> list[str]:
    """Return the overridden keys that do not have the same value in all jobs."""
    typed = [overridden(job.run.overrides) for job in jobs]
    return [key for key in dict.fromkeys(key for overrides in typed for key in overrides) if len({o.get(key) for o in typed}) > 1]


def unlogged(store: Store, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that have ended and that the store does not hold, or not all of."""
    ended = [job for job in jobs if job.run.status != "running" and (job.folder / summary.RUN_FILE).is_file()]
    return [job for job in ended if not is_complete(store, job.run.mlflow)]


def best_job(jobs: Sequence[Job]) -> tuple[str | None, Job | None]:
    """Return the criterion and the best job by it; neither if no job that ended well has one of the `CRITERIA`."""
    for criterion in CRITERIA:
        scored = [job for job in jobs if job.ended_well and criterion in finite(job.run.metrics)]
        if scored:
            return criterion, max(scored, key=lambda job: job.run.metrics[criterion])
    return None, None


def sweep_table(rows: Sequence[Row]) -> Table:
    """Return the result table of a sweep for the terminal: names by their last part, what is empty or secondary left out."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    shown = [name for name in _columns(rows) if name not in SECONDARY and (not rows or any(row[name] is not None for row in rows))]
    for name in shown:
        number = any(isinstance(row[name], float) for row in rows)
        table.add_column(escape(_short(name, shown).replace("_", " ")), overflow="fold", justify="right" if number else "left")
    for row in rows:
        table.add_row(*(escape(_text(row[name])) for name in shown), style=STYLES[row["status"]])
    return table


def _short(name: str, names: Sequence[str]) -> str:
    """Return the last part of a dotted or slashed name, or all of it where another name ends alike."""

    def last(text: str) -> str:
        return text.replace("/", ".").rpartition(".")[2]

    return last(name) if sum(last(other) == last(name) for other in names) == 1 else name


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(rows[0]) if rows else ["job", "status"]


def _text(value: Any) -> str:
    """Return a value as it is shown to people; nothing is a dash."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(rows: Sequence[Row]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"

    columns = _columns(rows)
    return line(columns) + line(["---"] * len(columns)) + "".join(line([_text(value) for value in row.values()]) for row in rows)


def _mirror(store: Store, folder: Path, sweep: RunSummary, jobs: Sequence[Job], logger: LoggerConfig) -> None:
    """Log the jobs that are not logged yet, then the results of the sweep; nothing if the store holds all of it."""
    missing = unlogged(store, jobs)
    if not missing and is_complete(store, sweep.mlflow):
        return
    entry = _entry(folder, sweep, jobs, logger)
    run_id = open_run(store, folder, SWEEP_FILE, sweep, entry)
    for job in jobs:
        if job in missing:
            mirror_run(store, job.folder, job.run, logger, run_id)
        else:
            nest(store, job.run.mlflow, run_id)
    fill_run(store, run_id, entry, status=MLFLOW_STATUS[sweep.status], ended=sweep.ended or sweep.started)


def _entry(folder: Path, sweep: RunSummary, jobs: Sequence[Job], logger: LoggerConfig) -> Entry:
    """Return the MLflow run of a sweep; without jobs, as it is when the sweep begins."""
    rows = sweep_rows(jobs)
    criterion, best = best_job(jobs)
    columns = _columns(rows)
    return Entry(
        name=logger.run_name or shorten(f"sweep {sweep_name(folder)}"),
        tags={
            **logger.tags,
            **{f"varied.{key}": ", ".join(dict.fromkeys(_text(row[key]) for row in rows)) for key in varied_keys(jobs)},
            "mlflow.user": user(),
            "mlflow.source.name": "sleap-lab",
            "mlflow.source.type": "LOCAL",
            "mlflow.note.content": sweep.error,
            "mlflow.loggedArtifacts": json.dumps([{"path": "results.json", "type": "table"}]) if rows else None,
            "sleap_lab.command": (folder / COMMAND_FILE).read_text(encoding="utf-8").strip(),
            "sleap_lab.folder": str(folder.absolute()),
            "sleap_lab.sweep": sweep_name(folder),
            "sleap_lab.best_by": criterion,
            "sleap_lab.best_job": str(best.number) if best else None,
        },
        metrics=logged_metrics(sweep),
        files={name: folder / name for name in (*RESULTS, COMMAND_FILE, SWEEP_FILE) if (folder / name).is_file()},
        documents={"results.json": {"columns": columns, "data": [[_text(row[name]) for name in columns] for row in rows]}},
    )
