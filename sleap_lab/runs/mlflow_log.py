"""Log a finished run folder to MLflow.

MLflow is a mirror of the folder: it is written last, in one batch, and from the folder only. If a
server cannot be reached, only the mirror is missing, and the same call logs the run later.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.folder import LOG_FILE, RESULT_FILES
from sleap_lab.runs.lineage import errors_over_time, read_lineage, speed_over_time
from sleap_lab.runs.mlflow_run import PARENT_TAG, MlflowRun, fill_run, find, is_complete, open_run
from sleap_lab.runs.names import clean_name
from sleap_lab.runs.snapshot import SNAPSHOT, flatten, read_document
from sleap_lab.runs.store import (
    DELETED,
    Store,
    client_of,
    first_line,
    open_store,
    probe,
    storable,
)
from sleap_lab.runs.summary import RunSummary, finite
from sleap_lab.runs.system import system_over_time
from sleap_lab.runs.tags import SWEEP_TAG, TAGS_FILE, later_tags, run_tags
from sleap_lab.runs.titles import run_title, shorten
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.settings.objective import CRITERIA

MLFLOW_STATUS = {
    "finished": "FINISHED",
    "partial": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
MAX_METRICS = 60
FIRST = "best_by/"  # MLflow sorts metrics by name

# Stages whose seconds are metrics, like the sum over all stages; `run.json` has every stage.
LOGGED_STAGES = ("load", "read", "preprocess", "network", "peaks", "track", "evaluate")

# Files and whole folders of the run folder that are logged.
ARTIFACTS = (
    *RESULT_FILES,
    "review.html",
    "figures/*",
    LOG_FILE,
    "run.json",
    TAGS_FILE,
    f"{SNAPSHOT}/**/*",
    ".hydra/**/*",
)


def log_run(folder: Path, logger: LoggerConfig, *, outputs_root: Path) -> str:
    """Create one MLflow run from a run folder and record its id in the folder's `run.json`.

    Nothing happens if the store already holds all of the run. An interrupted attempt is completed.

    Args:
        folder: Run folder of a run that has ended, however it ended.
        logger: Where to log.
        outputs_root: Folder of the default store.

    Returns:
        Id of the MLflow run.

    Raises:
        RunError: The run has not ended, or the store failed. In the second case the folder is
            complete and can be logged later.
    """
    run = summary.settle(folder)
    if run.status == "running":
        raise RunError(
            f"{folder} cannot be logged yet: process {run.pid} on {run.host} is still running it"
        )
    try:
        return mirror_run(open_store(logger, outputs_root), folder, run, logger, None)
    except Exception as error:  # the mirror may break in any way; the run is safe
        raise later(folder, error) from error


def mirror_run(
    store: Store,
    folder: Path,
    run: RunSummary,
    logger: LoggerConfig,
    parent_run_id: str | None,
    *,
    name: str | None = None,
    objective: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> str:
    """Create or complete the MLflow run of a run that has ended, in an open store.

    Unlike in `log_run`, errors of the store are not converted.

    Args:
        store: The open store.
        folder: The run folder.
        run: Its summary.
        logger: What the run was to be logged with.
        parent_run_id: Run to nest it under; None for that of the folder's sweep, if any.
        name: Its name; by default `logger.run_name`, or else one made of its overrides.
        objective: The metric that decides which run is best, where it is not the default one.
        config: The config of its snapshot, which a caller may have read.
    """
    if run.mlflow is not None and "run_id" in run.mlflow and is_complete(store, run):
        return run.mlflow["run_id"]
    name = (
        name
        or logger.run_name
        or run_title(run.overrides)
        or shorten(f"{folder.parent.name} {folder.name}")
    )
    if config is None:
        config = read_document(folder, "config.yaml") or {}
    entry = _entry(folder, run, config, logger, parent_run_id or _sweep_run(folder, store), name)
    entry = replace(entry, metrics=logged_metrics(run, deciding(run, objective)))
    opened = open_run(store, folder, summary.RUN_FILE, run, entry)
    fill_run(store, opened, entry, status=MLFLOW_STATUS[run.status], ended=run.ended or run.started)
    return opened.id


def later(folder: Path, error: Exception) -> RunError:
    """Return the error for failed logging: the reason, and the command that logs the run later."""
    reason = str(error) if isinstance(error, RunError) else f"MLflow: {first_line(error)}"
    return RunError(
        f"{reason}; the run is complete in {folder}, "
        f"`sleap-lab sync {shlex.quote(str(folder))}` uploads it later"
    )


def log_files(folder: Path, names: Sequence[str], *, outputs_root: Path) -> bool:
    """Add files of a run folder to the MLflow run that mirrors it.

    Args:
        folder: Run folder.
        names: Files in it.
        outputs_root: Folder of the default store.

    Returns:
        Whether there is such a run.

    Raises:
        RunError: The store failed.
    """
    recorded = summary.read(folder).mlflow
    if recorded is None or "run_id" not in recorded:
        return False
    logger = replace(read_logger(folder), tracking_uri=recorded["tracking_uri"])
    try:
        store = open_store(logger, outputs_root)
        run = find(store, recorded)
        if run is None or run.info.lifecycle_stage == DELETED:
            return False
        for name in names:
            store.client.log_artifact(run.info.run_id, str(folder / name))
    except RunError:
        raise
    except Exception as error:  # each kind of store raises errors of its own
        raise RunError(f"MLflow: {first_line(error)}") from error
    return True


def log_tags(recorded: Mapping[str, str] | None, tags: Mapping[str, str]) -> bool:
    """Set tags of the MLflow run that mirrors a folder; one without a value is deleted.

    Args:
        recorded: The `mlflow` of the run's summary.
        tags: The tags.

    Returns:
        Whether there is such a run.

    Raises:
        RunError: The store failed.
    """
    if recorded is None or not {"run_id", "tracking_uri"} <= recorded.keys():
        return False
    try:
        probe(recorded["tracking_uri"])
        client = client_of(recorded["tracking_uri"])
        there = client.get_run(recorded["run_id"]).data.tags
        for name, value in ((clean_name(name), value) for name, value in tags.items()):
            if value:
                client.set_tag(recorded["run_id"], name, storable(value))
            elif name in there:
                client.delete_tag(recorded["run_id"], name)
    except RunError:
        raise
    except Exception as error:  # each kind of store raises errors of its own
        raise RunError(f"MLflow: {first_line(error)}") from error
    return True


def read_logger(folder: Path) -> LoggerConfig:
    """Return the logger settings that a run was made with, from its snapshot."""
    return logger_in(read_document(folder, "config.yaml") or {})


def logger_in(config: Mapping[str, Any]) -> LoggerConfig:
    """Return the logger settings of a config."""
    found = config.get("logger", {})
    return LoggerConfig(**{f.name: found[f.name] for f in fields(LoggerConfig) if f.name in found})


def parameters(run: RunSummary, config: Mapping[str, Any]) -> dict[str, str]:
    """Return every setting and the chosen option of every group as text.

    Runs with different settings thus differ in MLflow, too, wherever a setting comes from: the
    command line, a preset, or an option file of the user. An override of something that is neither
    a setting nor a group any more is kept as typed.
    """
    params = dict(summary.overridden(run.overrides)) | flatten(config)
    params |= {
        group: option for group, option in run.choices.items() if not group.startswith("hydra/")
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in params.items()
    }


def sweep_name(folder: Path) -> str:
    """Return the name to group the jobs of a sweep by: the last two parts of its folder."""
    return "/".join(folder.absolute().parts[-2:])


def _sweep_run(folder: Path, store: Store) -> str | None:
    """Return the MLflow run of the sweep that a job's folder lies in."""
    if (sweep := summary.sweep_of(folder)) is None:
        return None
    found = find(store, summary.read(sweep, summary.SWEEP_FILE).mlflow)
    return None if found is None or found.info.lifecycle_stage == DELETED else found.info.run_id


