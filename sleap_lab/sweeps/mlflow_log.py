"""A sweep in MLflow: the run that holds those of its jobs together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.lineage import Lineage, read_lineage
from sleap_lab.runs.mlflow_log import (
    FIRST,
    MLFLOW_STATUS,
    later,
    logged_metrics,
    logger_in,
    mirror_run,
    own_files,
    parameters,
    sweep_name,
)
from sleap_lab.runs.mlflow_run import (
    MlflowRun,
    children,
    fill_run,
    is_complete,
    is_deleted,
    nest,
    open_run,
)
from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.store import DELETED, Store, open_store, prepare_store
from sleap_lab.runs.summary import SWEEP_FILE, RunSummary, overridden
from sleap_lab.runs.tags import DESCRIPTION_TAG, JOB_TAG, SWEEP_TAG, origin_tags
from sleap_lab.runs.titles import shorten
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.sweeps.best import Best, Job, best_job
from sleap_lab.sweeps.description import description
from sleap_lab.sweeps.ledger import LEDGER, read_plan
from sleap_lab.sweeps.results import (
    BEST_FILE,
    COMMAND_FILE,
    command_of,
    read_jobs,
    read_objective,
)
from sleap_lab.sweeps.table import Row, sweep_rows, telling, text
from sleap_lab.sweeps.varied import job_titles, sweep_title, varied_keys

ARTIFACTS = ("results.*", "figures/*", BEST_FILE, COMMAND_FILE, SWEEP_FILE, LEDGER)


@dataclass(frozen=True)
class Parent:
    """The open MLflow run of a sweep.

    Attributes:
        store: The open store.
        run_id: Its id.
        left: Runs below it whose job folder is gone, by number of the job.
    """

    store: Store
    run_id: str
    left: Mapping[int, str]


def open_parent(
    logger: LoggerConfig, folder: Path, outputs_root: Path, jobs: Sequence[Job]
) -> Parent:
    """Open the MLflow run of a running sweep, so that its jobs can be logged under it.

    Args:
        logger: Where to log.
        folder: The sweep folder.
        outputs_root: Folder of the default store.
        jobs: All jobs of the sweep.

    Raises:
        RunError: The store cannot be used, but the sweep can run and be logged later; or the user
            deleted the sweep's run in the store.
    """
    try:
        store = prepare_store(logger, outputs_root)
        sweep = summary.read(folder, SWEEP_FILE)
        if not is_deleted(store, sweep):
            entry = _entry(folder, sweep, [], None, logger)
            left = _left(children(store, sweep.mlflow), jobs)
            return Parent(store, open_run(store, folder, SWEEP_FILE, sweep, entry).id, left)
    except Exception as error:  # logging may fail in any way; the sweep must continue
        raise later(folder, error) from error
    raise RunError(
        f"{folder} was deleted in MLflow, so it is not logged again; "
        "restore it there if it should be"
    )


def _left(known: Mapping[str, Any], jobs: Sequence[Job]) -> dict[int, str]:
    """Return the runs of which no job has a record, as its folder was removed, by number."""
    recorded = {(job.run.mlflow or {}).get("run_id") for job in jobs if job.run is not None}
    return {
        int(run.data.tags[JOB_TAG]): run_id
        for run_id, run in known.items()
        if run_id not in recorded
        and run.info.lifecycle_stage != DELETED
        and run.data.tags.get(JOB_TAG, "").isdecimal()
    }


def mirror_job(
    parent: Parent,
    job: Job,
    titles: Mapping[int, str],
    logger: LoggerConfig,
    objective: str | None,
) -> None:
    """Log a job that has ended under the MLflow run of its sweep.

    The name of the run says how the job differs from the others. A job whose folder was removed
    before it ran again gets the run that it had.

    Args:
        parent: The sweep's run.
        job: The job.
        titles: What sets each job of the sweep apart, by number.
        logger: Logger settings for a job that died before it recorded its own.
        objective: The metric that decides which job is best, where it is not the default one.
    """
    assert job.run is not None
    if job.run.mlflow is None and job.number in parent.left:
        job.run.mlflow = {"run_id": parent.left[job.number], "tracking_uri": parent.store.uri}
    config = read_document(job.folder, "config.yaml") or {}
    own = logger_in(config) if config else logger
    name = titles.get(job.number)
    name = f"{job.number}: {name}" if name else f"job {job.number}"
    mirror_run(
        parent.store,
        job.folder,
        job.run,
        own,
        parent.run_id,
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
        known = children(store, sweep.mlflow)
        missing = {*_unlogged(store, jobs, known)}
        if is_deleted(store, sweep) or (not missing and is_complete(store, sweep)):
            return
        best = best_job(jobs, read_objective(folder))
        entry = _entry(folder, sweep, jobs, best, logger)
        opened = open_run(store, folder, SWEEP_FILE, sweep, entry)
        titles, objective = titles_of(jobs), read_objective(folder).name
        parent = Parent(store, opened.id, _left(known, jobs))
        for job in jobs:
            if job in missing:
                mirror_job(parent, job, titles, logger, objective)
            elif job.run is not None:
                nest(store, job.run.mlflow, opened.id, known)
        fill_run(
            store,
            opened,
            _described(entry, store, opened.id, sweep, jobs, best),
            status=MLFLOW_STATUS[sweep.status],
            ended=sweep.ended or sweep.started,
        )
    except Exception as error:  # logging may fail in any way; the results are safe
        raise later(folder, error) from error


def holds_all(store: Store, sweep: RunSummary, folder: Path) -> bool:
    """Return whether the store holds all of a sweep, and of each of its jobs that has ended."""
    return is_complete(store, sweep) and not _unlogged(
        store, read_jobs(folder), children(store, sweep.mlflow)
    )


def _unlogged(store: Store, jobs: Sequence[Job], known: Mapping[str, Any]) -> list[Job]:
    """Return the jobs that have ended and that the store does not hold completely."""
    return [
        job
        for job in jobs
        if job.run is not None
        and job.run.status != "running"
        and not is_complete(store, job.run, known)
    ]


def _entry(
    folder: Path, sweep: RunSummary, jobs: Sequence[Job], best: Best | None, logger: LoggerConfig
) -> MlflowRun:
    """Return the MLflow run of a sweep; without jobs, as it is while the sweep runs.

    It has the parameters and the metrics of the best job.
    """
    rows = sweep_rows(jobs, best)
    overrides = [job.overrides for job in read_plan(folder).jobs]
    varied = varied_keys([job.overrides for job in jobs])
    decides = {} if best is None else {f"{FIRST}{best.criterion}": best.value}
    return MlflowRun(
        name=logger.run_name or shorten(sweep_title(overrides)),
        tags={
            **logger.tags,
            **{
                f"varied.{key}": ", ".join(
                    dict.fromkeys(text(overridden(job.overrides).get(key)) for job in jobs)
                )
                for key in varied
            },
            **origin_tags(folder, (folder / COMMAND_FILE).read_text(encoding="utf-8").strip()),
            DESCRIPTION_TAG: sweep.error,
            "mlflow.loggedArtifacts": json.dumps([{"path": "results.json", "type": "table"}])
            if rows
            else None,
            SWEEP_TAG: sweep_name(folder),
            "sleap_lab.best_by": best.criterion if best else None,
            "sleap_lab.best_job": str(best.job.number) if best else None,
            "sleap_lab.best_tied": ", ".join(map(str, best.tied)) if best and best.tied else None,
            "sleap_lab.best_command": command_of(best.job) if best else None,
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
    entry: MlflowRun,
    store: Store,
    run_id: str,
    sweep: RunSummary,
    jobs: Sequence[Job],
    best: Best | None,
) -> MlflowRun:
    """Return the run of a sweep whose jobs are logged, with the description that links to them."""
    logged = {job.number: job.run.mlflow or {} for job in jobs if job.run is not None}
    said = description(
        sweep_rows(jobs, best),
        best,
        error=sweep.error,
        command=command_of(best.job) if best else None,
        experiment_id=store.experiment_id,
        run_id=run_id,
        run_ids={number: run["run_id"] for number, run in logged.items() if "run_id" in run},
    )
    return replace(entry, tags={**entry.tags, DESCRIPTION_TAG: said})
