"""Matching of whole animals by one point each, where poses cannot or need not be compared."""

from typing import Any

import numpy as np

from sleap_lab.evaluation.distances import summarize
from sleap_lab.evaluation.match import Matches


def first_visible(points: np.ndarray) -> np.ndarray:
    """First visible node of each predicted instance: (n, nodes, 2) px -> (n, 2) px; nan if none."""
    first = (~np.isnan(points).any(axis=-1)).argmax(axis=1)
    return points[np.arange(len(points)), first]


def hungarian(distances: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Assign with the smallest total distance, then discard pairs farther apart than `threshold`.

    Args:
        distances: (g, p) px; nan rows and columns are never matched.
        threshold: Largest distance of a match, px.

    Returns:
        Indices of the matched true instances, and of their predictions, ascending.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    known = ~np.isnan(distances)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    i, j = linear_sum_assignment(distances[np.ix_(rows, columns)])
    rows, columns = rows[i], columns[j]
    order = np.argsort(columns)
    rows, columns = rows[order], columns[order]
    near = distances[rows, columns] <= threshold
    return rows[near], columns[near]


def centroid_metrics(matches: Matches) -> dict[str, Any]:
    """Return detection counts, precision, recall, F1, and distances of matched centroids in px.

    Precision, recall and F1 are 0 where undefined.
    """
    tp, fp, fn = len(matches.scores), len(matches.false_positives), len(matches.false_negatives)
    return {
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn) if tp + fn else 0.0,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0,
        "n_tp": tp,
        "n_fp": fp,
        "n_fn": fn,
        **summarize(matches.scores),
    }
