"""The summary of a run: status, timings, counts and headline metrics, written as `run.json`.

The summary is the only place where the outcome of a run is recorded; MLflow, the sweep table and
`sync` read it. A sweep has the same record as `sweep.json` in the folder above its jobs.
"""

import json
import logging
import math
import os
import socket
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from sleap_lab import terminal
from sleap_lab.errors import RunError, SleapLabError, system_problem
from sleap_lab.files.atomic import replacing
from sleap_lab.files.safe_load import read_json
from sleap_lab.runs import slurm
from sleap_lab.settings.credentials import redact

log = logging.getLogger("sleap_lab")

RUN_FILE = "run.json"
SWEEP_FILE = "sweep.json"
CAUSE_FILE = "stopped.txt"
BY_USER = "interrupted by the user"
STATUSES = ("running", "finished", "partial", "failed", "interrupted")


def now() -> str:
    """Return the present time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat()


@dataclass
class RunSummary:
    """How a run went; a new summary describes a run that this process starts now.

    Attributes:
        status: One of `STATUSES`; partial means finished, but a requested frame or file is missing.
        exit_code: What the command ended with, once it has.
        error: One line that says why the run failed.
        started: ISO 8601, UTC.
        ended: ISO 8601, UTC.
        stages: Seconds of each stage; together those from `started` to `ended`. Where other jobs
            have predicted in pieces, `pieces` is their time, which comes on top.
        cache: For each stage that uses the stage cache, whether the cache held the result: `hit`
            or `miss`.
        cache_entries: Keys of the entries of the stage cache that it used; None where unknown.
        counts: Whole numbers: requested_frames, frames, frames_without_instances, instances,
            tracks, bad_frames, ….
        videos: For each video with predicted frames: the numbers of requested, read and bad frames,
            its status and its first problem.
        bad_frames: Unreadable frames: for each range its video, frames, count and first problem.
        rates: Of a long prediction, pairs of frames done, and frames/s since the pair before.
        notes: What one must know to read the result, a sentence each.
        remarks: What was found and what the tracker did, likewise; it asks for nothing.
        metrics: Headline metrics under their flat names, as in `eval/oks_map`; nan where undefined.
        overrides: What the user overrode, as typed: `tracker=flow`.
        choices: The option chosen in each config group.
        job: Number of the job within its sweep.
        host: Machine that runs or ran it.
        pid: Process that runs or ran it.
        slurm_job: Slurm's job in which it runs or ran, as `14` or `14_3`; None elsewhere.
        mlflow: `run_id`, `experiment_id` and `tracking_uri` of the MLflow run that mirrors the
            folder, once it exists; while it is created, its `key`.
    """

    status: str = "running"
    exit_code: int | None = None
    error: str | None = None
    started: str = field(default_factory=now)
    ended: str | None = None
    stages: dict[str, float] = field(default_factory=dict)
    cache: dict[str, str] = field(default_factory=dict)
    cache_entries: list[str] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    videos: list[dict[str, Any]] = field(default_factory=list)
    bad_frames: list[dict[str, Any]] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    job: int | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    slurm_job: str | None = field(default_factory=slurm.job_id)
    mlflow: dict[str, str] | None = None

    def __post_init__(self) -> None:
        """Check the status.

        Raises:
            ValueError: The status is none of `STATUSES`.
        """
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {self.status!r}")

    @property
    def ended_well(self) -> bool:
        """Whether the run has a result, be it of a part of what was requested."""
        return self.status in ("finished", "partial")


def write(folder: Path, summary: RunSummary, name: str = RUN_FILE) -> None:
    """Write a summary atomically, so that no reader sees a part of it; nan and inf become null."""
    record = asdict(summary)
    record["metrics"] = {
        key: float(value) if math.isfinite(value) else None
        for key, value in summary.metrics.items()
    }
    with replacing(folder / name) as temporary:
        temporary.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read(folder: Path, name: str = RUN_FILE) -> RunSummary:
    """Read a summary; a key that this version does not know is ignored.

    Raises:
        RunError: The folder holds no such file, or the file is damaged.
    """
    path = folder / name
    try:
        record = read_json(path)
        summary = RunSummary(
            **{"status": record["status"], "slurm_job": None}
            | {f.name: record[f.name] for f in fields(RunSummary) if f.name in record}
        )
        for key, default in asdict(RunSummary(slurm_job=None)).items():
            value = getattr(summary, key)
            if default is not None and not isinstance(value, type(default)):
                raise TypeError(f"{key} is of type {type(value).__name__}")
        summary.metrics = {
            key: math.nan if number is None else float(number)
            for key, number in summary.metrics.items()
        }
    except FileNotFoundError:
        raise RunError(f"{folder} is not a run folder: it holds no {name}") from None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    return summary


def record_failure(summary: RunSummary, error: Exception, *, debug: bool) -> None:
    """Record a failure in the summary and the log of a run, and print it.

    Args:
        summary: Gets status, exit code and message.
        error: Why; one of others is told with its file or its type.
        debug: Print the traceback, too.
    """
    if isinstance(error, SleapLabError):
        message = str(error)
    elif isinstance(error, OSError):
        message = system_problem(error)
    else:
        message = f"{type(error).__name__}: {' '.join(str(error).split())}"
    summary.status, summary.error = "failed", message
    summary.exit_code = error.exit_code if isinstance(error, SleapLabError) else 1
    log.error("%s", message)
    trace = redact("".join(traceback.format_exception(error)))
    log.debug(trace)
    if debug:
        print(trace, end="", file=sys.stderr)
    if summary.job is None:  # the failure of a job is printed by its sweep, with its number
        terminal.fail(message)


def sweep_of(folder: Path) -> Path | None:
    """Return the folder of the sweep that contains a job's folder, at any depth; else None."""
    return next(
        (parent for parent in folder.absolute().parents if (parent / SWEEP_FILE).is_file()), None
    )


