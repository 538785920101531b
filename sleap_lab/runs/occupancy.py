"""One run at a time in a folder, and none beside the results of another."""

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
"""What a run writes into its folder besides its summary and its log; a folder that a user chose may hold other things."""


@contextmanager
def occupied(folder: Path) -> Iterator[dict[str, str] | None]:
    """Keep a folder for one run as long as it goes on.

    An earlier run there that has no result makes room: what it wrote is removed, but for its log. One with a result does not.

    Yields:
        The MLflow run that mirrors the earlier run, if there was one, which the new run fills again.

    Raises:
        ConfigError: The folder holds a sweep, a run that goes on, or one with a result.
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
    """Remove what an earlier run without a result left; `may_live` says that only the number of its process can tell whether it goes on."""
    if not (folder / summary.RUN_FILE).exists():
        return None
    try:
        earlier = summary.read(folder)
    except RunError as error:
        raise ConfigError(f"hydra.run.dir: {error}; choose another folder") from error
    if earlier.status in ("finished", "partial"):
        raise ConfigError(
            f"hydra.run.dir: {folder} holds the results of another run; choose another folder, or remove this one"
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
