"""How many animals a video shows, and which detections are second ones of an animal."""

from typing import NamedTuple

import numpy as np

from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.runs import Runs, slots

OFTEN = 0.05  # share of the frames in which as many animals must be seen at once
SETTLED = 0.7  # mean count, as a share of that, from which all animals are there all the time
NEAREST = 0.25  # two bodies nearer than this, in body lengths, may be one
SPREAD = 4.0  # duplicates lie within so many times the distance of the nearest quarter
CLEAR = 0.5  # what a threshold must tell apart to be used


class Population(NamedTuple):
    """The animals of a video.

    Attributes:
        animals: How many there are at most.
        settled: They are there all the time, so who is missing comes back.
    """

    animals: int
    settled: bool


def count_animals(time: np.ndarray, runs: Runs) -> Population:
    """Estimate how many animals there are from how many are seen at once.

    Args:
        time: (n,) time of each detection.
        runs: Detections joined to tracklets; ghosts are hardly ever part of one.
    """
    joined = (runs.before >= 0) | (runs.after >= 0)
    real = joined if joined.sum() * 2 > len(time) else np.ones(len(time), dtype=bool)
    _, counts = np.unique(time[real], return_counts=True)
    often = max(OFTEN * len(counts), min(2, len(counts)))
    animals = int(np.sort(counts)[::-1][int(np.ceil(often)) - 1])
    return Population(animals, bool(counts.mean() >= SETTLED * animals))


def second_detections(
    bodies: Bodies, time: np.ndarray, worth: np.ndarray, animals: int | None
) -> np.ndarray:
    """Return (n,) true for detections that lie on a better one of the same frame.

    How near two detections of one animal are is learned: frames with more detections than animals
    mostly hold such a pair, others hardly ever do. Where their nearest pairs do not differ, nothing
    is left out.

    Args:
        bodies: Detections of one video.
        time: (n,) time of each.
        worth: (n,) score of each; of two on one animal, the better one stays.
        animals: Number of animals; None where it is unknown.
    """
    second = np.zeros(len(time), dtype=bool)
    at, table = slots(time)
    counts = (table >= 0).sum(axis=1)
    if not len(at) or table.shape[1] < 2:
        return second
    usual = animals or int(np.bincount(counts).argmax())
    a, b = np.triu_indices(table.shape[1], 1)
    frame, pair = ((table[:, a] >= 0) & (table[:, b] >= 0)).nonzero()
    rows, others = table[frame, a[pair]], table[frame, b[pair]]
    apart = np.nan_to_num(bodies.apart(rows, others), nan=np.inf)
    nearest = np.full(len(at), np.inf)
    np.minimum.at(nearest, frame, apart)
    limit = _between(nearest[counts > usual], nearest[counts <= usual])
    if bodies.radius:
        limit = min(limit, NEAREST)
    close = apart < limit
    rows, others, frame = rows[close], others[close], frame[close]
    better = np.where(worth[rows] >= worth[others], others, rows)  # the worse one of each pair
    second[better] = True
    return second


def _between(excess: np.ndarray, usual: np.ndarray) -> float:
    """Return the distance that best tells nearest pairs of two kinds of frames apart.

    Args:
        excess: (k,) distances in frames with a detection too many.
        usual: (m,) distances in others.
    """
    excess = np.sort(excess[np.isfinite(excess)])
    if not len(excess):
        return 0.0
    usual = np.sort(usual)
    below = np.arange(1, len(excess) + 1) / len(excess)
    passed = np.searchsorted(usual, excess, side="right") / max(len(usual), 1)
    # A duplicate beside a missing animal makes no frame too full, so a few are expected there, too.
    best = int(np.argmax(below - passed))
    if below[best] - passed[best] < CLEAR:
        return 0.0
    # Ghosts, which lie anywhere, make frames too full as well.
    return float(min(1.5 * excess[best], SPREAD * np.quantile(excess, 0.25)))
