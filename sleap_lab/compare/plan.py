"""How many labels would show a difference, before anybody makes them: the power of a comparison.

Learned from two runs on labels that there are. More labels of the same kind make the standard error
smaller as the square root of their number, and its degrees of freedom more. The error is itself
known from the present labels only: of few videos it may be far off, and the number with it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import chdtri, stdtrit

from sleap_lab.compare.paired import ComparedRun, Pairs
from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.evaluation.intervals import UNITS, basis, change_of, spread_of
from sleap_lab.evaluation.serial import MOST_WAVES
from sleap_lab.evaluation.spread import FEWEST_VIDEOS, LEVEL, less
from sleap_lab.report.written import aligned, number
from sleap_lab.settings.objective import BETTER

FOUND = 0.8  # how often a difference is to be found
SURE = 0.9  # how often the larger of two numbers of labels suffices
MOST = 10_000_000


class Need(NamedTuple):
    """What one metric takes.

    Attributes:
        metric: Its name.
        difference: The difference that is to be seen.
        seen: The smallest that the present labels show, four times in five.
        labels: Labelled frames, or videos, that show the difference; None for more than can be.
        surely: As many as show it nine times in ten, where the present labels may show too little
            of chance; None for more than can be.
    """

    metric: str
    difference: float
    seen: float
    labels: int | None
    surely: int | None


class Plan(NamedTuple):
    """What a comparison takes.

    Attributes:
        needs: One for each metric, in the order of the runs.
        unit: `videos` or `frames`.
        present: How many of them there are.
        basis: Where it is learned from.
    """

    needs: list[Need]
    unit: str
    present: int
    basis: str


def wanted_of(words: Sequence[str]) -> dict[str, float]:
    """Read the differences that are to be seen, `METRIC=X`.

    Raises:
        ConfigError: There is no such metric, or X is no number other than 0.
    """
    wanted = {}
    for word in words:
        name, _, value = word.partition("=")
        if not BETTER.get(name):
            known = [metric for metric, better in BETTER.items() if better]
            raise ConfigError(
                f"compare --plan: there is no metric {name!r} with a better side."
                f"{did_you_mean(name, known)}"
            )
        try:
            wanted[name] = abs(float(value))
        except ValueError:
            wanted[name] = 0.0
        if not 0 < wanted[name] < float("inf"):
            raise ConfigError(f"compare --plan: {word}: accepted is a number other than 0")
    return wanted


def plan(runs: Sequence[ComparedRun], wanted: Mapping[str, float]) -> Plan:
    """Say how many labels would show differences between runs.

    Args:
        runs: Two runs on the same labels.
        wanted: Differences that are to be seen, by metric; default: those between the runs.

    Raises:
        ConfigError: There are not two runs, they share no labelled frame, or the labels tell
            nothing about chance.
    """
    pairs = Pairs(runs)
    if len(runs) != 2 or (pair := pairs.pair(0, 1)) is None:
        raise ConfigError(
            f"compare --plan: needs two runs with labelled frames in common, got {len(runs)}"
        )
    change, video = change_of(*pair), pair[0].video
    scattered = spread_of(change, video)
    said = basis(video, scattered)
    if np.isnan(scattered.df).all():
        raise ConfigError(f"compare --plan: {said}")
    videos = len(np.unique(video)) > 1
    needs = []
    for name, error, df in zip(change, scattered.error, scattered.df, strict=True):
        present = float(less(pair[1].values[name], pair[0].values[name]))
        difference = wanted.get(name, 0.0 if wanted else abs(present))
        # Counts grow with the labels.
        if BETTER.get(name) and UNITS[name] != "count" and difference and error > 0:
            seen = float(reach(np.array([df]))[0] * error)
            labels, surely = (
                labels_for(difference / each, df, scattered.units, videos=videos)
                for each in (error, error * underestimated(df))
            )
            needs.append(Need(name, difference, seen, labels, surely))
    return Plan(needs, "videos" if videos else "frames", scattered.units, said)


def reach(df: np.ndarray) -> np.ndarray:
    """Return how many standard errors a difference must be to be found four times in five."""
    return stdtrit(df, (1 + LEVEL) / 2) + stdtrit(df, FOUND)


def underestimated(df: float) -> float:
    """Return how many times larger than estimated a standard error is at most, nine times in ten.

    Its square over the true one is chi-squared over the degrees of freedom.
    """
    return float(np.sqrt(df / chdtri(df, SURE)))


def labels_for(size: float, df: float, units: int, *, videos: bool) -> int | None:
    """Return how many labelled frames, or videos, show a difference; None beyond ten million.

    Args:
        size: The difference in standard errors of the present labels.
        df: Their degrees of freedom.
        units: Their number.
        videos: Whether videos are the units.
    """
    n = np.unique(np.geomspace(FEWEST_VIDEOS, MOST, 5000).astype(int))
    growing = n - 1.0 if videos else np.clip((df + 1) * n / units - 1, 1, MOST_WAVES - 1)
    enough = reach(growing) <= size * np.sqrt(n / units)
    return _rounded_up(int(n[enough.argmax()])) if enough.any() else None


def _rounded_up(n: int) -> int:
    """Return a number of two digits and noughts that is as large or larger."""
    step = 10 ** max(len(str(n)) - 2, 0)
    return -(-n // step) * step


def _shown(labels: int | None) -> str:
    return f"over {MOST:,}" if labels is None else f"{labels:,}"


def as_text(found: Plan) -> str:
    """Return a plan as a terminal shows it."""
    rows = [
        (
            "metric",
            "difference",
            f"{found.present:,} {found.unit} show",
            f"{found.unit} needed",
            "surely",
        )
    ]
    rows += [
        (
            need.metric,
            number(need.difference),
            number(need.seen),
            _shown(need.labels),
            _shown(need.surely),
        )
        for need in found.needs
    ]
    return "\n".join(
        [
            aligned(rows) if found.needs else "the runs do not differ in any metric",
            "",
            f"found four times in five by a {LEVEL:.0%} interval, for one metric that was chosen "
            "beforehand; surely: enough nine times in ten, as the present labels tell chance only "
            "roughly",
            found.basis,
        ]
    )
