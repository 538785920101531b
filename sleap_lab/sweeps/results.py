"""A sweep as a whole: its files, its results, and the MLflow run that holds its jobs together.

A sweep folder holds one run folder per job, the `ledger` of the jobs, `sweep.json` with the state
of the sweep, `command.txt`, and at the end the results: `results.csv`, `.md` and `.html`, figures,
and `best.yaml`, the config of the best job.
"""

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.entry import Entry, fill_run, is_complete, is_deleted, nest, open_run
from sleap_lab.runs.lineage import Lineage, read_lineage
from sleap_lab.runs.mlflow_log import (
    FIRST,
    later,
    logged_metrics,
    logger_in,
    mirror_run,
    own_files,
    parameters,
    sweep_name,
)
from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.store import Store, open_store, prepare_store
from sleap_lab.runs.summary import STATUSES, SWEEP_FILE, RunSummary, overridden
from sleap_lab.runs.tags import user
from sleap_lab.runs.titles import short_name, shorten
from sleap_lab.settings.config import ONLY_IN_SWEEPS, LoggerConfig
from sleap_lab.sweeps.description import description
from sleap_lab.sweeps.ledger import LEDGER, PlannedJob, read_plan
from sleap_lab.sweeps.rendering import as_csv, as_markdown, told_first
from sleap_lab.sweeps.table import (
    Best,
    Job,
    Objective,
    Row,
    best_job,
    column,
    compared,
    constant,
    is_partial,
    sweep_rows,
    telling,
    text,
)
from sleap_lab.sweeps.varied import job_titles, sweep_title, varied_keys

COMMAND_FILE = "command.txt"
BEST_FILE = "best.yaml"
ROWS_OF_PAGE = 1000
DESCRIPTION_TAG = "mlflow.note.content"
ARTIFACTS = ("results.*", "figures/*", BEST_FILE, COMMAND_FILE, SWEEP_FILE, LEDGER)
MLFLOW_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


@dataclass(frozen=True)
class Parent:
    """The open MLflow run of a sweep."""

    store: Store
    run_id: str


def begin_sweep(folder: Path, command: Sequence[str]) -> RunSummary:
    """Record that a sweep begins or continues; an existing MLflow run stays its own."""
    sweep = RunSummary()
    if (folder / SWEEP_FILE).is_file():
        earlier = summary.read(folder, SWEEP_FILE)
        sweep.started, sweep.mlflow = earlier.started, earlier.mlflow
    summary.write(folder, sweep, SWEEP_FILE)
    (folder / COMMAND_FILE).write_text(shlex.join(command) + "\n", encoding="utf-8")
    return sweep


def open_parent(logger: LoggerConfig, folder: Path, outputs_root: Path) -> Parent:
    """Open the MLflow run of a running sweep, so that its jobs can be logged under it.

    Raises:
        RunError: The store cannot be used, but the sweep can run and be logged later; or the user
            deleted the sweep's run in the store.
    """
    try:
        store = prepare_store(logger, outputs_root)
        sweep = summary.read(folder, SWEEP_FILE)
        if not is_deleted(store, sweep):
            entry = _entry(folder, sweep, [], None, logger)
            return Parent(store, open_run(store, folder, SWEEP_FILE, sweep, entry).id)
    except Exception as error:  # logging may fail in any way; the sweep must continue
        raise later(folder, error) from error
    raise RunError(
        f"{folder} was deleted in MLflow, so it is not logged again; "
        "restore it there if it should be"
    )


def finish_sweep(folder: Path, *, interrupted: bool = False) -> list[Job]:
    """Record how a sweep went and write its results.

    It is finished if all its jobs ended well, interrupted if the user stopped it, and failed
    otherwise. It takes over the metrics of its best job.

    Args:
        folder: Folder of the sweep.
        interrupted: Whether the sweep was stopped before all jobs had run.

    Returns:
        Its jobs.
    """
    jobs = read_jobs(folder)
    sweep = summary.read(folder, SWEEP_FILE)
    sweep.status = (
        "interrupted"
        if interrupted
        else "finished"
        if jobs and all(job.ended_well for job in jobs)
        else "failed"
    )
    sweep.ended = sweep.ended or summary.now()
    counted = Counter(job.status for job in jobs)
    sweep.counts = {"jobs": len(jobs)} | {
        f"jobs_{name.replace(' ', '_')}": counted[name] for name in (*STATUSES, "not run")
    }
    best = best_job(jobs, read_objective(folder))
    sweep.metrics = best.job.metrics if best else {}
    _write_results(folder, sweep, jobs, best)
    summary.write(folder, sweep, SWEEP_FILE)
    return jobs


