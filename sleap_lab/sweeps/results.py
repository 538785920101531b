"""The results of a sweep, side by side.

A sweep folder holds one run folder per job, the `ledger` of the jobs, `sweep.json` with the state
of the sweep, `command.txt`, and at the end the results: `results.csv`, `.md` and `.html`, figures,
and `best.yaml`, the config of the best job.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import sweep_name
from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.summary import STATUSES, SWEEP_FILE, RunSummary, overridden
from sleap_lab.runs.titles import short_name
from sleap_lab.settings.config import ONLY_IN_SWEEPS
from sleap_lab.sweeps.best import Best, Job, Objective, best_job
from sleap_lab.sweeps.ledger import PlannedJob, read_plan
from sleap_lab.sweeps.rendering import as_csv, as_markdown, told_first
from sleap_lab.sweeps.table import column, compared, constant, is_partial, sweep_rows, telling
from sleap_lab.sweeps.varied import sweep_title, varied_keys

COMMAND_FILE = "command.txt"
BEST_FILE = "best.yaml"
ROWS_OF_PAGE = 1000


def begin_sweep(folder: Path, command: Sequence[str]) -> RunSummary:
    """Record that a sweep begins or continues; an existing MLflow run stays its own."""
    sweep = RunSummary()
    if (folder / SWEEP_FILE).is_file():
        earlier = summary.read(folder, SWEEP_FILE)
        sweep.started, sweep.mlflow = earlier.started, earlier.mlflow
    summary.write(folder, sweep, SWEEP_FILE)
    (folder / COMMAND_FILE).write_text(shlex.join(command) + "\n", encoding="utf-8")
    return sweep


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
    # A job may outlive the process of its sweep, as in Slurm. MLflow keeps one value per time.
    ends = [job.run.ended for job in jobs if job.run is not None and job.run.ended is not None]
    sweep.ended = max([sweep.ended or summary.now(), *ends])
    counted = Counter(job.status for job in jobs)
    sweep.counts = {"jobs": len(jobs)} | {
        f"jobs_{name.replace(' ', '_')}": counted[name] for name in (*STATUSES, "not run")
    }
    best = best_job(jobs, read_objective(folder))
    sweep.metrics = best.job.metrics if best else {}
    _write_results(folder, sweep, jobs, best)
    summary.write(folder, sweep, SWEEP_FILE)
    return jobs


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
        best=best and best_shown(best, scored, command_of(best.job)),
    )


def command_of(job: Job) -> str:
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
