"""Halves of poses: one animal that was found as two detections, each with nodes of its own.

A network that groups nodes to animals may end an animal in its middle. Each half is a pose then, and
the two share no node. Laid together they are a body like any other, which two animals hardly ever
are.
"""

from dataclasses import replace

import numpy as np

from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.runs import slots

USUAL = 2.0  # median misfits of a pose up to which two halves are a body like any other
EQUAL = 1e-3  # body lengths by which a node may be off at least


def join_halves(
    bodies: Bodies, time: np.ndarray, worth: np.ndarray, whole: np.ndarray
) -> tuple[Bodies, np.ndarray]:
    """Join detections of one moment that share no node and together are a body like any other.

    Args:
        bodies: Detections of one video.
        time: (n,) time of each.
        worth: (n,) score of each; of two halves with as many nodes, the better one stands for both.
        whole: (n,) true for detections that are known to be whole.

    Returns:
        The bodies, whose detections with more nodes have those of their other halves, too; and (n,)
        true for those other halves.
    """
    found = ~np.isnan(bodies.points)
    other = np.zeros(len(time), dtype=bool)
    rows, others = _apart(found, time, ~whole & ~found.all(axis=1))
    if not len(rows):
        return bodies, other
    off = _off(bodies, bodies.points[found.sum(axis=1) > 1])
    usual = np.nanmedian(off, axis=0) + EQUAL
    both = np.where(found[rows], bodies.points[rows], bodies.points[others])
    misfit = np.nan_to_num(_mean(_off(bodies, both) / usual), nan=np.inf)
    near = misfit < USUAL * np.nanmedian(_mean(off / usual))
    rows, others, both, misfit = rows[near], others[near], both[near], misfit[near]
    least = np.full(len(time), np.inf)
    for side in (rows, others):
        np.minimum.at(least, side, misfit)
    best = (misfit <= least[rows]) & (misfit <= least[others])
    rows, others, both = rows[best], others[best], both[best]
    count = found.sum(axis=1)
    smaller = (count[rows] < count[others]) | (
        (count[rows] == count[others]) & (worth[rows] < worth[others])
    )
    rows, others = np.where(smaller, others, rows), np.where(smaller, rows, others)
    points, center, heading = bodies.points.copy(), bodies.center.copy(), bodies.heading.copy()
    points[rows] = both
    center[rows], heading[rows] = bodies.place(both)
    other[others] = True
    return replace(bodies, points=points, center=center, heading=heading), other


def _apart(found: np.ndarray, time: np.ndarray, partial: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the pairs of rows of one moment that share no node.

    Args:
        found: (n, nodes) true where a node was found.
        time: (n,) time of each detection.
        partial: (n,) true for detections that may be a half.
    """
    some = partial.nonzero()[0]
    _, table = slots(time[some])
    a, b = np.triu_indices(table.shape[1], 1)
    frame, pair = ((table[:, a] >= 0) & (table[:, b] >= 0)).nonzero()
    rows, others = some[table[frame, a[pair]]], some[table[frame, b[pair]]]
    apart = ~(found[rows] & found[others]).any(axis=1)
    return rows[apart], others[apart]


def _off(bodies: Bodies, points: np.ndarray) -> np.ndarray:
    """Return (k, nodes) how far nodes are from the typical body, laid on poses, (k, nodes)."""
    center, heading = bodies.place(points)
    return np.abs((points - center[:, None]) * np.conj(heading)[:, None] - bodies.body)


def _mean(off: np.ndarray) -> np.ndarray:
    """Return (k,) the root mean square over the nodes that were found; nan where there is none."""
    known = ~np.isnan(off)
    count = known.sum(axis=1)
    total = np.where(known, off, 0) ** 2
    return np.sqrt(total.sum(axis=1) / np.where(count, count, np.nan))
