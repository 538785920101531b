"""Share of keypoints that are predicted closely enough (PCK)."""

from typing import Any

import numpy as np

THRESHOLDS = np.arange(1.0, 11.0)
# Shares of the body size within which a node counts as found: name -> share.
SIZE_SHARES = {"05": 0.05, "10": 0.1}


def hits(distances: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> np.ndarray:
    """Return which distances are below each threshold; a node missing on either side is a miss.

    Args:
        distances: (pairs, nodes) px; nan where a node is missing on either side.
        thresholds: (thresholds,) px.

    Returns:
        (pairs, nodes, thresholds) bool.
    """
    return distances[..., None] < thresholds


def pck_metrics(distances: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> dict[str, Any]:
    """Share of keypoints within each threshold.

    Args:
        distances: (pairs, nodes) px; nan where a node is missing on either side.
        thresholds: (thresholds,) px.

    Returns:
        `thresholds`; `pcks` (pairs, nodes, thresholds) bool; `mPCK_parts` (nodes,), the mean over
        pairs and thresholds; `mPCK`, the mean over nodes; `PCK@5` and `PCK@10`, the shares at the
        thresholds closest to 5 and 10 px. Without a pair: `pcks` (1, 0, thresholds), `mPCK_parts`
        (0,), the rest nan.
    """
    table = (
        hits(distances, thresholds)
        if len(distances)
        else np.zeros((1, 0, len(thresholds)), dtype=bool)
    )
    parts = table.mean(axis=0).mean(axis=-1)

    def mean(values: np.ndarray) -> float:
        return values.mean() if values.size else float("nan")

    return {
        "thresholds": thresholds.copy(),
        "pcks": table,
        "mPCK_parts": parts,
        "mPCK": mean(parts),
        "PCK@5": mean(table[..., np.abs(thresholds - 5).argmin()]),
        "PCK@10": mean(table[..., np.abs(thresholds - 10).argmin()]),
    }
