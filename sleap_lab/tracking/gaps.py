"""Gaps between two detections of an animal, and pairs of detections that are so far apart."""

import numpy as np

GAPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Frames between two detections for which something is learned; between is interpolated."""

FEW = 20  # pairs from which a gap is learned by itself
MOST = 8_000  # pairs that are enough

Pairs = tuple[np.ndarray, np.ndarray]


def pairs_by_gap(time: np.ndarray, after: np.ndarray) -> list[Pairs]:
    """Return rows of detections of one stretch that are so far apart, for each gap of `GAPS`.

    Args:
        time: (n,) int, time of each detection.
        after: (n,) row of the one after it in its stretch; -1 for none.
    """
    found, there, shift = [], np.arange(len(time)), 0
    for gap in GAPS:
        for _ in range(gap - shift):
            there = np.where(there >= 0, after[there], -1)
        shift = gap
        rows = (there >= 0).nonzero()[0]
        rows = rows[time[there[rows]] - time[rows] == gap]
        # Whole moments are left out, so that the order of detections plays no part.
        step = -(-len(rows) // MOST)
        rows = rows[time[rows] % step == 0] if step > 1 else rows
        found.append((rows, there[rows]))
    return found


def at_gaps(gap: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Interpolate what was learned, (gaps, …), at gaps, (k,); at the ends the nearest counts."""
    place = np.interp(np.log(np.maximum(gap, 1)), np.log(GAPS), np.arange(len(GAPS)))
    low = np.minimum(place.astype(np.intp), len(GAPS) - 2)
    part = (place - low).reshape(-1, *[1] * (value.ndim - 1))
    return value[low] + part * (value[low + 1] - value[low])
