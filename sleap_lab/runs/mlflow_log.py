"""Log a finished run folder to MLflow.

The folder is the truth and MLflow a mirror of it: written last, in one batch, from nothing but the
folder. A server that is away costs nothing but the mirror, and logging later is the same call.
"""

import getpass
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.snapshot import SNAPSHOT, config_hash, flatten, read_document
from sleap_lab.runs.store import (
    DELETED,
    PARENT_TAG,
    Entry,
    Store,
    fill_run,
    find,
    first_line,
    is_complete,
    open_run,
    open_store,
)
from sleap_lab.runs.summary import RunSummary, finite
from sleap_lab.settings.config import LoggerConfig

MLFLOW_STATUS = {
    "finished": "FINISHED",
    "partial": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
MAX_METRICS = 40
MAX_NAME = 120

# Stages whose seconds are metrics, as is the sum of all; those of every stage are in `run.json`.
LOGGED_STAGES = ("load", "read", "preprocess", "network", "peaks", "track", "evaluate")

# What is logged of a run: these files and whole folders of the run folder.
ARTIFACTS = (
    "predictions.*",
    "outputs.npz",
    "metrics.*",
    "switches.csv",
    "bad_frames.csv",
    "report.html",
    "figures/*",
    "overlay*.mp4",
    "run.log",
    "run.json",
    f"{SNAPSHOT}/**/*",
    ".hydra/**/*",
)


def log_run(
    folder: Path, logger: LoggerConfig, *, outputs_root: Path, parent_run_id: str | None = None
) -> str:
    """Create one MLflow run from a run folder and record its id in the folder's `run.json`.

    Nothing happens if the store already holds all of the run. An attempt that was cut short is completed.

    Args:
        folder: Run folder of a run that has ended, however it ended.
        logger: Where to log.
        outputs_root: Folder of the default store.
        parent_run_id: Run to nest it under. Default: that of the sweep the folder belongs to, if any.

    Returns:
        Id of the MLflow run.

    Raises:
        RunError: The run has not ended, or the store failed; the folder is complete and can be logged later.
    """
    run = summary.settle(folder)
    if run.status == "running":
        raise RunError(
            f"{folder} cannot be logged yet: process {run.pid} on {run.host} is still running it"
        )
    try:
        return mirror_run(open_store(logger, outputs_root), folder, run, logger, parent_run_id)
    except Exception as error:  # the mirror may break in any way; the run is safe
        raise later(folder, error) from error


def mirror_run(
    store: Store,
    folder: Path,
    run: RunSummary,
    logger: LoggerConfig,
    parent_run_id: str | None,
    name: str | None = None,
) -> str:
    """Do what `log_run` does in an open store, for a run that has ended; errors of the store come through.

    A run is named by the name given, or else by `logger.run_name`, or else by what was overridden.
    """
    if run.mlflow is not None and "run_id" in run.mlflow and is_complete(store, run):
        return run.mlflow["run_id"]
    overrides = [
        override for override in run.overrides if not override.startswith("logger.")
    ]  # where it is logged is not what it is
    name = (
        name
        or logger.run_name
        or shorten(", ".join(overrides) or f"{folder.parent.name} {folder.name}")
    )
    entry = _entry(folder, run, logger, parent_run_id or _sweep_run(folder, store), name)
    run_id = open_run(store, folder, summary.RUN_FILE, run, entry)
    fill_run(store, run_id, entry, status=MLFLOW_STATUS[run.status], ended=run.ended or run.started)
    return run_id


def later(folder: Path, error: Exception) -> RunError:
    """Return the error that says that logging failed, that nothing is lost and how to log again."""
    reason = str(error) if isinstance(error, RunError) else f"MLflow: {first_line(error)}"
    return RunError(
        f"{reason}; the run is complete in {folder}, `sleap-lab sync {shlex.quote(str(folder))}` uploads it later"
    )


def read_logger(folder: Path) -> LoggerConfig:
    """Return the logger settings that a run was made with, from its snapshot."""
    found = (read_document(folder, "config.yaml") or {}).get("logger", {})
    return LoggerConfig(**{f.name: found[f.name] for f in fields(LoggerConfig) if f.name in found})


def parameters(run: RunSummary, config: Mapping[str, Any]) -> dict[str, str]:
    """Return every setting and the option chosen in every group, as text, so that runs that differ can be told apart.

    It does not matter where a setting came from: the command line, a preset, or an option file of the user. An override that is neither,
    as one of a group that is not there any more, is kept as typed.
    """
    params = dict(summary.overridden(run.overrides)) | flatten(config)
    params |= {
        group: option for group, option in run.choices.items() if not group.startswith("hydra/")
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in params.items()
    }


def shorten(text: str) -> str:
    """Return a text as it fits into a column of names."""
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 1]}…"


def sweep_name(folder: Path) -> str:
    """Return what all jobs of a sweep have in common, to group them by: the last two parts of its folder."""
    return "/".join(folder.absolute().parts[-2:])


def user() -> str | None:
    """Return the name of the user, None where the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def _sweep_run(folder: Path, store: Store) -> str | None:
    """Return the MLflow run of the sweep that a job's folder lies in."""
    if (sweep := summary.sweep_of(folder)) is None:
        return None
    found = find(store, summary.read(sweep, summary.SWEEP_FILE).mlflow)
    return None if found is None or found.info.lifecycle_stage == DELETED else found.info.run_id


def logged_metrics(run: RunSummary) -> dict[str, float]:
    """Return what is worth a column in a table of runs, at most `MAX_METRICS`: headline metrics, counts, and how long it took."""
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
    return dict(list(finite(metrics).items())[:MAX_METRICS])


def own_files(folder: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """Return the files of a folder that match patterns, by their path in it; a link to a file elsewhere is none of them."""
    inside = folder.resolve()
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return {
        path.relative_to(folder).as_posix(): path
        for path in found
        if path.is_file() and path.resolve().is_relative_to(inside)
    }


def _entry(
    folder: Path, run: RunSummary, logger: LoggerConfig, parent_run_id: str | None, name: str
) -> Entry:
    config = read_document(folder, "config.yaml") or {}
    git = read_document(folder, "git.json") or {}
    sweep = summary.sweep_of(folder) or (folder.parent if parent_run_id is not None else None)
    tags = {
        **logger.tags,
        **{f"sleap_lab.cache.{stage}": outcome for stage, outcome in run.cache.items()},
        **{
            f"choice.{group}": option
            for group, option in run.choices.items()
            if not group.startswith("hydra/")
        },
        "mlflow.user": user(),
        "mlflow.source.name": "sleap-lab",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git.get("commit"),
        "mlflow.note.content": run.error,
        PARENT_TAG: parent_run_id,
        "sleap_lab.git_branch": git.get("branch"),
        "sleap_lab.git_dirty": str(git["dirty"]).lower() if git else None,
        "sleap_lab.config_hash": config_hash(config) if config else None,
        "sleap_lab.command": read_document(folder, "command.txt"),
        "sleap_lab.folder": str(folder.absolute()),
        "sleap_lab.status": run.status,
        "sleap_lab.exit_code": None if run.exit_code is None else str(run.exit_code),
        "sleap_lab.run_host": run.host,
        "sleap_lab.sweep": sweep_name(sweep) if sweep is not None else None,
        "sleap_lab.job": None if run.job is None else str(run.job),
    }
    return Entry(
        name=name,
        tags=tags,
        params=parameters(run, config),
        metrics=logged_metrics(run),
        files=own_files(folder, ARTIFACTS),
    )
