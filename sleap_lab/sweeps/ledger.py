"""The ledger of a sweep: its jobs, which of them still have to run, and how to find it again.

    ledger.jsonl    the plan: a line about the sweep, then one line per job
    0/run.json      how job 0 went; not there before it starts
    stop            there once no further job is to start, and why

Each file is written whole. A process that runs a sweep or a job holds its lock (see `summary.lock`)
until it ends, so two commands never run the same sweep, and the remains of a killed command are
distinguished from a running one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, Timeout

from sleap_lab import terminal
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.files.atomic import replacing
from sleap_lab.files.packages import package_version
from sleap_lab.inference.fingerprint import code_hash, fingerprint
from sleap_lab.runs import summary
from sleap_lab.runs.folder import new_folder
from sleap_lab.runs.occupancy import refuse_strangers
from sleap_lab.runs.snapshot import SNAPSHOT, flatten
from sleap_lab.runs.summary import RunSummary
from sleap_lab.runs.verify import Present, changed_inputs
from sleap_lab.settings.config import Config, LoggerConfig, keys
from sleap_lab.settings.inputs import find_inputs

LEDGER = "ledger.jsonl"
STOP_FILE = "stop"
FAILED, INTERRUPTED = "failed", "interrupted"
"""Why a sweep stops.

After a failed job with `sweep.fail_fast`, running jobs continue to their end. An interrupt by the
user stops them.
"""

# Keys on how a sweep is run, logged and shown; they do not make it another sweep.
NOT_IN_FINGERPRINT = ("sweep.", "cache", "verbose", "debug", "logger.mlflow", "logger.tracking_uri")
NO_INPUT = ("output.path", "evaluator.save_metrics", "cache_dir", "cache_seeds")
LIBRARIES = ("torch", "numpy", "scipy", "sleap-io", "opencv-python", "trackeval")


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep: its number, the name of its folder, and what it overrides, as typed."""

    number: int
    folder: str
    overrides: list[str]


@dataclass(frozen=True)
class Plan:
    """The plan of a sweep: fingerprint, logger, jobs, and what decides which job is best."""

    fingerprint: str
    logger: LoggerConfig
    jobs: list[PlannedJob]
    objective: str | None = None
    direction: str | None = None


def sweep_fingerprint(configs: Sequence[Config], folders: Sequence[str]) -> str:
    """Return what distinguishes a sweep from every other.

    It covers the config and folder of each job, the files they read, the code and the libraries.

    Files are identified by size and time of change, so that a sweep over long videos starts at
    once. That leaves out the videos of a labels file, and what takes the place of another file with
    its size and time: `claim` looks at what the jobs have read.
    """
    flat = [flatten(asdict(config)) for config in configs]
    package = Path(__file__).parents[1]
    return fingerprint(
        {
            "jobs": [
                {
                    name: value
                    for name, value in each.items()
                    if not name.startswith(NOT_IN_FINGERPRINT)
                }
                for each in flat
            ],
            "folders": list(folders),
            "files": {
                str(path): _stamps(path)
                for path in sorted({path for each in flat for path in _read_by(each)})
            },
            "code": code_hash(
                *sorted(
                    entry.name
                    for entry in package.iterdir()
                    if entry.is_dir() or entry.suffix == ".py"
                )
            ),
            "versions": {name: package_version(name) for name in LIBRARIES},
        }
    )


def _read_by(settings: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files and folders that a job reads."""
    for item in find_inputs(settings["data.path"]):
        yield from [item] if isinstance(item, Path) else item
    for name, key in keys().items():
        value = settings.get(name)
        if (
            key.metadata["path"]
            and value is not None
            and name != "data.path"
            and name not in NO_INPUT
        ):
            yield from map(Path, value if isinstance(value, list) else [value])


def _stamps(path: Path) -> list[tuple[str, int, int]]:
    """Return name, size and time of change of a file, or of each file in a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in files
        if file.is_file()
    ]


def claim(
    root: Path, chosen: Path | None, plan: Plan, *, afresh: bool
) -> tuple[Path, BaseFileLock]:
    """Find the folder of a sweep, or make one, and lock it against every other command.

    A sweep of whose input files one holds something else today is another sweep.

    Args:
        root: Where sweeps get their folders.
        chosen: The folder that the user chose.
        plan: The sweep.
        afresh: Whether to ignore earlier sweeps of the same fingerprint and begin another.

    Raises:
        ConfigError: The chosen folder holds another sweep or a run, or this sweep still runs in it.
    """
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        if (lock := _take(chosen)) is None:
            raise ConfigError(
                f"hydra.sweep.dir: a sweep is running in {chosen}; choose another folder"
            )
        if (chosen / summary.RUN_FILE).exists():
            lock.release()
            raise ConfigError(f"hydra.sweep.dir: {chosen} holds a run; choose another folder")
        found = _fingerprint(chosen)
        strangers = found is None and any(
            (chosen / job.folder / summary.RUN_FILE).exists() for job in plan.jobs
        )
        if found not in (plan.fingerprint, None) or strangers:
            lock.release()
            raise ConfigError(
                f"hydra.sweep.dir: {chosen} holds another sweep; choose another folder"
            )
        if not afresh and (changed := _changed(chosen, plan)) is not None:
            lock.release()
            raise ConfigError(
                f"hydra.sweep.dir: {chosen} holds results of another {changed}, which has changed "
                "since; choose another folder, or sweep.rerun=all"
            )
        if found is None:
            try:
                for job in plan.jobs:
                    refuse_strangers("hydra.sweep.dir", chosen / job.folder)
            except ConfigError:
                lock.release()
                raise
        return chosen, lock
    if not afresh and (earlier := _earlier(root, plan)) is not None:
        return earlier
    folder = new_folder(root)
    lock = summary.lock(folder, summary.SWEEP_FILE)
    lock.acquire()
    return folder, lock


