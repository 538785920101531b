"""How many animals a video shows, and which detections are second ones of an animal."""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.runs import Runs, slots

OFTEN = 0.03  # share of the frames in which as many animals must be seen at once
AROUND = 16  # frames before and after a moment in which who is missing then may be seen
SETTLED = 0.85  # share of the animals seen around a moment, from which all are there all the time
NEAREST = 0.25  # two bodies nearer than this, in body lengths, may be one
SPREAD = 4.0  # duplicates lie within so many times the distance of the nearest quarter
CLEAR = 0.5  # what a threshold must tell apart to be used
RARE = 0.25  # share of the frames that hold more detections than animals, at most


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

    They are there all the time where a moment at which all of them are seen is never far, however
    often they hide.

    Args:
        time: (n,) time of each detection.
        runs: Detections joined to tracklets; ghosts are hardly ever part of one.
    """
    joined = (runs.before >= 0) | (runs.after >= 0)
    real = joined if joined.sum() * 2 > len(time) else np.ones(len(time), dtype=bool)
    _, counts = np.unique(time[real], return_counts=True)
    often = max(OFTEN * len(counts), min(2, len(counts)))
    animals = int(np.sort(counts)[::-1][int(np.ceil(often)) - 1])
    padded = np.pad(np.minimum(counts, animals), AROUND, mode="edge")
    seen = sliding_window_view(padded, 2 * AROUND + 1).max(axis=1)
    return Population(animals, bool(seen.mean() >= SETTLED * animals))


def second_detections(
    bodies: Bodies, time: np.ndarray, worth: np.ndarray, animals: int | None
) -> np.ndarray:
    """Return (n,) true for detections that lie on a better one of the same frame.

    How near two detections of one animal are is learned: frames with more detections than animals
    mostly hold such a pair, others hardly ever do. Where their nearest pairs do not differ, nothing
    is left out. Where the number of animals is unknown, the one is taken by which they differ most.

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
    a, b = np.triu_indices(table.shape[1], 1)
    frame, pair = ((table[:, a] >= 0) & (table[:, b] >= 0)).nonzero()
    rows, others = table[frame, a[pair]], table[frame, b[pair]]
    apart = np.nan_to_num(bodies.apart(rows, others), nan=np.inf)
    nearest = np.full(len(at), np.inf)
    np.minimum.at(nearest, frame, apart)
    if animals:
        _, limit = _between(nearest[counts > animals], nearest[counts <= animals])
    else:
        animals, limit = _likeliest(nearest, counts, bodies.radius > 0)
    if bodies.radius:
        close = apart < min(limit, NEAREST)
    else:  # places without extent may be those of two animals, unless there are too many
        close = (apart < limit) & (counts[frame] > animals)
    rows, others, frame = rows[close], others[close], frame[close]
    better = np.where(worth[rows] >= worth[others], others, rows)  # the worse one of each pair
    second[better] = True
    return second


def _likeliest(nearest: np.ndarray, counts: np.ndarray, extended: bool) -> tuple[int, float]:
    """Return the number of animals that tells duplicates best, and the distance below which.

    Args:
        nearest: (frames,) distance of the nearest pair of each frame; inf where there is none.
        counts: (frames,) detections of each.
        extended: Bodies have an extent, so that two that lie on each other are one. Of single
            places nothing is known where most frames have one.
    """
    best = -np.inf, 0, 0.0
    for number in range(1 if extended else 2, int(counts.max())):
        full = counts > number
        if full.mean() > RARE:
            continue
        usual = nearest[~full & (counts > 1)]
        if number > 1 and not len(usual):
            continue
        told, limit = _between(nearest[full], usual)
        if told:
            # What few frames tell may be chance.
            best = max(best, (told - 1 / np.sqrt(full.sum()), number, limit))
    return best[1:]


def _between(excess: np.ndarray, usual: np.ndarray) -> tuple[float, float]:
    """Return how well nearest pairs of two kinds of frames are told apart, and at which distance.

    Args:
        excess: (k,) distances in frames with a detection too many.
        usual: (m,) distances in others.
    """
    excess = np.sort(excess[np.isfinite(excess)])
    if not len(excess):
        return 0.0, 0.0
    usual = np.sort(usual)
    below = np.arange(1, len(excess) + 1) / len(excess)
    passed = np.searchsorted(usual, excess, side="right") / max(len(usual), 1)
    # A duplicate beside a missing animal makes no frame too full, so a few are expected there, too.
    best = int(np.argmax(below - passed))
    told = float(below[best] - passed[best])
    if told < CLEAR:
        return 0.0, 0.0
    # Ghosts, which lie anywhere, make frames too full as well.
    return told, float(min(1.5 * excess[best], SPREAD * np.quantile(excess, 0.25)))
