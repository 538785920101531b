"""The outcome of a search: best against default setting on held-out blocks, and which to use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation import Evaluation
from sleap_lab.evaluation.bootstrap import (
    FEWEST_BLOCKS,
    Blocks,
    draw,
    limits,
    paired_differences,
    sample,
)
from sleap_lab.evaluation.identity_counts import combine_identity
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.settings.metrics import METRICS, Metric
from sleap_lab.tune.problem import Score, is_better


class Difference(NamedTuple):
    """Change of a metric from the default setting to the best, with its 95 % interval.

    The ends of the interval are nan where there is none.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True, eq=False)
class Setting:
    """A setting and its scores.

    Attributes:
        tracker: Its tracker.
        filters: Its filters.
        searched: Its score on the blocks that the search sees.
        held_out: Its score on the blocks that the search does not see.
        trial: Number of its trial; None for the default setting.
    """

    tracker: TrackerConfig
    filters: FiltersConfig
    searched: Score
    held_out: Score
    trial: int | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of a search.

    Attributes:
        metric: The metric to improve.
        default: The setting to compare with.
        best: The best setting tried, if it did better than the default where it was searched.
        differences: Change of each metric from the default to the best on the held-out blocks, by
            name; empty without a best setting.
        n_blocks: Number of held-out blocks.
    """

    metric: Metric
    default: Setting
    best: Setting | None
    differences: dict[str, Difference]
    n_blocks: int

    @property
    def difference(self) -> Difference:
        """How much the metric to improve changes on the held-out blocks."""
        return self.differences.get(self.metric.name, Difference(float("nan")))

    @property
    def recommended(self) -> Setting:
        """The setting to use: the best one if it beats the default on the held-out blocks, too."""
        if self.best is not None and is_better(
            self.metric, self.best.held_out.value, self.default.held_out.value
        ):
            return self.best
        return self.default

    def verdict(self) -> str:
        """Return a few sentences on which setting to use, and why."""
        name, blocks = (
            self.metric.name,
            f"{self.n_blocks} held-out {'block' if self.n_blocks == 1 else 'blocks'}",
        )
        if self.best is None:
            return (
                f"Keep the default setting: none that was tried has a better {name} "
                "where it was searched."
            )
        best, default = number(self.best.held_out.value), number(self.default.held_out.value)
        if self.recommended is self.default:
            searched = (
                f"{number(self.best.searched.value)} against {number(self.default.searched.value)}"
            )
            return (
                f"Keep the default setting: the best one found has a better {name} "
                f"where it was searched ({searched}), "
                f"but not on the {blocks} ({best} against {default})."
            )
        found = (
            f"Use the setting found: on the {blocks} its {name} is {best}, "
            f"that of the default setting {default}"
        )
        difference, low, high = self.difference
        if np.isnan(low):
            why = (
                f"fewer than {FEWEST_BLOCKS} blocks"
                if self.n_blocks < FEWEST_BLOCKS
                else f"{name} is not formed from single blocks"
            )
            return f"{found}. There is no interval ({why}), so the difference may be chance."
        interval = (
            f"the difference is {number(difference)}, 95 % interval {number(low)} to {number(high)}"
        )
        return (
            f"{found}; {interval}."
            if low > 0 or high < 0
            else f"{found}; {interval}, so it may be chance."
        )


def number(value: float) -> str:
    """Write a number with four digits."""
    return f"{value:.4g}"


def conclude(metric: Metric, default: Setting, best: Setting | None, n_blocks: int) -> Outcome:
    """Compare the best setting with the default one.

    Args:
        metric: The metric to improve.
        default: The setting to compare with.
        best: The best setting tried, if there is one.
        n_blocks: Number of held-out blocks.
    """
    found = (
        {}
        if best is None
        else differences(default.held_out.evaluation, best.held_out.evaluation, n_blocks)
    )
    return Outcome(metric, default, best, found, n_blocks)


def differences(first: Evaluation, second: Evaluation, n_blocks: int) -> dict[str, Difference]:
    """Return how much each metric changes between two evaluations of the same blocks.

    Each block is a video of its own. Blocks are drawn anew with replacement, the same ones for
    both, so that the difficulty of a block cancels out. There are no intervals where there are
    fewer than five blocks.
    """
    values = [evaluation.headline() for evaluation in (first, second)]
    found = {
        name: Difference(values[1][name] - value)
        for name, value in values[0].items()
        if name in values[1]
    }
    if n_blocks < FEWEST_BLOCKS:
        return found
    if first.table is not None and second.table is not None:
        paired = paired_differences(sample(first.table), sample(second.table))
        found |= {
            name: Difference(*difference) for name, difference in paired.items() if name in found
        }
    for name, (low, high) in _identity_limits(first, second).items():
        found[name] = Difference(found[name].value, low, high)
    return found


def _identity_limits(first: Evaluation, second: Evaluation) -> dict[str, tuple[float, float]]:
    """Return the 95 % intervals of the differences of identity metrics, where there are any."""
    counted = [
        {
            video: counts
            for (video, _), counts in zip(e.identity_by_video, e.identity_counts, strict=True)
        }
        for e in (first, second)
    ]
    videos = sorted(counted[0].keys() & counted[1].keys())
    if len(videos) < FEWEST_BLOCKS:
        return {}
    each = np.arange(len(videos))
    drawn = [np.repeat(each, times) for times in draw(Blocks(each, each, 1))]
    values = [
        [combine_identity([counts[videos[i]] for i in rows]) for rows in drawn]
        for counts in counted
    ]
    names = {metric.key: metric.name for metric in METRICS if metric.group == "identity"}
    return limits(
        {
            name: np.array([b[key] - a[key] for a, b in zip(*values, strict=True)])
            for key, name in names.items()
        }
    )


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
