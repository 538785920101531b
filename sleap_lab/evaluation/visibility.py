"""Whether predictions find the nodes that are labelled, and only those."""

from typing import Any

import numpy as np


def visibility_metrics(truth_visible: np.ndarray, pose_visible: np.ndarray) -> dict[str, Any]:
    """Count visible nodes of matched pairs (both, one, neither), and form precision and recall.

    Args:
        truth_visible: (pairs, nodes) bool.
        pose_visible: (pairs, nodes) bool.

    Returns:
        Counts `tp`, `fp` (predicted only), `tn`, `fn` (labelled only), and `precision` and
        `recall`, nan where undefined.
    """
    if not len(truth_visible):
        return {
            "tp": 0,
            "fp": 0,
            "tn": 0,
            "fn": 0,
            "precision": float("nan"),
            "recall": float("nan"),
        }
    tp = (truth_visible & pose_visible).sum()
    fp = (~truth_visible & pose_visible).sum()
    fn = (truth_visible & ~pose_visible).sum()
    tn = (~truth_visible & ~pose_visible).sum()
    return {
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
        "precision": tp / (tp + fp) if tp + fp else float("nan"),
        "recall": tp / (tp + fn) if tp + fn else float("nan"),
    }
