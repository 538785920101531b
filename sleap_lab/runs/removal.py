"""What goes with a run: its folder, what only it has in the stage cache, and its copy in MLflow."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.listing import ListedRun, find_all, size_of
from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.store import DELETED, client_of, first_line, probe
from sleap_lab.runs.summary import RUN_FILE, RunSummary

CACHE = "cache"


@dataclass(frozen=True)
class Removal:
    """What is removed with some runs.

    Attributes:
        runs: The runs.
        entries: Files of cache entries that no other run needs.
        mlflow: Their runs in MLflow, those of a sweep's jobs included: (address, id).
        bytes: Size of folders and entries.
        kept: Why cache entries are kept; empty where none had to be.
    """

    runs: tuple[ListedRun, ...]
    entries: tuple[Path, ...]
    mlflow: tuple[tuple[str, str], ...]
    bytes: int
    kept: str = ""


def plan_removal(runs: Sequence[ListedRun], *, outputs_root: Path) -> Removal:
    """Return what goes with some runs.

    Only entries of the default cache are removed: one in another folder may be that of others.

    Args:
        runs: The runs.
        outputs_root: Folder of all runs, in which others may need the same entries.

    Raises:
        RunError: One of them is still running.
    """
    for run in runs:
        if run.record.status == "running":
            raise RunError(f"{run.folder}: is still running; stop it first")
    gone = {run.folder.absolute() for run in runs}
    records = [record for run in runs for record in _records(run)]
    keys = {
        key
        for folder, record in records
        for key in (record.cache_entries or [] if _uses_default_cache(folder) else [])
    }
    others = [
        run
        for run in find_all(outputs_root, jobs=True)
        if not ({run.folder.absolute(), *run.folder.absolute().parents} & gone)
    ]
    kept = ""
    if unknown := [run for run in others if run.record.cache and run.record.cache_entries is None]:
        kept = f"{unknown[0].folder} does not say which entries of the cache it needs"
        keys = set()
    keys -= {key for run in others for key in run.record.cache_entries or []}
    cache = outputs_root / CACHE
    entries = [
        path
        for key in sorted(keys)
        for suffix in ("json", "npz", "lock")
        if (path := cache / f"{key}.{suffix}").is_file()
    ]
    mlflow = [
        (recorded["tracking_uri"], recorded["run_id"])
        for recorded in [*(run.record.mlflow for run in runs), *(r.mlflow for _, r in records)]
        if recorded is not None and {"tracking_uri", "run_id"} <= recorded.keys()
    ]
    size = sum(size_of(run.folder) for run in runs) + sum(path.stat().st_size for path in entries)
    return Removal(tuple(runs), tuple(entries), tuple(dict.fromkeys(mlflow)), size, kept)


def _records(run: ListedRun) -> list[tuple[Path, RunSummary]]:
    """Return folder and record of a run, or of each job of a sweep."""
    if not run.is_sweep:
        return [(run.folder, run.record)]
    return [(path.parent, summary.read(path.parent)) for path in sorted(run.folder.rglob(RUN_FILE))]


def _uses_default_cache(folder: Path) -> bool:
    try:
        config = read_document(folder, "config.yaml") or {}
    except RunError:
        return False
    return config.get("cache_dir") is None


def remove(removal: Removal) -> list[str]:
    """Remove what was planned, and return what could not be, a sentence each.

    A run whose copy in MLflow cannot be removed stays, so that the same command tries again.
    """
    problems = []
    failed: set[str] = set()
    for uri, run_id in removal.mlflow:
        try:
            probe(uri)
            _remove_from(client_of(uri), run_id)
        except Exception as error:  # each kind of store raises errors of its own
            failed.add(run_id)
            problems.append(f"MLflow run {run_id} stays: {first_line(error)}")
    for path in removal.entries:
        path.unlink(missing_ok=True)
    for run in removal.runs:
        own = {(record.mlflow or {}).get("run_id") for _, record in _records(run)}
        own.add((run.record.mlflow or {}).get("run_id"))
        if own & failed:
            problems.append(f"{run.folder} stays, because its copy in MLflow does")
            continue
        shutil.rmtree(run.folder)
        _remove_empty(run.folder.parent)
    return problems


def _remove_from(client: Any, run_id: str) -> None:
    """Delete a run from a store, and its artifacts where they are files of this machine."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return
        raise
    if run.info.lifecycle_stage != DELETED:
        client.delete_run(run_id)
    place = urlparse(run.info.artifact_uri)
    folder = Path(unquote(place.path)).parent
    if place.scheme == "file" and folder.name == run_id:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    """Remove the folder of a day that holds no run any more."""
    try:
        folder.rmdir()
    except OSError:  # it holds others
        return
