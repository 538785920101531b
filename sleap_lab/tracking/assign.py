"""Assignment of detections to tracks."""

from collections.abc import Callable

import numpy as np

Pairs = tuple[np.ndarray, np.ndarray]


def hungarian(cost: np.ndarray) -> Pairs:
    """Pair rows with columns at the smallest total cost.

    Impossible pairs cost what `finite` says. They are formed where nothing else is left, or where
    all else would cost more still.

    Args:
        cost: (rows, columns), inf where a pair is impossible.

    Returns:
        Rows and columns of the min(rows, columns) pairs, by row.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    rows, columns = linear_sum_assignment(finite(cost))
    return rows, columns


def finite(cost: np.ndarray) -> np.ndarray:
    """Return the cost with more than all others in the place of inf, as in sleap-nn."""
    possible = np.isfinite(cost)
    if possible.all():
        return cost
    worst = 10 * np.abs(cost[possible]).max() + 1 if possible.any() else 1e6
    return np.where(possible, cost, worst)


def greedy(cost: np.ndarray) -> Pairs:
    """Take the cheapest pair whose row and column are both free until none is left.

    Args:
        cost: (rows, columns), inf where a pair is impossible.

    Returns:
        Rows and columns of the min(rows, columns) pairs, by ascending cost.
    """
    free = np.ones(cost.shape, dtype=bool)
    pairs = []
    for row, column in np.stack(
        np.unravel_index(np.argsort(cost, axis=None, kind="stable"), cost.shape), axis=1
    ).tolist():
        if free[row, column]:
            pairs.append((row, column))
            free[row] = free[:, column] = False
    rows, columns = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return rows, columns


MATCHING: dict[str, Callable[[np.ndarray], Pairs]] = {"hungarian": hungarian, "greedy": greedy}
