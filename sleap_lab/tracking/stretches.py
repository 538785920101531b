"""Stretches of detections that are one animal."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stretches:
    """Detections joined to stretches, by row.

    Attributes:
        before: (n,) row of the detection before in its stretch; -1 for none.
        after: (n,) row of the one after; -1 for none.
    """

    before: np.ndarray
    after: np.ndarray

    def first(self) -> np.ndarray:
        """Return (n,) row of the first detection of the stretch of each."""
        return _end(self.before)

    def last(self) -> np.ndarray:
        """Return (n,) row of the last detection of the stretch of each."""
        return _end(self.after)


def _end(step: np.ndarray) -> np.ndarray:
    """Follow steps from row to row until there is none; each pass doubles the stride."""
    at = np.where(step >= 0, step, np.arange(len(step)))
    while not np.array_equal(further := at[at], at):
        at = further
    return at


def joined(n: int, rows: np.ndarray, others: np.ndarray) -> Stretches:
    """Return the stretches that links form.

    Args:
        n: Number of detections.
        rows: (k,) rows of the earlier detections, each once.
        others: (k,) rows of the later ones, each once.
    """
    before, after = np.full(n, -1), np.full(n, -1)
    before[others], after[rows] = rows, others
    return Stretches(before, after)


def slots(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the moments, (frames,), and the rows of each, (frames, most), -1 where none is."""
    order = np.argsort(time, kind="stable")
    at, of, count = np.unique(time[order], return_inverse=True, return_counts=True)
    table = np.full((len(at), int(count.max(initial=0))), -1)
    table[of, np.arange(len(order)) - (np.cumsum(count) - count)[of]] = order
    return at, table