def _earlier(root: Path, plan: Plan) -> tuple[Path, BaseFileLock] | None:
    """Return the newest earlier sweep that goes on, locked; None where there is none."""
    outdated = None
    for folder in _found(root, plan.fingerprint):
        if (changed := _changed(folder, plan)) is not None:
            outdated = outdated or f"{changed} has changed since {terminal.shown(folder)}"
        elif (lock := _take(folder)) is not None:
            return folder, lock
        else:
            terminal.warn(
                f"the same sweep is running in {terminal.shown(folder)}; "
                "this one gets a folder of its own"
            )
    if outdated is not None:
        terminal.note(f"{outdated}; the sweep begins anew")
    return None


def _changed(folder: Path, plan: Plan) -> Path | None:
    """Return an input of the jobs in a sweep folder that has changed since they read it.

    A snapshot that is damaged says nothing of what its job has read, and counts as one.
    """
    present = Present()
    for job in plan.jobs:
        try:
            changed = changed_inputs(folder / job.folder, present)
        except RunError:
            return folder / job.folder / SNAPSHOT
        if changed:
            return changed[0]
    return None


def _take(folder: Path) -> BaseFileLock | None:
    lock = summary.lock(folder, summary.SWEEP_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _found(root: Path, key: str) -> Iterator[Path]:
    """Yield the sweep folders with a fingerprint, the newest first."""
    for ledger in sorted(root.glob(f"*/*/{LEDGER}"), reverse=True):
        if _fingerprint(ledger.parent) == key:
            yield ledger.parent


def _fingerprint(folder: Path) -> str | None:
    """Return the fingerprint of the sweep in a folder; None without a sweep."""
    try:
        with open(folder / LEDGER, encoding="utf-8") as file:
            return json.loads(file.readline())["fingerprint"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return ""  # damaged: equals no sweep


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan of a sweep."""
    first = {
        "fingerprint": plan.fingerprint,
        "logger": asdict(plan.logger),
        "objective": plan.objective,
        "direction": plan.direction,
    }
    lines = [first, *map(asdict, plan.jobs)]
    with replacing(folder / LEDGER) as temporary:
        temporary.write_text(
            "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
        )


def discard(folder: Path, lock: BaseFileLock, *, keep: bool) -> None:
    """Remove the plan of a sweep of which no job started.

    Args:
        folder: The sweep folder.
        lock: Its lock, which is released.
        keep: Whether the folder stays, because the user chose it.
    """
    (folder / LEDGER).unlink()
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)
    for empty in () if keep else (folder, folder.parent, folder.parent.parent):
        try:
            empty.rmdir()
        except OSError:  # something else is in it
            return


def read_plan(folder: Path) -> Plan:
    """Read the plan of a sweep.

    Raises:
        RunError: The folder holds no ledger, or one that cannot be read.
    """
    try:
        first, *rest = map(json.loads, (folder / LEDGER).read_text(encoding="utf-8").splitlines())
        jobs = [PlannedJob(**line) for line in rest]
        return Plan(
            first["fingerprint"],
            LoggerConfig(**first["logger"]),
            jobs,
            first.get("objective"),
            first.get("direction"),
        )
    except FileNotFoundError:
        raise RunError(f"{folder} is not a sweep folder: it holds no {LEDGER}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{folder / LEDGER} is damaged: {error}") from error


def has_to_run(run: RunSummary | None, rerun: str) -> bool:
    """Return whether a job has to run, again or at all.

    Args:
        run: How it went; None if it never started.
        rerun: `sweep.rerun`. By default a job that failed by an error of its own does not run
            again, since it would fail again; a job that was interrupted, or whose process died,
            has no result and runs again.
    """
    if run is None or rerun == "all":
        return True
    if run.ended_well:
        return False
    return rerun == "failed" or run.status != "failed" or run.exit_code is None


def stop(folder: Path, reason: str) -> None:
    """Let no further job of a sweep start."""
    with replacing(folder / STOP_FILE) as temporary:
        temporary.write_text(reason, encoding="utf-8")


def stopped(folder: Path) -> str | None:
    """Return why no further job of a sweep may start; None while the sweep continues."""
    try:
        return (folder / STOP_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
