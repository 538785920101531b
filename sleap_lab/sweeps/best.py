"""The jobs of a sweep, and which of them is best."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sleap_lab.errors import RunError, listed
from sleap_lab.runs.snapshot import decides, flatten, read_document
from sleap_lab.runs.summary import RunSummary, finite, numbers, overridden
from sleap_lab.settings.config import defaults
from sleap_lab.settings.objective import CRITERIA, KNOWN, MINIMIZE, natural_direction, nearest
from sleap_lab.settings.recordings import DATA
from sleap_lab.sweeps.varied import varied_keys

SECOND = (*CRITERIA, "eval/dist_avg")
"""Metrics that decide between jobs that are equal by the first, in this order."""
SIMPLER = "the simpler setting"
EQUAL = 1e-9  # relative difference of sums in different order
MOST_TIED = 8  # jobs that a line names


@dataclass(frozen=True, eq=False)
class Job:
    """One job of a sweep: number, folder, overrides, and how it went (None if it never started).

    `part` names what it does, where another job does the rest.
    """

    number: int
    folder: Path
    overrides: Sequence[str]
    run: RunSummary | None = None
    part: str | None = None

    def __str__(self) -> str:
        return f"job {self.number}" + (f", {self.part}" if self.part else "")

    def name_in(self, sweep: Path) -> str:
        """Return the name of its folder in that of its sweep."""
        return str(self.folder.absolute().relative_to(sweep))

    @property
    def status(self) -> str:
        """The status of the job, in a word."""
        return "not run" if self.run is None else self.run.status

    @property
    def error(self) -> str | None:
        """The error of the job."""
        return None if self.run is None else self.run.error

    @property
    def ended_well(self) -> bool:
        """Whether the job has a result."""
        return self.run is not None and self.run.ended_well

    @property
    def metrics(self) -> dict[str, float]:
        """Its metrics that have a value."""
        return {} if self.run is None else finite(self.run.metrics)

    @property
    def numbers(self) -> dict[str, float]:
        """Values that may decide which job is best: metrics, counts, and seconds of stages."""
        return {} if self.run is None else numbers(self.run)


class Objective(NamedTuple):
    """What decides which job is best: `sweep.objective` and `sweep.direction`; None for default."""

    name: str | None = None
    direction: str | None = None


class Best(NamedTuple):
    """The best job.

    Attributes:
        job: The job.
        criterion: The metric that decides.
        value: Its value.
        minimize: Whether smaller is better.
        tied: The other jobs that are as good by it, by number.
        decided_by: Tie-breaker: another metric, or `SIMPLER`; None without ties.
        second: The first metric that tells those tied apart, if any does.
        as_good: Those of them that no metric tells from the best, by number.
    """

    job: Job
    criterion: str
    value: float
    minimize: bool
    tied: tuple[int, ...] = ()
    decided_by: str | None = None
    second: str | None = None
    as_good: tuple[int, ...] = ()

    def second_of(self, jobs: int) -> str | None:
        """Return the next metric that decides, where all of so many jobs are equal by the first."""
        return self.second if len(self.tied) + 1 == jobs else None

    def __str__(self) -> str:
        said = f"job {self.job.number} by {self.criterion}"
        if not self.tied:
            return said
        others = f"job{'s' * (len(self.tied) > 1)} {listed(list(map(str, self.tied)), MOST_TIED)}"
        return f"{said}, tied with {others}; {self.decided_by} decides"


DEFAULT = Objective()


def best_job(jobs: Sequence[Job], objective: Objective = DEFAULT) -> Best | None:
    """Return the best of the jobs that ended well, in any order; None if none has the metric.

    Among equal jobs, the first criterion of `SECOND` that differs decides, then the simpler
    setting: the one that changes fewer keys from their defaults, then the one whose values come
    first, key by key: nothing, no, small numbers.

    Jobs on different recordings have a best one only where an objective was chosen.
    """
    if objective.name is None and DATA in varied_keys([job.overrides for job in jobs]):
        return None
    ended = {job: job.numbers for job in jobs if job.ended_well}
    names = CRITERIA if objective.name is None else (objective.name,)
    criterion = next(
        (name for name in names if any(name in numbers for numbers in ended.values())), None
    )
    if criterion is None:
        return None
    minimize = is_minimized(criterion, objective.direction)
    tied = equal = _best_by(criterion, minimize, list(ended))
    decided_by = second = None
    for name in SECOND:
        if (
            len(equal) > 1
            and name != criterion
            and len(better := _best_by(name, is_minimized(name), equal)) < len(equal)
        ):
            equal, decided_by = better, name
            second = second or name
    best = min(equal, key=_simplicity)
    as_good = tuple(sorted(job.number for job in equal if job is not best))
    if as_good:
        decided_by = SIMPLER if decided_by is None else f"{decided_by}, then {SIMPLER}"
    others = tuple(sorted(job.number for job in tied if job is not best))
    value = ended[best][criterion]
    return Best(best, criterion, value, minimize, others, decided_by, second, as_good)


def is_minimized(name: str, direction: str | None = None) -> bool:
    """Return whether smaller is better, by the given direction or that of the metric."""
    return (direction or natural_direction(name)) == MINIMIZE


def _best_by(name: str, minimize: bool, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that are best by a metric; all of them if none has it."""
    values = {job: job.numbers[name] for job in jobs if name in job.numbers}
    if not values:
        return list(jobs)
    best = min(values.values()) if minimize else max(values.values())
    return [
        job
        for job, value in values.items()
        if math.isclose(value, best, rel_tol=EQUAL, abs_tol=EQUAL)
    ]


def _simplicity(job: Job) -> tuple[int, list[Any], int]:
    """Return a sort key that is smaller for the simpler of two jobs.

    It holds the number of keys that are not at their defaults, their values in order, and the
    number of the job.
    """
    try:
        settings = {
            key: value
            for key, value in flatten(read_document(job.folder, "config.yaml") or {}).items()
            if decides(key)
        }
    except RunError:
        settings = {}
    usual = defaults()
    changed = {
        key: value
        for key, value in (settings or overridden(job.overrides)).items()
        if value != usual.get(key)
    }
    return (
        len(changed),
        [(key, _place(value)) for key, value in sorted(changed.items())],
        job.number,
    )


def _place(value: Any) -> tuple[int, float, str]:
    """Return the sort key of a value among those of its key."""
    if value is None or isinstance(value, bool):
        return 0 if value is None else 1, float(value or 0), ""
    with suppress(ValueError, TypeError):
        return 2, float(value), ""
    return 3, 0.0, str(value)


def objective_problem(jobs: Sequence[Job], objective: Objective) -> str | None:
    """Return why no job that ended well has the chosen metric, with the metrics that exist.

    None if a job has it, or if no metric was chosen.
    """
    known = sorted({name for job in jobs if job.ended_well for name in job.numbers})
    if objective.name is None or objective.name in known or not known:
        return None
    hint = (
        f" They have {', '.join(known)}"
        if objective.name in KNOWN
        else nearest(objective.name, known)
    )
    return f"sweep.objective: no job has {objective.name}, so none is best.{hint}"