def lock(folder: Path, name: str = RUN_FILE) -> FileLock:
    """Return the lock that the process of a run, or of a sweep, holds as long as it lives."""
    return FileLock((folder / name).with_suffix(".lock"))


Stamp = tuple[str, str | None]


def stamp(run: RunSummary | None) -> Stamp | None:
    """Return a value that is different for every attempt at a run, and after its end.

    Stamps are compared for equality only, so that clocks need not agree.
    """
    return None if run is None else (run.started, run.ended)


def read_stamp(folder: Path) -> Stamp | None:
    """Return the stamp of the run in a folder; None if there is no readable summary."""
    try:
        return stamp(read(folder))
    except RunError:
        return None


def announce_stop(folder: Path, cause: str | None) -> None:
    """Write down why the process of a run is about to be stopped; None takes it back."""
    if cause is None:
        (folder / CAUSE_FILE).unlink(missing_ok=True)
        return
    with replacing(folder / CAUSE_FILE) as temporary:
        temporary.write_text(cause, encoding="utf-8")


def announced_stop(folder: Path) -> str | None:
    """Return why the process of a run is being stopped, if whoever stops it has said so."""
    try:
        return (folder / CAUSE_FILE).read_text(encoding="utf-8") or None
    except OSError:
        return None


def settle(folder: Path, name: str = RUN_FILE, *, cause: str | None = None) -> RunSummary:
    """Read a summary; if its process ended without a record, record the run as interrupted.

    The time of the last write is taken as the end.

    Args:
        folder: The run folder.
        name: The file in it.
        cause: What ended the process, where that is known.
    """
    found = read(folder, name)
    if found.status != "running" or is_alive(folder, found, name):
        return found
    reason = cause or announced_stop(folder)
    if reason is None:
        told = slurm.word(found.slurm_job) if found.slurm_job else None
        reason = (
            f"process {found.pid} on {found.host} ended without a word "
            f"({told or 'killed, out of memory, power'})"
        )
    # Meanwhile it may have recorded its end, or have begun again.
    summary = read(folder, name)
    if stamp(summary) != stamp(found):
        return summary
    summary.status, summary.error = "interrupted", reason
    summary.ended = datetime.fromtimestamp((folder / name).stat().st_mtime, UTC).isoformat()
    write(folder, summary, name)
    return summary


def is_alive(folder: Path, summary: RunSummary, name: str = RUN_FILE) -> bool:
    """Return whether the process of a run lives, by its lock, or without a lock by its number."""
    held = lock(folder, name)
    if not Path(held.lock_file).exists():
        return process_exists(summary.host, summary.pid)
    try:
        held.acquire(timeout=0)
    except OSError:  # among them Timeout: the lock is held, or may not be opened
        return True
    held.release()
    return False


def process_exists(host: str, pid: int) -> bool:
    """Return whether a process may still exist; true where nobody knows, as on another machine."""
    if host != socket.gethostname() or os.name == "nt":  # on Windows signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics with a finite value.

    MLflow would store infinity as a large number and draw nan as a gap.
    """
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def numbers(run: RunSummary) -> dict[str, float]:
    """Return every number that may decide which run is best: metrics, counts, seconds of stages."""
    return {
        **{f"counts/{name}": float(value) for name, value in run.counts.items()},
        **{f"speed/{name}_seconds": value for name, value in run.stages.items()},
        "speed/total_seconds": sum(run.stages.values()),
        **finite(run.metrics),
    }


def overridden(overrides: Iterable[str]) -> dict[str, str]:
    """Split overrides into key and value, as typed: `+a.b=1` gives `{"a.b": "1"}`."""
    pairs = (override.lstrip("+~").partition("=") for override in overrides)
    return {key: value for key, _, value in pairs}