def mirror_job(
    store: Store,
    job: Job,
    titles: Mapping[int, str],
    logger: LoggerConfig,
    parent_run_id: str,
    objective: str | None,
) -> None:
    """Log a job that has ended under the MLflow run of its sweep.

    The name of the run says how the job differs from the others.

    Args:
        store: The open store.
        job: The job.
        titles: What sets each job of the sweep apart, by number.
        logger: Logger settings for a job that died before it recorded its own.
        parent_run_id: The sweep's run.
        objective: The metric that decides which job is best, where it is not the default one.
    """
    assert job.run is not None
    config = read_document(job.folder, "config.yaml") or {}
    own = logger_in(config) if config else logger
    name = titles.get(job.number)
    name = f"{job.number}: {name}" if name else f"job {job.number}"
    mirror_run(
        store,
        job.folder,
        job.run,
        own,
        parent_run_id,
        name=shorten(f"{own.run_name} {name}" if own.run_name else name),
        objective=objective,
        config=config,
    )


def titles_of(jobs: Sequence[Job]) -> dict[int, str]:
    """Return what sets each job of a sweep apart, by number."""
    titles = job_titles([job.overrides for job in jobs])
    return dict(zip((job.number for job in jobs), titles, strict=True))


def log_sweep(folder: Path, logger: LoggerConfig, outputs_root: Path) -> None:
    """Log a sweep that is over, with every job that is not logged yet.

    Nothing happens if the store holds all of it.

    Raises:
        RunError: The store cannot be used; the sweep can be logged later.
    """
    try:
        store = open_store(logger, outputs_root)
        sweep, jobs = summary.read(folder, SWEEP_FILE), read_jobs(folder)
        missing = unlogged(store, jobs)
        if is_deleted(store, sweep) or (not missing and is_complete(store, sweep)):
            return
        best = best_job(jobs, read_objective(folder))
        entry = _entry(folder, sweep, jobs, best, logger)
        opened = open_run(store, folder, SWEEP_FILE, sweep, entry)
        titles, objective = titles_of(jobs), read_objective(folder).name
        for job in jobs:
            if job in missing:
                mirror_job(store, job, titles, logger, opened.id, objective)
            elif job.run is not None:
                nest(store, job.run.mlflow, opened.id)
        fill_run(
            store,
            opened,
            _described(entry, store, opened.id, sweep, jobs, best),
            status=MLFLOW_STATUS[sweep.status],
            ended=sweep.ended or sweep.started,
        )
    except Exception as error:  # logging may fail in any way; the results are safe
        raise later(folder, error) from error


def read_jobs(folder: Path) -> list[Job]:
    """Return all jobs of a sweep; one that died without a record becomes interrupted.

    Raises:
        RunError: The folder holds no sweep.
    """
    return [read_job(folder, planned) for planned in read_plan(folder).jobs]


def read_objective(folder: Path) -> Objective:
    """Return the objective that decides which job of a sweep is best."""
    plan = read_plan(folder)
    return Objective(plan.objective, plan.direction)


def read_job(folder: Path, planned: PlannedJob, part: str | None = None) -> Job:
    """Return a job of a sweep with its state; `part` names its task, if another does the rest."""
    own = folder / planned.folder
    return Job(planned.number, own, planned.overrides, read_run(own), part)


def read_run(folder: Path) -> RunSummary | None:
    """Return how a job went; None if it never started. A damaged record counts as failed."""
    if not (folder / summary.RUN_FILE).is_file():
        return None
    try:
        return summary.settle(folder)
    except RunError as error:
        return RunSummary(status="failed", error=str(error))


