"""Identities from class probabilities: which detection is which known animal."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def group_by_class(
    points: np.ndarray,
    values: np.ndarray,
    nodes: np.ndarray,
    probabilities: np.ndarray,
    n_nodes: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group the peaks of one frame into one instance per class.

    Per node, peaks and classes are paired so that the total probability is largest. A pair counts
    only if the class is also the peak's most probable one.

    Args:
        points: (p, 2) peaks.
        values: (p,) peak values.
        nodes: (p,) node of each peak.
        probabilities: (p, classes) class probabilities at each peak.
        n_nodes: Number of nodes.

    Returns:
        points (classes, nodes, 2), values (classes, nodes) and probabilities (classes, nodes); nan
        without a matched peak.
    """
    classes = probabilities.shape[1]
    grouped = np.full((classes, n_nodes, 2), np.nan)
    grouped_values = np.full((classes, n_nodes), np.nan)
    grouped_probabilities = np.full((classes, n_nodes), np.nan)
    best = probabilities.max(axis=1, initial=-np.inf)
    for node in set(nodes.tolist()):
        peaks = np.flatnonzero(nodes == node)
        rows, columns = linear_sum_assignment(probabilities[peaks], maximize=True)
        for peak, label in zip(peaks[rows], columns, strict=True):
            if probabilities[peak, label] == best[peak]:
                grouped[label, node] = points[peak]
                grouped_values[label, node] = values[peak]
                grouped_probabilities[label, node] = probabilities[peak, label]
    return grouped, grouped_values, grouped_probabilities


def assign_classes(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each instance of one frame its own class so that the total probability is largest.

    With more instances than classes, the rest stay without one.

    Args:
        probabilities: (n, classes).

    Returns:
        classes (n,) int, -1 for instances without a class; probability (n,) of these classes, nan
        for instances without a class.
    """
    labels = np.full(len(probabilities), -1, dtype=np.int32)
    scores = np.full(len(probabilities), np.nan)
    rows, columns = linear_sum_assignment(probabilities, maximize=True)
    labels[rows] = columns
    scores[rows] = probabilities[rows, columns]
    return labels, scores
