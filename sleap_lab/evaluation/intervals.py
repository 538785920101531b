"""95% intervals of metrics and of their differences: the one method of report, compare and tune.

Each metric is taken as the sum of what each frame adds to it (`influence`), the sum's standard
error comes from videos or from the frames of one (`spread`), and limits are so many errors away as
Student's t has it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.ap import MATCH_SCORE_THRESHOLDS, RECALL_THRESHOLDS
from sleap_lab.evaluation.frames import FrameTable
from sleap_lab.evaluation.identity import IdentityResult
from sleap_lab.evaluation.identity_counts import Counts, combine_identity
from sleap_lab.evaluation.influence import Parts, parts
from sleap_lab.evaluation.serial import FEWEST_FRAMES, FEWEST_TIMES, common_time
from sleap_lab.evaluation.spread import FEWEST_VIDEOS, LEVEL, Spread, less, over_units, spread
from sleap_lab.settings.metrics import METRICS

UNITS = {metric.name: metric.unit for metric in METRICS}
UNBOUNDED = "identity/mota"  # a share that can be negative
COMPLEMENT = "eval/n_matched"  # what is not missed; only the number missed has limits of its own
# Average precisions are read at 101 recalls, so a little more recall adds a whole step or nothing:
# the standard deviation of that in a difference, of a single threshold and of the mean over ten.
STEP = float(np.sqrt(2 / 12)) / len(RECALL_THRESHOLDS)
GRAIN = dict.fromkeys(("coco/ap_50", "coco/ap_75"), STEP) | dict.fromkeys(
    ("coco/ap", "eval/oks_map"), STEP / np.sqrt(len(MATCH_SCORE_THRESHOLDS))
)
IDENTITY = {metric.key: metric.name for metric in METRICS if metric.group == "identity"}


class Intervals(NamedTuple):
    """Intervals of the headline metrics.

    Attributes:
        values: Lower and upper limit by the name of the metric, where there are any.
        level: How often such an interval holds the true value.
        n_frames: Labelled frames.
        n_videos: Videos that they are from.
        note: What the intervals are based on, or why there are none.
    """

    values: dict[str, tuple[float, float]]
    level: float
    n_frames: int
    n_videos: int
    note: str


class Difference(NamedTuple):
    """Change of a metric between two results.

    Attributes:
        value: The second less the first.
        low: Lower limit of its interval; nan where there is none.
        high: Upper limit.
        chance: How often a difference as large arises where there is none; nan without interval.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    chance: float = float("nan")


def intervals(table: FrameTable, identity: IdentityResult | None = None) -> Intervals:
    """Return the intervals of all metrics of a result.

    Args:
        table: What each labelled frame adds to the metrics.
        identity: Its identity metrics.
    """
    found = parts(table)
    if identity is not None and identity.metrics is not None:
        videos = [video for video, _ in identity.by_video]
        without = dict(zip(videos, leave_one_out(identity.counts), strict=False))
        found = with_identity(found, {IDENTITY[k]: v for k, v in identity.metrics.items()}, without)
    scattered = spread_of(found.influence, found.video)
    values = {}
    half_width = scattered.half_width(np.array([found.values[name] for name in found.influence]))
    for name, half in zip(found.influence, half_width.tolist(), strict=True):
        if (ends := limits(name, found.values[name], half)) is not None:
            values[name] = ends
    n_videos = len(np.unique(found.video))
    return Intervals(values, LEVEL, len(found.video), n_videos, basis(found.video, scattered))


def differences(first: Parts, second: Parts) -> dict[str, Difference]:
    """Return the change of each metric between two results on the same frames.

    What makes a frame easy or hard for both cancels out.
    """
    values = {
        name: float(less(second.values[name], value))
        for name, value in first.values.items()
        if name in second.values
    }
    change = change_of(first, second)
    known = {name: values[name] for name in change}
    return {name: Difference(value) for name, value in values.items()} | judged(
        known, spread_of(change, first.video)
    )


def change_of(first: Parts, second: Parts) -> dict[str, np.ndarray]:
    """Return (frames,) the part of each frame in the change of each metric that both have."""
    return {
        name: less(second.influence[name], influence)
        for name, influence in first.influence.items()
        if name in second.influence
    }


def judged(values: Mapping[str, float], scattered: Spread) -> dict[str, Difference]:
    """Put intervals around differences.

    Args:
        values: Differences by name.
        scattered: Their standard errors, in the same order.
    """
    value = np.array(list(values.values()), dtype=float)
    half, chance = scattered.half_width(value), scattered.chance(value)
    columns = (column.tolist() for column in (value, value - half, value + half, chance))
    return {name: Difference(*row) for name, *row in zip(values, *columns, strict=True)}


