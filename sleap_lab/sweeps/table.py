"""The results of a sweep side by side: the settings that vary, and the outcome of each job."""

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
from sleap_lab.settings.objective import (
    CRITERIA,
    KNOWN,
    MINIMIZE,
    SECONDS,
    natural_direction,
    nearest,
)
from sleap_lab.settings.recordings import DATA
from sleap_lab.sweeps.varied import recording_names, varied_keys

# Metrics that decide between jobs that are equal by it, in this order.
SECOND = (*CRITERIA, "eval/dist_avg")
SIMPLER = "the simpler setting"
EQUAL = 1e-9  # relative difference of sums in different order

SPEED = "speed/frames_per_second"

# Metrics that are columns of the table, where any job has them.
HEADLINES = (
    "eval/oks_map",
    "eval/pck",
    "eval/dist_p90",
    "identity/hota",
    "identity/idf1",
    "identity/mota",
    "identity/switches",
    SPEED,
)

EVALUATED = tuple(name for name in HEADLINES if not name.startswith("speed/"))

# The same where no job was compared with ground truth.
WITHOUT_TRUTH = (
    "counts/instances",
    "counts/frames_without_instances",
    "counts/tracks",
    "counts/fragments",
    "quality/frames_with_fewer",
    "quality/frames_with_more",
    "quality/extra_tracks",
    "quality/jumps_per_1000",
    "quality/doubles_per_1000",
    "quality/stretched_per_1000",
    SPEED,
)

# Columns of a sweep over recordings, which it always shows.
VIDEO, FRAMES, BAD = "video", "frames", "bad"

# Columns left out of the terminal's table, which is narrow.
SECONDARY = ("eval/pck", "identity/mota", SPEED)

Row = dict[str, Any]
BEST, TIED = "best", "tied"  # in the column of that name
MOST_TIED = 8  # jobs that a line names
MOST_DECIMALS = 4
WHOLE = 1e9  # whole numbers below it are written with all their digits
SMALL = 1e-3  # below it, decimals alone show too little of a number


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
        return self.status in ("finished", "partial")

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


def sweep_rows(jobs: Sequence[Job], best: Best | None) -> list[Row]:
    """Return one row per job; `best` is the best of them, if one is known.

    Columns: number, status, whether the job is best, settings that vary, the metric that decides,
    further metrics, seconds and error. An override that all jobs share, and a metric that no job
    has, are left out. Where recordings vary, the columns video, frames and bad stand for their
    paths.
    """
    overrides = [job.overrides for job in jobs]
    varied = varied_keys(overrides)
    videos = recording_names(overrides) if DATA in varied else []
    settings = [key for key in varied if key != DATA]
    marks = {} if best is None else _marks(best)
    names = [name for name in compared(jobs, best) if name != SECONDS]
    return [
        {
            "job": job.number,
            "status": job.status,
            **({"best": marks.get(job.number)} if best else {}),
            **(_recording(job, videos[place]) if videos else {}),
            **{key: overridden(job.overrides).get(key) for key in settings},
            **{name: job.numbers.get(name) for name in names},
            "seconds": round(sum(job.run.stages.values()), 1) if job.run else None,
            "error": job.error,
        }
        for place, job in enumerate(jobs)
    ]


def _marks(best: Best) -> dict[int, str]:
    """Return what the column `best` says, by number of the job.

    Jobs that another metric tells from the best are not called tied: they only have the same value
    of the metric that decides.
    """
    same = f"same {best.criterion.rpartition('/')[2]}"
    return (
        dict.fromkeys(best.tied, same) | dict.fromkeys(best.as_good, TIED) | {best.job.number: BEST}
    )


def _recording(job: Job, name: str | None) -> Row:
    """Return the columns about a job's recording."""
    counts = {} if job.run is None else job.run.counts
    return {VIDEO: name, FRAMES: counts.get("frames"), BAD: counts.get("bad_frames")}


def compared(jobs: Sequence[Job], best: Best | None) -> list[str]:
    """Return the metrics to compare jobs by, the one that decides first.

    Without ground truth these are counts and figures of quality.
    """
    known = {name for job in jobs for name in job.numbers}
    names = HEADLINES if known & {*EVALUATED} else WITHOUT_TRUTH
    deciding = [best.criterion] if best else []
    return [name for name in dict.fromkeys([*deciding, *names]) if name in known]


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


def telling(rows: Sequence[Row], criterion: str | None = None) -> list[str]:
    """Return the columns that tell jobs apart: not those that are empty, nor constant metrics.

    Args:
        rows: The results.
        criterion: The metric that decides; it tells something even where it is constant.
    """
    values = {name: {text(row[name]) for row in rows} for name in columns(rows)}
    always = {"job", "seconds", criterion}
    if VIDEO in values:
        always |= {"status", VIDEO, FRAMES, BAD}
    return [
        name
        for name, found in values.items()
        if name in always
        or len(found) > 1
        or (len(rows) == 1 and name != "status" and rows[0][name] is not None)
    ]


def is_partial(name: str, jobs: Sequence[Job]) -> bool:
    """Whether a column is a speed that some jobs lack, because others predicted for them."""
    return name == SPEED and any(name not in job.numbers for job in jobs)


def constant(rows: Sequence[Row], criterion: str | None = None) -> dict[str, str]:
    """Return what is the same in all jobs: metrics, or the status."""
    shown = {*telling(rows, criterion), "best", "error"}
    return {name: text(rows[0][name]) for name in columns(rows) if rows and name not in shown}


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the names of the columns."""
    return list(rows[0]) if rows else ["job", "status"]


def column(values: Sequence[Any]) -> list[str]:
    """Return the values of a column as shown in tables, numbers with the same decimals."""
    texts = [text(value) for value in values]
    decimals = [len(shown.partition(".")[2]) for shown in texts]
    numbers = [value for value in values if isinstance(value, float)]
    if not any(decimals) or any(0 < abs(value) < SMALL for value in numbers):
        return texts
    most = min(max(decimals), MOST_DECIMALS)
    return [
        f"{value:.{most}f}" if isinstance(value, float) else shown
        for value, shown in zip(values, texts, strict=True)
    ]


def text(value: Any) -> str:
    """Return a value as shown in tables; None is a dash."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < WHOLE else f"{value:.4g}"
    return "–" if value is None else str(value)
