"""Agreement of two runs: their poses instance by instance, and their metrics."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from sleap_lab.poses.record import Poses, distinct
from sleap_lab.settings.metrics import METRICS

PIXELS, NUMBERS = 0.01, 0.002
"""Largest differences between machines or versions that count as agreement.

`PIXELS` is for distances, in px; `NUMBERS` is for all other metrics and for scores.
"""

LARGEST_PIXELS, LARGEST_SCORE = (
    "largest difference of coordinates, px",
    "largest difference of scores",
)

NO_COMMON_NODE = 1e6
"""Cost of pairing poses that have no node in common, px."""


class Difference(NamedTuple):
    """A number of both runs, its allowed and its actual difference; nan on both sides is equal."""

    name: str
    then: float
    now: float
    allowed: float

    @property
    def size(self) -> float:
        """Absolute difference; infinite where only one side has a number."""
        if np.isnan(self.then) and np.isnan(self.now):
            return 0.0
        size = abs(self.now - self.then)
        return float("inf") if np.isnan(size) else size

    @property
    def agrees(self) -> bool:
        """Whether the difference is allowed."""
        return self.size <= self.allowed


def compare_metrics(
    then: Mapping[str, float], now: Mapping[str, float], *, exact: bool
) -> list[Difference]:
    """Compare metrics by name; one that only one run has differs.

    Args:
        then: Metrics of the first run.
        now: Metrics of the second.
        exact: Whether no difference is allowed; otherwise up to `PIXELS` or `NUMBERS`. Counts
            must be equal either way, because they differ by at least 1.
    """
    pixels = {metric.name for metric in METRICS if metric.unit == "px"}
    return [
        Difference(
            name,
            _number(then, name),
            _number(now, name),
            0.0 if exact else PIXELS if name in pixels else NUMBERS,
        )
        for name in dict.fromkeys([*then, *now])
    ]


def _number(metrics: Mapping[str, float], name: str) -> float:
    return float(metrics.get(name, -np.inf))


def compare_poses(then: Poses, now: Poses, *, exact: bool) -> list[Difference]:
    """Compare poses frame by frame, with instances paired in order or else by distance.

    Args:
        then: Poses of the first run.
        now: Poses of the second; videos in the same order.
        exact: Whether no difference is allowed; otherwise up to `PIXELS` for coordinates and
            `NUMBERS` for scores.

    Returns:
        Numbers of frames and instances on both sides; the largest differences of coordinates (px)
        and scores; and the numbers of nodes, tracks and instances that differ.
    """
    pairs = _paired(then, now)
    rows, others = pairs.T
    shown = then.visible[rows], now.visible[others]
    both = shown[0] & shown[1]
    frames = [set(map(tuple, poses.frames.tolist())) for poses in (then, now)]
    names = [np.array([*distinct(poses.track_names), ""], dtype=object) for poses in (then, now)]
    other_tracks = names[0][then.tracks[rows]] != names[1][now.tracks[others]]
    scores = [
        _largest(getattr(then, name)[rows], getattr(now, name)[others])
        for name in ("point_scores", "instance_scores", "track_scores")
    ]
    pixels, numbers = (0.0, 0.0) if exact else (PIXELS, NUMBERS)
    return [
        Difference("frames", len(frames[0]), len(frames[1]), 0),
        Difference("frames of one run only", 0, len(frames[0] ^ frames[1]), 0),
        Difference("instances", len(then), len(now), 0),
        Difference("instances without counterpart", 0, len(then) + len(now) - 2 * len(pairs), 0),
        Difference("nodes found in one run only", 0, int((shown[0] != shown[1]).sum()), 0),
        Difference("instances with another track", 0, int(other_tracks.sum()), 0),
        Difference(
            LARGEST_PIXELS, 0, _largest(then.points[rows][both], now.points[others][both]), pixels
        ),
        Difference(LARGEST_SCORE, 0, max(scores), numbers),
    ]


def _largest(then: np.ndarray, now: np.ndarray) -> float:
    """Return the largest absolute difference; two nan are equal, nan and a number differ by inf."""
    apart = np.abs(then - now)[~(np.isnan(then) & np.isnan(now))]
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0))


def _paired(then: Poses, now: Poses) -> np.ndarray:
    """Return (pairs, 2) rows of instances that belong together; none if the skeletons differ."""
    pairs = [np.zeros((0, 2), dtype=np.intp)]
    if then.skeleton.nodes == now.skeleton.nodes:
        rows = {(video, frame): rows for video, frame, rows in now.by_frame()}
        for video, frame, mine in then.by_frame():
            other = rows.get((video, frame), mine[:0])
            if len(mine) == len(other) and np.array_equal(
                then.points[mine], now.points[other], equal_nan=True
            ):
                pairs.append(np.stack([mine, other], axis=1))
            elif len(mine) and len(other):
                first, second = linear_sum_assignment(
                    _distances(then.points[mine], now.points[other])
                )
                pairs.append(np.stack([mine[first], other[second]], axis=1))
    return np.concatenate(pairs)


def _distances(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return (n, m) mean distances between poses, px, over the nodes that both poses have.

    The poses are (n, nodes, 2) and (m, nodes, 2).
    """
    apart = np.linalg.norm(then[:, None] - now, axis=-1)
    known = (~np.isnan(apart)).sum(axis=-1)
    return np.divide(
        np.nansum(apart, axis=-1),
        known,
        out=np.full(known.shape, NO_COMMON_NODE),
        where=known > 0,
    )
