"""The frames that the page holds: all of them, or those nearest to doubtful moments."""

from collections.abc import Sequence

import numpy as np

from sleap_lab.quality.suspects import Suspect
from sleap_lab.report.review.film import GROUP

AROUND = 3 * GROUP
"""Processed frames before and after a moment that come before all that is farther away."""


def choose(
    places: np.ndarray, moments: Sequence[Suspect], cost: np.ndarray, budget: float
) -> np.ndarray:
    """Return (frames,) bool, true for the frames of the page.

    Where not all fit, those around the most doubtful moments come first, then those nearest to any
    moment, then the others in their order. Frames come in groups of `GROUP`, none split.

    Args:
        places: (frames, 2) video and frame of every processed frame, ascending.
        moments: Doubtful moments, the most doubtful first.
        cost: (frames,) bytes that each needs.
        budget: Bytes that the page may hold.
    """
    n = len(places)
    if cost.sum() <= budget:
        return np.ones(n, dtype=bool)
    begin = np.searchsorted(places[:, 0], places[:, 0])
    group = np.cumsum((np.arange(n) - begin) % GROUP == 0) - 1
    rank, distance = _nearest(places, moments)
    groups = group[-1] + 1
    rank_of, distance_of = np.full(groups, len(moments)), np.full(groups, n)
    np.minimum.at(rank_of, group, rank)
    np.minimum.at(distance_of, group, distance)
    order = np.lexsort((distance_of, rank_of))
    fits = np.cumsum(np.bincount(group, cost)[order]) <= budget
    fits[0] = True
    return np.isin(group, order[fits])


def _nearest(places: np.ndarray, moments: Sequence[Suspect]) -> tuple[np.ndarray, np.ndarray]:
    """Return (frames,) the best rank of a moment around a frame, and the distance to any moment."""
    n = len(places)
    rank, distance = np.full(n, len(moments)), np.full(n, n)
    for video in np.unique([moment.video for moment in moments]).tolist():
        start, stop = np.searchsorted(places[:, 0], [video, video + 1])
        own = [(i, moment) for i, moment in enumerate(moments) if moment.video == video]
        peaks = start + np.searchsorted(places[start:stop, 1], [m.frame for _, m in own])
        for (i, _), peak in zip(own, peaks.tolist(), strict=True):
            window = slice(max(start, peak - AROUND), min(stop, peak + AROUND + 1))
            rank[window] = np.minimum(rank[window], i)
        peaks = np.sort(peaks)
        here = np.arange(start, stop)
        after = np.searchsorted(peaks, here).clip(max=len(peaks) - 1)
        before = (after - 1).clip(min=0)
        distance[start:stop] = np.minimum(abs(peaks[after] - here), abs(peaks[before] - here))
    return rank, distance
