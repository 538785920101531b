"""Time of each stage of a run: seconds by name, whose sum is the time that passed."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import ceil
from typing import Protocol, TypeVar

from sleap_lab.pipelines.profile import PREDICTING
from sleap_lab.terminal import unless_quick

log = logging.getLogger(__name__)

ANNOUNCEMENTS = {
    "open": "opening the data",
    "load": "loading the models",
    "snapshot": "noting what the run is made from",
    "write": "writing the predictions",
    "evaluate": "evaluating",
    "report": "writing the report",
    "overlay": "rendering the overlay",
    "log": "logging to MLflow",
}
"""Stages that can take long and show no progress of their own -> their announcement."""

RATES, FEWEST_PACED = 50, 1000
"""Rates that are noted of a prediction, and the fewest frames of which they are."""

T = TypeVar("T")

Split = Callable[[float], Mapping[str, float]]
"""Divides the seconds of a stage among its parts."""


class Stage(Protocol):
    """Function that times the stages of a run, or does not."""

    def __call__(self, name: str, split: Split | None = None) -> AbstractContextManager[object]:
        """Return the context in which the stage of a name runs; `split` divides its time."""


def untimed(name: str, split: Split | None = None) -> AbstractContextManager[object]:
    """Run a stage without timing it."""
    return nullcontext()


class Stopwatch:
    """Times stages; no second counts twice.

    The time of a stage that runs within another counts for the inner stage only.
    """

    def __init__(
        self, seconds: dict[str, float], announce: Callable[[str], None] = lambda what: None
    ) -> None:
        """Start with no stage.

        Args:
            seconds: Gets the seconds of each stage, in the order in which they start.
            announce: Called from another thread with the announcement of a stage that takes more
                than a few seconds.
        """
        self._seconds = seconds
        self._announce = announce
        self._within = 0.0

    @contextmanager
    def __call__(self, name: str, split: Split | None = None) -> Iterator[None]:
        """Time the context as the stage of a name, or as the parts that `split` divides it into."""
        if split is None:
            self._seconds.setdefault(name, 0.0)
        before, self._within = self._within, 0.0
        start = time.perf_counter()
        said = ANNOUNCEMENTS.get(name)
        try:
            with nullcontext() if said is None else unless_quick(said, self._announce):
                yield
        finally:
            passed = time.perf_counter() - start
            own, self._within = passed - self._within, before + passed
            for part, seconds in ({name: own} if split is None else split(own)).items():
                self._seconds[part] = round(self._seconds.get(part, 0.0) + seconds, 4)
                log.info("%s: %.2f s", part, seconds)


def predicting_seconds(seconds: Mapping[str, float]) -> float:
    """Return how long a prediction took; 0 where no network ran."""
    return sum(seconds.get(name, 0.0) for name in PREDICTING) if "network" in seconds else 0.0


def paced(frames: Iterable[T], total: int, rates: list[list[float]]) -> Iterator[T]:
    """Yield frames, and note how fast they are done.

    Args:
        frames: What is done, one after the other.
        total: Number of frames; of fewer than `FEWEST_PACED` no rate is noted.
        rates: Gets pairs: frames done, and frames per second since the pair before.
    """
    every = ceil(total / RATES) if total >= FEWEST_PACED else total + 1
    since = time.monotonic()
    for done, frame in enumerate(frames, start=1):
        yield frame
        if done % every == 0:
            now = time.monotonic()
            rates.append([done, round(every / max(now - since, 1e-6), 3)])
            since = now