def spread_of(influence: Mapping[str, np.ndarray], video: np.ndarray) -> Spread:
    """Return the spread of metrics, or of their differences, by name, in their order."""
    columns = list(influence.values())
    found = spread(np.stack(columns, 1) if columns else np.zeros((len(video), 0)), video)
    grain = np.array([GRAIN.get(name, 0.0) for name in influence])
    return found._replace(
        error=np.where(found.error > 0, np.hypot(found.error, grain), found.error)
    )


def limits(name: str, value: float, half: float) -> tuple[float, float] | None:
    """Return the limits of a metric; None where there are none.

    They are formed where the metric knows no bounds: shares as log odds, distances and counts as
    logarithms. So limits are never impossible, and lopsided as the metric itself is. A metric at
    its bound, such as a share of 1, has none, and neither has one that is the same in all videos
    or frames: nothing shows how far others differ.

    Args:
        name: The metric.
        value: Its value.
        half: Half of the width of an interval around it, in the metric's unit; nan for none.
    """
    from scipy.special import expit, logit  # slow to import

    if np.isnan(half) or half == 0 or np.isnan(value) or name == COMPLEMENT:
        return None
    if name == UNBOUNDED:
        return value - half, value + half
    if UNITS[name] != "share":
        if value <= 0:
            return None
        factor = float(np.exp(half / value))
        return value / factor, value * factor
    if not 0 < value < 1:
        return None
    reach = half / (value * (1 - value))
    low, high = expit(logit(value) + np.array([-reach, reach])).tolist()
    return low, high


def leave_one_out(counts: Sequence[Counts]) -> list[dict[str, float]]:
    """Return, for each of several videos, the identity metrics of all others together.

    Args:
        counts: Counts of each video; nothing is returned for a single one.
    """
    if len(counts) < 2:
        return []
    return [combine_identity([*counts[:i], *counts[i + 1 :]]) for i in range(len(counts))]


def with_identity(
    found: Parts, metrics: Mapping[str, float], without: Mapping[int, Mapping[str, float]]
) -> Parts:
    """Add the identity metrics and the part of each video in them, spread over its frames.

    After one switch all later frames of the video are wrong together, so only whole videos tell how
    far these metrics scatter. The part is how far the metric falls where the video is left out, as
    the jackknife has it (Miller 1974, Biometrika 61:1, eq. 1.1). Nothing is added unless every
    video has one.

    Args:
        found: The metrics of frames.
        metrics: Headline metrics by name.
        without: For each video, the identity metrics of all others together.
    """
    videos, sizes = np.unique(found.video, return_counts=True)
    if not without or set(without) != set(videos.tolist()):
        return found
    values, influence = {}, {}
    for key, name in IDENTITY.items():
        if name not in metrics:
            continue
        part = np.zeros(len(found.video))
        for video, size in zip(videos.tolist(), sizes.tolist(), strict=True):
            share = size / len(found.video)
            rest = without[video][key] / (1 - share if UNITS[name] == "count" else 1)
            part[found.video == video] = (1 - share) * (metrics[name] - rest) / size
        values[name], influence[name] = metrics[name], part - part.mean()
    return found._replace(values=found.values | values, influence=found.influence | influence)


def time_of_errors(table: FrameTable) -> float:
    """Return over how many labelled frames errors last.

    It is the correlation time of the parts of frames in the metrics, from the mean of their video.
    """
    found = parts(table)
    each = np.stack(list(found.influence.values()), axis=1)
    sums, size = over_units(each, found.video)
    _, number = np.unique(found.video, return_inverse=True)
    return common_time(less(each, (sums / size[:, None])[number]))


def basis(video: np.ndarray, scattered: Spread) -> str:
    """State in a sentence what intervals are based on, or why there are none."""
    n_frames, n_videos = len(video), len(np.unique(video))
    if n_videos > 1:
        if n_videos < FEWEST_VIDEOS:
            return (
                f"no intervals: {n_videos} videos do not tell how much videos differ, "
                f"{FEWEST_VIDEOS} or more do"
            )
        return f"{LEVEL:.0%} intervals from how much {n_videos} videos differ"
    if n_frames < FEWEST_FRAMES:
        return f"no intervals from fewer than {FEWEST_FRAMES} labelled frames"
    if np.isnan(scattered.df).all():
        return (
            f"no intervals: in these {n_frames} labelled frames neighbours are so alike that they "
            f"show fewer than {FEWEST_TIMES} independent moments"
        )
    return (
        f"{LEVEL:.0%} intervals from {n_frames} labelled frames of one video, for this video only"
    )