def unlogged(store: Store, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that have ended and that the store does not hold completely."""
    return [
        job
        for job in jobs
        if job.run is not None and job.run.status != "running" and not is_complete(store, job.run)
    ]


def _write_results(folder: Path, sweep: RunSummary, jobs: Sequence[Job], best: Best | None) -> None:
    from sleap_lab.sweeps.page import best_shown, write_sweep_page

    rows = sweep_rows(jobs, best)
    (folder / "results.csv").write_text(as_csv(rows), encoding="utf-8")
    (folder / "results.md").write_text(as_markdown(rows), encoding="utf-8")
    scored = [
        job for job in jobs if best is not None and job.ended_well and best.criterion in job.numbers
    ]
    varied = varied_keys([job.overrides for job in scored])
    criterion = best.criterion if best else None
    second = best.second_of(len(scored)) if best else None
    shown = told_first(rows, ROWS_OF_PAGE, best)
    names = [name for name in telling(rows, criterion) if not is_partial(name, scored)]
    (folder / BEST_FILE).unlink(missing_ok=True)
    if best is not None:
        _write_best(folder, best.job)
    write_sweep_page(
        folder,
        title=sweep_title([job.overrides for job in jobs]),
        name=sweep_name(folder),
        status=sweep.status,
        counts=sweep.counts,
        command=(folder / COMMAND_FILE).read_text(encoding="utf-8").strip(),
        columns=names,
        rows=list(zip(*(column([row[name] for row in shown]) for name in names), strict=True)),
        left_out=len(rows) - len(shown),
        same=constant(rows, criterion),
        settings={
            short_name(key, varied): [overridden(job.overrides).get(key) for job in scored]
            for key in varied
        },
        metrics={
            name: [job.numbers[name] for job in scored]
            for name in dict.fromkeys([*compared(scored, best), *filter(None, [second])])
            if all(name in job.numbers for job in scored)
        },
        best=best and best_shown(best, scored, _command(best.job)),
    )


def _command(job: Job) -> str:
    """Return the command that runs a job by itself, with predictions of its own."""
    own = [word for word in job.overrides if not {*overridden([word])} & {*ONLY_IN_SWEEPS}]
    return shlex.join(["sleap-lab", *own])


def _write_best(folder: Path, job: Job) -> None:
    """Write the config that runs the best job by itself."""
    config = read_document(job.folder, "config.yaml") or {}
    unset = dict.fromkeys(name.removeprefix("sweep.") for name in ONLY_IN_SWEEPS)
    config["sweep"] = {**config.get("sweep", {}), **unset}
    said = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / BEST_FILE).write_text(said, encoding="utf-8")


def _entry(
    folder: Path, sweep: RunSummary, jobs: Sequence[Job], best: Best | None, logger: LoggerConfig
) -> Entry:
    """Return the MLflow run of a sweep; without jobs, as it is while the sweep runs.

    It has the parameters and the metrics of the best job.
    """
    rows = sweep_rows(jobs, best)
    overrides = [job.overrides for job in read_plan(folder).jobs]
    varied = varied_keys([job.overrides for job in jobs])
    decides = {} if best is None else {f"{FIRST}{best.criterion}": best.value}
    return Entry(
        name=logger.run_name or shorten(sweep_title(overrides)),
        tags={
            **logger.tags,
            **{
                f"varied.{key}": ", ".join(
                    dict.fromkeys(text(overridden(job.overrides).get(key)) for job in jobs)
                )
                for key in varied
            },
            "mlflow.user": user(),
            "mlflow.source.name": "sleap-lab",
            "mlflow.source.type": "LOCAL",
            DESCRIPTION_TAG: sweep.error,
            "mlflow.loggedArtifacts": json.dumps([{"path": "results.json", "type": "table"}])
            if rows
            else None,
            "sleap_lab.command": (folder / COMMAND_FILE).read_text(encoding="utf-8").strip(),
            "sleap_lab.folder": str(folder.absolute()),
            "sleap_lab.sweep": sweep_name(folder),
            "sleap_lab.best_by": best.criterion if best else None,
            "sleap_lab.best_job": str(best.job.number) if best else None,
            "sleap_lab.best_tied": ", ".join(map(str, best.tied)) if best and best.tied else None,
            "sleap_lab.best_command": _command(best.job) if best else None,
        },
        params=_parameters(best.job) if best else {},
        metrics=logged_metrics(sweep, decides),
        lineage=_lineage(best.job) if best else Lineage(),
        files=own_files(folder, ARTIFACTS) if jobs else {},
        documents={"results.json": _document(rows, best)},
    )


def _lineage(job: Job) -> Lineage:
    config = read_document(job.folder, "config.yaml") or {}
    return read_lineage(job.folder, str(config.get("model", {}).get("kind")))


def _parameters(job: Job) -> dict[str, str]:
    assert job.run is not None
    return parameters(job.run, read_document(job.folder, "config.yaml") or {})


def _document(rows: Sequence[Row], best: Best | None) -> dict[str, list[Any]]:
    """Return the table that MLflow shows, without columns that are the same in all jobs."""
    names = telling(rows, best.criterion if best else None)
    return {"columns": names, "data": [[text(row[name]) for name in names] for row in rows]}


def _described(
    entry: Entry,
    store: Store,
    run_id: str,
    sweep: RunSummary,
    jobs: Sequence[Job],
    best: Best | None,
) -> Entry:
    """Return the run of a sweep whose jobs are logged, with the description that links to them."""
    logged = {job.number: job.run.mlflow or {} for job in jobs if job.run is not None}
    said = description(
        sweep_rows(jobs, best),
        best,
        error=sweep.error,
        command=_command(best.job) if best else None,
        experiment_id=store.experiment_id,
        run_id=run_id,
        run_ids={number: run["run_id"] for number, run in logged.items() if "run_id" in run},
    )
    return replace(entry, tags={**entry.tags, DESCRIPTION_TAG: said})
