"""The frames that the page holds: all of them, or those nearest to doubtful moments."""

from collections.abc import Sequence

import numpy as np

from sleap_lab.quality.suspects import Suspect
from sleap_lab.report.review.film import GROUP

AROUND = 36
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
    first = np.full(group[-1] + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, group, _turn(places, moments))
    order = np.argsort(first, kind="stable")
    fits = np.cumsum(np.bincount(group, cost)[order]) <= budget
    fits[0] = True
    return np.isin(group, order[fits])


def _turn(places: np.ndarray, moments: Sequence[Suspect]) -> np.ndarray:
    """Return (frames,) numbers in whose order frames come.

    Around a moment they count its rank, then the distance from it; elsewhere they are larger and
    count the distance from the nearest moment.
    """
    n = len(places)
    turn = np.full(n, len(moments) * n + n)
    for video in np.unique([moment.video for moment in moments]).tolist():
        start, stop = np.searchsorted(places[:, 0], [video, video + 1])
        ranks = [rank for rank, moment in enumerate(moments) if moment.video == video]
        frames = [moments[rank].frame for rank in ranks]
        peaks = start + np.searchsorted(places[start:stop, 1], frames)
        here, known = np.arange(start, stop), np.sort(peaks)
        after = np.searchsorted(known, here).clip(max=len(known) - 1)
        before = (after - 1).clip(min=0)
        distance = np.minimum(abs(known[after] - here), abs(known[before] - here))
        turn[start:stop] = len(moments) * n + distance
        for rank, peak in zip(ranks, peaks.tolist(), strict=True):
            window = slice(max(start, peak - AROUND), min(stop, peak + AROUND + 1))
            own = abs(np.arange(window.start, window.stop) - peak)
            turn[window] = np.minimum(turn[window], rank * n + own)
    return turn