def deciding(run: RunSummary, objective: str | None = None) -> dict[str, float]:
    """Return the number that decides which run is best, under a name that MLflow shows first.

    Args:
        run: The run.
        objective: The metric that decides; by default the first of `CRITERIA` that the run has.
    """
    found = summary.numbers(run)
    names = [name for name in (CRITERIA if objective is None else [objective]) if name in found]
    return {f"{FIRST}{name}": found[name] for name in names[:1]}


def logged_metrics(run: RunSummary, first: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics to log: headline metrics, counts and seconds, at most `MAX_METRICS`.

    Args:
        run: The run.
        first: What decides which run is best.
    """
    from sleap_lab.settings.metrics import NOT_LOGGED

    metrics = {name: value for name, value in run.metrics.items() if name not in NOT_LOGGED}
    metrics |= {f"counts/{name}": value for name, value in run.counts.items()}
    if run.stages:
        metrics["speed/total_seconds"] = sum(run.stages.values())
        metrics |= {
            f"speed/{name}_seconds": run.stages[name]
            for name in LOGGED_STAGES
            if name in run.stages
        }
    return dict(list(finite({**first, **metrics}).items())[:MAX_METRICS])


def own_files(folder: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """Return the files of a folder that match patterns, by their path in it.

    Links to files outside the folder are left out.
    """
    inside = folder.resolve()
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return {
        path.relative_to(folder).as_posix(): path
        for path in found
        if path.is_file() and path.resolve().is_relative_to(inside)
    }


def _entry(
    folder: Path,
    run: RunSummary,
    config: Mapping[str, Any],
    logger: LoggerConfig,
    parent_run_id: str | None,
    name: str,
) -> MlflowRun:
    sweep = summary.sweep_of(folder) or (folder.parent if parent_run_id is not None else None)
    lineage = read_lineage(folder, str(config.get("model", {}).get("kind")))
    tags = {
        **lineage.tags(),
        **logger.tags,
        **later_tags(folder),
        **run_tags(folder, run, config),
        PARENT_TAG: parent_run_id,
        SWEEP_TAG: sweep_name(sweep) if sweep is not None else None,
    }
    return MlflowRun(
        name=name,
        tags=tags,
        params=parameters(run, config),
        files=own_files(folder, ARTIFACTS),
        lineage=lineage,
        series=errors_over_time(folder) | speed_over_time(run) | system_over_time(folder),
    )
