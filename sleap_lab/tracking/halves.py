"""Halves of poses: one animal that was found as two detections, each with nodes of its own.

A network that groups nodes to animals may cut an animal in two. Each half is a pose then, and the
two share no node. Laid together they are a body like any other, and a moment before or after they
lie on one pose. Two animals hardly ever are the former: only where a pose has few nodes, or where
they stand in line. The poses of other moments tell them apart then.
"""

from dataclasses import replace

import numpy as np

from sleap_lab.tracking.bodies import Bodies, mean_square
from sleap_lab.tracking.stretches import slots

USUAL = 2.0  # median misfits of a pose up to which two halves are a body like any other
EQUAL = 1e-3  # body lengths by which any node may be off
LOOK = 4  # moments before and after a pair that are asked whether it is one animal
CLEARLY = 2.0  # how many times as near the one answer must be as the other
NOBODY = 2.0  # body lengths for both parts together, as if poses were so far away


def join_halves(
    bodies: Bodies, time: np.ndarray, worth: np.ndarray, whole: np.ndarray
) -> tuple[Bodies, np.ndarray]:
    """Join detections of one moment that share no node and together are a body like any other.

    Where the poses of other moments show two animals, they stay apart. Where these say nothing, it
    is as most pairs of the video are of which they say something.

    Args:
        bodies: Detections of one video.
        time: (n,) time of each.
        worth: (n,) score of each; of two halves with as many nodes, the better one stands for both.
        whole: (n,) true for detections that are known to be whole.

    Returns:
        The bodies, where detections that stand for two halves have the nodes of both; and (n,) true
        for the other halves, which are not to be used.
    """
    found = ~np.isnan(bodies.points)
    count = found.sum(axis=1)
    rest = np.zeros(len(time), dtype=bool)
    rows, others = _complements(found, time, ~whole)
    if not len(rows):
        return bodies, rest
    both = np.where(found[rows], bodies.points[rows], bodies.points[others])
    misfit, limit = _misfit(bodies, both, bodies.points[count > 1])
    best = np.full(len(time), limit)
    for side in (rows, others):
        np.minimum.at(best, side, misfit)
    joined = (misfit <= best[rows]) & (misfit <= best[others])
    joined[joined] = _one_animal(bodies, time, rows[joined], others[joined])
    rows, others, both = rows[joined], others[joined], both[joined]
    less = count[rows] < count[others]
    less |= (count[rows] == count[others]) & (worth[rows] < worth[others])
    kept = np.where(less, others, rows)
    rest[np.where(less, rows, others)] = True
    points, center, heading = bodies.points.copy(), bodies.center.copy(), bodies.heading.copy()
    points[kept], (center[kept], heading[kept]) = both, bodies.place(both)
    return replace(bodies, points=points, center=center, heading=heading), rest


def _complements(
    found: np.ndarray, time: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of rows of one moment that share no node.

    Args:
        found: (n, nodes) true where a node was found.
        time: (n,) time of each detection.
        chosen: (n,) true for detections that are asked for.
    """
    nodes, count = found.shape[1], found.sum(axis=1)
    few = chosen & (2 * count <= nodes)  # one of two that share no node has no more than half
    some = (chosen & (count < nodes) & np.isin(time, time[few])).nonzero()[0]
    _, table = slots(time[some])
    a, b = np.triu_indices(table.shape[1], 1)
    moment, pair = ((table[:, a] >= 0) & (table[:, b] >= 0)).nonzero()
    rows, others = some[table[moment, a[pair]]], some[table[moment, b[pair]]]
    fits = count[rows] + count[others] <= nodes
    rows, others = rows[fits], others[fits]
    apart = ~(found[rows] & found[others]).any(axis=1)
    return rows[apart], others[apart]


def _one_animal(
    bodies: Bodies, time: np.ndarray, rows: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """Return (k,) whether two parts are one animal, as the poses of other moments show.

    Before and after, the nearest moment is asked in which both lie clearly nearer to one pose than
    to any two, or the other way round. Two that share no node may be halves, and show nothing.

    Args:
        bodies: Detections of one video.
        time: (n,) time of each.
        rows: (k,) row of one part of each pair.
        others: (k,) row of the other.
    """
    at, table = slots(time)
    parted = np.zeros(len(time) + 1, dtype=bool)
    parted[rows] = parted[others] = parted[-1] = True  # parts say nothing of others; -1 is nobody
    table = np.where(parted[table], -1, table)
    place, found = np.searchsorted(at, time[rows]), ~np.isnan(bodies.points)
    told = np.zeros((2, len(rows)), dtype=int)  # before and after: 1 for one animal, -1 for two
    for side, sign in zip(told, (-1, 1), strict=True):
        for lag in range(1, LOOK + 1):
            there = place + sign * lag
            asked = ((side == 0) & (there >= 0) & (there < len(at))).nonzero()[0]
            beside = table[there[asked]]
            one, two = (_distance(bodies, own[asked], beside) for own in (rows, others))
            same = (one + two).min(axis=1, initial=np.inf)
            apart = one[:, :, None] + two[:, None, :]
            apart[(beside[:, :, None] == beside[:, None, :]) | ~_share(found[beside])] = np.inf
            different = apart.min(axis=(1, 2), initial=np.inf)
            united = CLEARLY * same < np.minimum(different, NOBODY)
            side[asked] = united.astype(int) - (CLEARLY * different < same)
    vote = told.sum(axis=0)
    return (vote > 0) | ((vote == 0) & (np.sign(vote).sum() >= 0))


def _share(found: np.ndarray) -> np.ndarray:
    """Return which two poses of a moment share a node, (k, most, most).

    Args:
        found: (k, most, nodes) bool.
    """
    return np.any(found[:, :, None] & found[:, None, :], axis=-1)


def _distance(bodies: Bodies, rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return how far poses are from those of another moment, (k, most); inf where there is none.

    It is the root mean square distance of the shared nodes, that of the centres without any.

    Args:
        bodies: The detections.
        rows: (k,) their rows.
        table: (k, most) rows of the moment of each, -1 where none is.
    """
    off = np.abs(bodies.points[rows][:, None] - bodies.points[table])
    centers = np.abs(bodies.center[rows][:, None] - bodies.center[table])
    nearest = np.sqrt(mean_square(off))
    return np.where(table >= 0, np.where(np.isnan(nearest), centers, nearest), np.inf)


def _misfit(bodies: Bodies, points: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, float]:
    """Return how far poses are from the typical body, and up to where one is a body like any other.

    Args:
        bodies: Knows the typical body.
        points: (k, nodes) complex, what is asked for; nan where a node is missing.
        poses: (m, nodes) complex, what is usual; with two nodes or more each.

    Returns:
        (k,) in usual distances of each node, inf where unknown, and the limit.
    """
    off = bodies.off(poses)
    known = ~np.isnan(off).all(axis=0)
    usual = np.full(off.shape[1], EQUAL)
    usual[known] += np.nanmedian(off[:, known], axis=0)
    sizes = np.sqrt(mean_square(off / usual))
    sizes = sizes[~np.isnan(sizes)]
    limit = USUAL * float(np.median(sizes)) if len(sizes) else 0.0
    return np.nan_to_num(np.sqrt(mean_square(bodies.off(points) / usual)), nan=np.inf), limit
