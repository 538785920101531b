"""Occupation of run folders: one run at a time, and none where another run has results."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary

LEFT_BY_RUNS = (
    *(
        "snapshot",
        "figures",
        "predictions.*",
        "outputs.npz",
        "metrics.*",
        "switches.csv",
        "switches.slp",
    ),
    *("bad_frames.csv", "report.html", "overlay.mp4"),
)
"""What a run writes into its folder, except its summary and its log.

A folder that a user chose may hold other files, which stay.
"""


@contextmanager
def occupied(folder: Path) -> Iterator[dict[str, str] | None]:
    """Reserve a folder for one run as long as the run lasts.

    Files of an earlier run without a result are removed, except its log. A folder with a result is
    refused.

    Yields:
        The MLflow run of the earlier run, if there is one; the new run fills it again.

    Raises:
        ConfigError: The folder holds a sweep, a running run, or a run with a result.
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
        yield _make_room(folder, may_live=not was_locked)
    finally:
        lock.release()


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
    if earlier.status in ("finished", "partial"):
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
    for entry in (entry for pattern in LEFT_BY_RUNS for entry in folder.glob(pattern)):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return earlier.mlflow
