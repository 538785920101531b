"""Log run folders to MLflow whose logging did not happen or did not finish."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import mirror_run, read_logger
from sleap_lab.runs.mlflow_run import is_complete, is_deleted
from sleap_lab.runs.store import ARTIFACT_FOLDER, Store, first_line, prepare_store, store_uri
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.sweeps.ledger import read_plan
from sleap_lab.sweeps.mlflow_log import holds_all, log_sweep
from sleap_lab.sweeps.results import finish_sweep

# This command does nothing but logging, so it can wait for a slow server.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}


def sync(
    folders: Sequence[Path], *, outputs_root: Path, tracking_uri: str | None = None
) -> dict[Path, str]:
    """Log every run that is not logged yet, each with the logger settings it was made with.

    A job of a sweep is logged with its whole sweep. Runs that the user names are always logged;
    runs found by searching a folder are logged only if their config requests it.

    Args:
        folders: Run folders, sweep folders, or folders that hold such folders at any depth;
            `outputs_root` if empty.
        outputs_root: Folder of the default store.
        tracking_uri: Store that replaces those in the runs' settings, as after moving them to
            another machine.

    Returns:
        The outcome for each run or sweep folder: `logged`, `already logged`, `still running`, or
        `left out: ` or `failed: ` and the reason.

    Raises:
        RunError: A folder holds no run.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    loggers = {}
    for folder in map(Path.absolute, folders or [outputs_root]):
        for found in _find(folder):
            logger = _logger(found)
            if logger.mlflow or found in (folder, folder.parent):
                loggers[found] = replace(
                    logger, mlflow=True, tracking_uri=tracking_uri or logger.tracking_uri
                )
    stores: dict[tuple[str, str | None], Store | RunError] = {}
    outcomes = {}
    for folder, logger in loggers.items():
        place = store_uri(logger, outputs_root), logger.experiment_name
        if place not in stores:  # an unreachable server is tried once, not once per run
            stores[place] = _opened(logger, outputs_root)
        outcomes[folder] = _sync(folder, logger, outputs_root, stores[place])
    return outcomes


def _opened(logger: LoggerConfig, outputs_root: Path) -> Store | RunError:
    try:
        return prepare_store(logger, outputs_root)
    except RunError as error:  # the runs of other stores are still logged
        return error


def _find(folder: Path) -> list[Path]:
    """Return the run and sweep folders at or below a folder; a job stands for its sweep."""
    files = sorted({*folder.rglob(summary.RUN_FILE), *folder.rglob(summary.SWEEP_FILE)})
    originals = [
        path.parent for path in files if ARTIFACT_FOLDER not in path.relative_to(folder).parts
    ]
    if not originals:
        raise RunError(f"{folder} holds no run: there is no {summary.RUN_FILE} in it or below it")
    return list(dict.fromkeys(summary.sweep_of(path) or path for path in originals))


def _is_sweep(folder: Path) -> bool:
    return (folder / summary.SWEEP_FILE).is_file()


def _logger(folder: Path) -> LoggerConfig:
    """Return the logger settings of a run or a sweep.

    For a damaged folder these are the default ones, so that it can still be reported.
    """
    try:
        return read_plan(folder).logger if _is_sweep(folder) else read_logger(folder)
    except RunError:
        return LoggerConfig(mlflow=True)


def _sync(folder: Path, logger: LoggerConfig, outputs_root: Path, store: Store | RunError) -> str:
    try:
        run = summary.settle(folder, summary.SWEEP_FILE if _is_sweep(folder) else summary.RUN_FILE)
        if run.status == "running":
            return "still running"
        if isinstance(store, RunError):
            raise store
        if is_deleted(store, run):
            return "left out: deleted in MLflow"
        if holds_all(store, run, folder) if _is_sweep(folder) else is_complete(store, run):
            return "already logged"
        if _is_sweep(folder):
            finish_sweep(folder, interrupted=run.status == "interrupted")
            log_sweep(folder, logger, outputs_root)
        else:
            mirror_run(store, folder, run, logger, None)
    except Exception as error:  # one run that cannot be logged must not affect the others
        return f"failed: {first_line(error)}"
    return "logged"
