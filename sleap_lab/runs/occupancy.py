"""Occupation of run folders: one run at a time, and none where another run has results."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from sleap_lab.errors import ConfigError, RunError, listed
from sleap_lab.files.earlier import Kind, is_kept, keep, what_is
from sleap_lab.runs import summary
from sleap_lab.runs.folder import RESULT_FILES
from sleap_lab.runs.summary import RunSummary

LEFT_BY_RUNS = ("snapshot", "figures", *RESULT_FILES)
"""What a run writes into its folder, except its summary and its log.

A folder that a user chose may hold other files, which stay.
"""
RESULTS = ("predictions.*", "outputs.npz", "switches.slp", "suspects.slp")
"""Those of them that a person may have worked on."""
HYDRAS = ".hydra"


@contextmanager
def occupied(folder: Path) -> Iterator[dict[str, str] | None]:
    """Reserve a folder for one run as long as the run lasts.

    Files of an earlier run without a result are removed, except its log. A folder with a result is
    refused.

    Yields:
        The MLflow run of the earlier run, if there is one; the new run fills it again.

    Raises:
        ConfigError: The folder holds a sweep, a running run, a run with a result, or files that the
            run would overwrite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = summary.lock(folder)
    was_locked = Path(lock.lock_file).exists()
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"hydra.run.dir: a run is going on in {folder}; choose another folder"
        ) from None
    try:
        if (folder / summary.SWEEP_FILE).exists():
            raise ConfigError(f"hydra.run.dir: {folder} holds a sweep; choose another folder")
        if not was_locked:
            try:
                refuse_strangers("hydra.run.dir", folder)
            except ConfigError:
                Path(lock.lock_file).unlink(missing_ok=True)
                raise
        yield _make_room(folder, may_live=not was_locked)
    finally:
        lock.release()


def refuse_strangers(key: str, folder: Path) -> None:
    """Refuse a folder without a run that holds files of the names that a run writes.

    Args:
        key: The setting that names the folder.
        folder: The folder, which may not exist.

    Raises:
        ConfigError: It holds such files, which the run would overwrite.
    """
    if (folder / summary.RUN_FILE).exists():
        return
    found = [
        entry.name
        for pattern in (*LEFT_BY_RUNS, HYDRAS)
        for entry in sorted(folder.glob(pattern))
        if (any(entry.iterdir()) if entry.is_dir() else what_is(entry) is not Kind.NOTHING)
    ]
    if found:
        raise ConfigError(
            f"{key}: {folder} holds {listed(found, 5)}, which a run there would overwrite; "
            "choose another folder"
        )


def clear_leftovers(folder: Path) -> None:
    """Remove what a run without a result left; what a person may have worked on becomes `.bak`."""
    for pattern in LEFT_BY_RUNS:
        for entry in folder.glob(pattern):
            if entry.is_dir():
                shutil.rmtree(entry)
            elif not is_kept(entry):
                if pattern in RESULTS and what_is(entry) not in (Kind.NOTHING, Kind.OWN):
                    keep(entry)
                else:
                    entry.unlink()


def _make_room(folder: Path, *, may_live: bool) -> dict[str, str] | None:
    """Remove the files of an earlier run without a result, except its log.

    Args:
        folder: The run folder.
        may_live: The earlier run left no lock file, so that only its process number shows whether
            it is still running.

    Returns:
        The MLflow run that mirrors the earlier run, if there is one.
    """
    if not (folder / summary.RUN_FILE).exists():
        return None
    try:
        earlier = summary.read(folder)
    except RunError as error:
        raise ConfigError(f"hydra.run.dir: {error}; choose another folder") from error
    if earlier.ended_well:
        raise ConfigError(
            f"hydra.run.dir: {folder} holds the results of another run; "
            "choose another folder, or remove this one"
        )
    if (
        may_live
        and earlier.status == "running"
        and summary.process_exists(earlier.host, earlier.pid)
    ):
        raise ConfigError(f"hydra.run.dir: a run is going on in {folder}; choose another folder")
    summary.write(folder, RunSummary(overrides=earlier.overrides, mlflow=earlier.mlflow))
    clear_leftovers(folder)
    return earlier.mlflow
