"""The outcome of a search: best against default setting on held-out blocks, and which to use."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sleap_lab.errors import counted
from sleap_lab.evaluation.intervals import Difference
from sleap_lab.evaluation.spread import LEVEL
from sleap_lab.settings.metrics import Metric
from sleap_lab.tune.evidence import (
    Setting,
    differences,
    losses,
    n_blocks,
    n_frames,
    why_no_interval,
)
from sleap_lab.tune.problem import is_better


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of a search.

    Attributes:
        metric: The metric to improve.
        default: The setting to compare with.
        best: The best setting tried, if it did better than the default where it was searched.
        differences: Change of each metric from the default to the best on the held-out blocks, by
            name; empty without a best setting.
        losses: What the best setting loses that a recommended one must not, a phrase each.
        n_blocks: Number of held-out blocks.
        n_frames: Number of labelled frames, searched and held out.
        why: Why there are no intervals; empty where there are.
    """

    metric: Metric
    default: Setting
    best: Setting | None
    differences: dict[str, Difference]
    losses: tuple[str, ...]
    n_blocks: int
    n_frames: int
    why: str = ""

    @property
    def difference(self) -> Difference:
        """How much the metric to improve changes on the held-out blocks."""
        return self.differences.get(self.metric.name, Difference(float("nan")))

    @property
    def improves(self) -> bool:
        """Whether the best setting is better on the held-out blocks by more than chance."""
        end = self.difference.low if self.metric.better == "higher" else self.difference.high
        return is_better(self.metric, end, 0)

    @property
    def recommended(self) -> Setting:
        """The setting to use: the best one if it is better by more than chance, at no loss."""
        if self.best is not None and self.improves and not self.losses:
            return self.best
        return self.default

    def verdict(self) -> str:
        """Return a few sentences on which setting to use, and why."""
        name = self.metric.name
        if self.best is None:
            return (
                f"Keep the default setting: none that was tried has a better {name} "
                "where it was searched."
            )
        best, default = number(self.best.held_out.value), number(self.default.held_out.value)
        blocks = counted(self.n_blocks, "held-out block")
        if self.recommended is self.best:
            return (
                f"Use the setting found: on the {blocks} its {name} is {best}, "
                f"that of the default setting {default}; {self._interval()}."
            )
        found = f"on the {blocks} the best one found has {name} {best}, the default {default}"
        if np.isnan(self.difference.low):
            return f"Keep the default setting: {found}, which may be chance; {self._no_interval()}."
        if self.improves:
            return (
                f"Keep the default setting: {found} ({self._interval()}), "
                f"but it {' and '.join(self.losses)}."
            )
        return (
            f"Keep the default setting: {found}; {self._interval()}, so it may be chance. "
            f"{self.power()}"
        )

    def power(self) -> str:
        """Say how large a difference must be to be seen; empty without an interval."""
        _, low, high, _ = self.difference
        if np.isnan(low):
            return ""
        return (
            f"With these {self.n_frames:,} labelled frames, improvements of {self.metric.name} "
            f"below {number((high - low) / 2)} cannot be told from chance."
        )

    def _interval(self) -> str:
        value, low, high, _ = self.difference
        ends = f"{number(low)} to {number(high)}"
        return f"the difference is {number(value)}, {LEVEL:.0%} interval {ends}"

    def _no_interval(self) -> str:
        return f"there is no interval ({self.why or 'it does not differ between blocks'})"


def number(value: float) -> str:
    """Write a number with four digits."""
    return f"{value:.4g}"


def conclude(
    metric: Metric,
    default: Setting,
    best: Setting | None,
    length: int,
    time: float,
    alike: np.ndarray,
) -> Outcome:
    """Compare the best setting with the default one.

    Args:
        metric: The metric to improve.
        default: The setting to compare with.
        best: The best setting tried, if there is one.
        length: Labelled frames of a block, about.
        time: Correlation time in labelled frames.
        alike: (blocks, blocks) how blocks vary together, by their numbers; see `split.likeness`.
    """
    sides = default.held_out.evaluation, default.searched.evaluation
    held_out, searched = map(n_blocks, sides)
    why = why_no_interval(held_out, searched, length, time)
    found = {} if best is None else differences(default, best, alike, judge=not why)
    lost = () if best is None else losses(default, best, found)
    return Outcome(metric, default, best, found, lost, held_out, sum(map(n_frames, sides)), why)


def pareto_front(metric: Metric, values: Sequence[float], speeds: Sequence[float]) -> list[int]:
    """Return the places of the settings that no other one beats in both respects, fastest first.

    Settings with a nan take no part.
    """
    quality = np.array(values) if metric.better == "higher" else np.negative(values)
    front: list[int] = []
    for i in np.lexsort(
        (-quality, np.negative(speeds))
    ).tolist():  # the fastest first, of equally fast ones the best
        if not np.isnan(values[i]) and (
            not front or is_better(metric, values[i], values[front[-1]])
        ):
            front.append(i)
    return front
