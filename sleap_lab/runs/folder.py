"""Where a run leaves what it makes, and how it was asked for."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary

OUTPUTS = "outputs"
LOG_FILE = "run.log"
LEFT_BY_RUNS = (
    *("snapshot", "figures", "predictions.*", "outputs.npz", "metrics.npz", "metrics.json", "switches.csv", "switches.slp"),
    *("bad_frames.csv", "report.html", "overlay.mp4"),
)
"""What a run writes into its folder besides its summary and its log; a folder that a user chose may hold other things."""


@dataclass(frozen=True)
class Invocation:
    """How an experiment was asked for.

    Attributes:
        command: The command line, word by word.
        overrides: What was overridden, as typed.
        choices: The option chosen in each config group.
        job: Number of the job within its sweep.
        mlflow: The MLflow run of an earlier attempt at the same job, which this one fills again.
    """

    command: Sequence[str] = ()
    overrides: Sequence[str] = ()
    choices: dict[str, str] | None = None
    job: int | None = None
    mlflow: dict[str, str] | None = None


def new_folder(root: Path) -> Path:
    """Create a run folder that no other run has, named by date and time."""
    while True:
        now = datetime.now()
        folder = root / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder


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
        raise ConfigError(f"hydra.run.dir: a run is going on in {folder}; choose another folder") from None
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
        raise ConfigError(f"hydra.run.dir: {folder} holds the results of another run; choose another folder, or remove this one")
    if may_live and earlier.status == "running" and summary.process_exists(earlier.host, earlier.pid):
        raise ConfigError(f"hydra.run.dir: a run is going on in {folder}; choose another folder")
    summary.write(folder, RunSummary(overrides=earlier.overrides, mlflow=earlier.mlflow))
    for entry in (entry for pattern in LEFT_BY_RUNS for entry in folder.glob(pattern)):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return earlier.mlflow
