"""The results of a sweep side by side: the settings that vary, and the outcome of each job."""

from collections.abc import Sequence
from typing import Any

from sleap_lab.runs.summary import overridden
from sleap_lab.settings.objective import SECONDS, SPEED
from sleap_lab.settings.recordings import DATA
from sleap_lab.sweeps.best import Best, Job
from sleap_lab.sweeps.varied import recording_names, varied_keys

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
MOST_DECIMALS = 4
WHOLE = 1e9  # whole numbers below it are written with all their digits
SMALL = 1e-3  # below it, decimals alone show too little of a number


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
