"""What decides where the scores of detections and tracks do not.

A score says nothing where it is the same for all: every OKS is 0 far from the last pose and where a
box has no area, and poses without shared nodes have none. Then the distance of the nodes decides.
"""

from collections.abc import Callable

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.tracking.assign import Pairs, finite

TIE = 1e-10
"""Largest difference of costs that is none."""
FEW = 36  # costs up to which a loop is faster than the calls of numpy


def body_length(poses: Poses) -> float:
    """Return the median diagonal of the boxes of the poses of a video, px.

    Where none has any it is a third of the median distance to the nearest other of a frame, and
    infinite where each is alone.
    """
    low, high = np.fmin.reduce(poses.points, axis=-2), np.fmax.reduce(poses.points, axis=-2)
    diagonals = np.linalg.norm(high - low, axis=-1)
    if (diagonals > 0).any():
        return float(np.median(diagonals[diagonals > 0]))
    nearest = [np.zeros(0)]
    for _, _, rows in poses.by_frame():
        places = low[rows][~np.isnan(low[rows]).any(axis=1)]
        if len(places) > 1:
            apart = np.linalg.norm(places[:, None] - places, axis=-1)
            nearest.append((apart + np.diag(np.full(len(places), np.inf))).min(axis=1))
    found = np.concatenate(nearest)
    return float(np.median(found)) / 3 or np.inf if len(found) else np.inf


def decided(cost: np.ndarray, distances: np.ndarray, worth: float) -> np.ndarray:
    """Let distances decide where costs do not.

    Args:
        cost: (k, t) minus the score; inf where poses cannot be compared.
        distances: (k, t) body lengths; nan where a pose has no visible node.
        worth: The score that a body length of distance weighs.

    Returns:
        (k, t) cost. Pairs that cannot be compared cost more than all others, the nearest of them
        least; it is inf without a distance.
    """
    possible = np.isfinite(cost)
    result = cost + worth * np.fmax(distances, 0.0)
    if not possible.all():
        worst = 10 * np.abs(result[possible]).max(initial=1.0)
        result = np.where(possible, result, np.fmin(worst + distances, np.inf))
    return result


def beyond_doubt(cost: np.ndarray, pairs: Pairs) -> bool:
    """Return whether every chosen pair is the only cheapest one of its row and of its column.

    Then no other pairs cost as little, and this is quick to see.
    """
    rows, columns = pairs
    if cost.size <= FEW:
        return _stands_out(cost, rows.tolist(), columns.tolist())
    limit = cost[rows, columns] + TIE
    return (
        np.count_nonzero(cost.take(rows, axis=0) <= limit[:, None])
        == np.count_nonzero(cost.take(columns, axis=1) <= limit)
        == len(rows)
    )


def _stands_out(cost: np.ndarray, rows: list[int], columns: list[int]) -> bool:
    """Do what `beyond_doubt` does in a loop, for few costs."""
    width, costs = cost.shape[1], cost.ravel().tolist()
    for row, column in zip(rows, columns, strict=True):
        along, across = costs[row * width : (row + 1) * width], costs[column::width]
        limit = along.pop(column) + TIE
        del across[row]
        if (along and min(along) <= limit) or (across and min(across) <= limit):
            return False
    return True


def exchangeable(cost: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Return which pairs of the smallest total cost could be replaced at no cost.

    A pair can be exchanged with another pair, or for a row or a column without one.

    Args:
        cost: (rows, columns), inf where a pair is impossible.
        pairs: Rows and columns of the chosen pairs, (m,) each.

    Returns:
        (m,) bool.
    """
    rows, columns = pairs
    cost = finite(cost)
    chosen, of_rows, of_columns = cost[rows, columns], cost[rows], cost[:, columns]
    crossed = of_columns[rows]
    replaced = crossed + crossed.T <= np.add.outer(chosen, chosen) + TIE
    np.fill_diagonal(replaced, False)
    free_rows = of_columns <= chosen + TIE
    free_rows[rows] = False
    free_columns = of_rows <= chosen[:, None] + TIE
    free_columns[:, columns] = False
    return replaced.any(axis=1) | free_rows.any(axis=0) | free_columns.any(axis=1)


def tied(cost: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Return which pairs, the cheapest when they were taken, were not the only cheapest ones.

    Args:
        cost: (rows, columns), inf where a pair is impossible.
        pairs: Rows and columns of the pairs in the order in which they were taken, (m,) each.

    Returns:
        (m,) bool.
    """
    rows, columns = pairs
    chosen = cost[rows, columns]
    doubt = np.zeros(len(rows), dtype=bool)
    for table, own, others in ((cost, rows, columns), (cost.T, columns, rows)):
        taken_at = np.full(table.shape[1], len(own))  # never
        taken_at[others] = np.arange(len(own))
        still_free = taken_at >= np.arange(len(own))[:, None]
        doubt |= ((table[own] <= chosen[:, None] + TIE) & still_free).sum(axis=1) > 1
    return doubt


UNDECIDED: dict[str, Callable[[np.ndarray, Pairs], np.ndarray]] = {
    "hungarian": exchangeable,
    "greedy": tied,
}
"""By the way of matching what tells which pairs were chosen by chance."""


def in_order(poses: Poses, rows: np.ndarray) -> np.ndarray:
    """Return the detections of a frame in an order that does not depend on theirs.

    Those that a person labelled come first, then those of higher score, and of equal ones those
    further left.

    Args:
        poses: All instances.
        rows: (k,) rows of the detections.
    """
    scores = np.where(poses.user[rows], np.inf, poses.instance_scores[rows])
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    if (ranked[1:] < ranked[:-1]).all():
        return rows[order]
    coordinates = poses.points[rows].reshape(len(rows), poses.points[0].size)
    return rows[np.lexsort((*poses.point_scores[rows].T, *coordinates.T[::-1], -scores))]


def has_twin(points: np.ndarray) -> np.ndarray:
    """Return which of (k, nodes, 2) poses are there twice, (k,) bool."""
    filled = np.nan_to_num(points, nan=-np.inf)
    return (filled[:, None] == filled).all(axis=(2, 3)).sum(axis=1) > 1
