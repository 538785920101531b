"""The runs of a folder: found, described in a line, and chosen by their settings and metrics."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sleap_lab.errors import ConfigError, RunError, counted, did_you_mean
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import deciding, read_logger
from sleap_lab.runs.snapshot import flatten, read_document
from sleap_lab.runs.store import ARTIFACT_FOLDER
from sleap_lab.runs.summary import RUN_FILE, SWEEP_FILE, RunSummary
from sleap_lab.runs.tags import later_tags
from sleap_lab.settings.config import GROUPS, keys

TAG = "tag."
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "~": lambda value, part: str(part).lower() in str(value).lower(),
}
CONDITION = re.compile(r"([\w./]+?)(!=|<=|>=|=|<|>|~)(.*)", re.DOTALL)
FACTS = ("status", "model", "data", "host", "error")


@dataclass(frozen=True)
class ListedRun:
    """A run folder, or that of a sweep, with its record."""

    folder: Path
    record: RunSummary
    is_sweep: bool = False

    @property
    def job(self) -> Path:
        """A folder with a snapshot: its own, or that of a sweep's first job."""
        jobs = self.folder.glob(f"*/{RUN_FILE}") if self.is_sweep else ()
        return min((path.parent for path in jobs), default=self.folder)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Its settings, or those of a sweep's first job; they are read where they are needed."""
        return flatten(read_document(self.job, "config.yaml") or {})


def find_all(root: Path, *, jobs: bool = False) -> list[ListedRun]:
    """Return the runs at or below a folder, the newest first.

    Args:
        root: The folder.
        jobs: Whether jobs of sweeps are listed, and not their sweeps.
    """
    found = []
    sweeps = {path.parent for path in _files(root, SWEEP_FILE)}
    for path in _files(root, RUN_FILE):
        inside = any(parent in sweeps for parent in path.parent.parents)
        if jobs or not inside:
            found.append((path.parent, RUN_FILE))
    found += [] if jobs else [(folder, SWEEP_FILE) for folder in sweeps]
    runs = []
    for folder, name in found:
        try:
            record = summary.settle(folder, name)
        except RunError as error:
            record = RunSummary(status="failed", error=str(error), started="")
        runs.append(ListedRun(folder, record, name == SWEEP_FILE))
    return sorted(runs, key=lambda run: (run.record.started, str(run.folder)), reverse=True)


def _files(root: Path, name: str) -> Iterable[Path]:
    """Yield the files of a name below a folder, without copies in MLflow and hidden folders."""
    for path in root.rglob(name):
        parts = path.relative_to(root).parts
        if ARTIFACT_FOLDER not in parts and not any(part.startswith(".") for part in parts):
            yield path


def open_one(word: str) -> ListedRun:
    """Return the run in a folder.

    Raises:
        ConfigError: The folder holds none.
    """
    folder = Path(word)
    for name in (SWEEP_FILE, RUN_FILE):
        if (folder / name).is_file():
            return ListedRun(folder.absolute(), summary.settle(folder, name), name == SWEEP_FILE)
    raise ConfigError(
        f"runs: {word} holds no run (there is no {RUN_FILE}); sleap-lab runs ls shows those there"
    )


def models_of(settings: dict[str, Any]) -> str:
    """Return the names of the models in settings."""
    return "+".join(Path(str(path)).name for path in settings.get("model.paths") or [])


def data_of(settings: dict[str, Any]) -> str:
    """Return the name of the data in settings."""
    path = settings.get("data.path")
    if isinstance(path, list):
        return counted(len(path), "file")
    return Path(str(path)).name if path is not None else ""


def key_metric(run: ListedRun) -> str:
    """Return the metric that says how good a run is; empty where nothing was compared."""
    return ", ".join(
        f"{name.rpartition('/')[2]} {value:.4g}" for name, value in deciding(run.record).items()
    )


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def tags_of(folder: Path) -> dict[str, str]:
    """Return the tags of a run: those of its config, and those given later."""
    tags = {str(key): str(value) for key, value in read_logger(folder).tags.items()}
    return {key: value for key, value in (tags | later_tags(folder)).items() if value}


@dataclass(frozen=True)
class Condition:
    """What a run must fulfil to be listed: a name, how it is compared, and a value."""

    name: str
    sign: str
    value: str

    def holds(self, run: ListedRun) -> bool:
        """Return whether a run fulfils it; one without the value does so for `!=` only."""
        found = _value(run, self.name)
        if found is None:
            return self.sign == "!=" or (self.sign == "=" and self.value == "null")
        if self.sign == "~":
            return OPERATORS["~"](found, self.value)
        number = _number(found), _number(self.value)
        if None not in number:
            return OPERATORS[self.sign](*number)
        if self.sign in ("=", "!="):
            return OPERATORS[self.sign](_text(found), self.value)
        return False


def parse_condition(word: str, metrics: Iterable[str]) -> Condition:
    """Read a condition such as `tracker=flow` or `identity/idf1>0.9`.

    Args:
        word: As typed.
        metrics: Names of numbers that the runs have.

    Raises:
        ConfigError: It is none, or of something that no run has.
    """
    match = CONDITION.fullmatch(word)
    if match is None:
        raise ConfigError(
            f"runs ls: {word!r} is neither a folder nor a condition; "
            "accepted: KEY=VALUE, METRIC>NUMBER, tag.NAME=VALUE, with = != < <= > >= ~"
        )
    name, sign, value = match.groups()
    known = [*FACTS, *keys(), *GROUPS, *metrics]
    if name not in known and not name.startswith(TAG):
        raise ConfigError(f"runs ls: no run has {name}.{did_you_mean(name, known)}")
    return Condition(name, sign, value)


def _value(run: ListedRun, name: str) -> Any:
    if name.startswith(TAG):
        return tags_of(run.folder).get(name.removeprefix(TAG))
    numbers = summary.numbers(run.record)
    if name in numbers:
        return numbers[name]
    if name in ("status", "host", "error"):
        return getattr(run.record, name)
    if name == "model":
        return models_of(run.settings)
    if name == "data":
        return data_of(run.settings)
    if name in GROUPS:
        return run.record.choices.get(name)
    return run.settings.get(name)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def chosen(runs: Sequence[ListedRun], words: Sequence[str]) -> list[ListedRun]:
    """Return the runs that fulfil all conditions.

    Raises:
        ConfigError: A condition cannot be read.
    """
    metrics = {name for run in runs for name in summary.numbers(run.record)}
    conditions = [parse_condition(word, metrics) for word in words]
    return [run for run in runs if all(condition.holds(run) for condition in conditions)]
