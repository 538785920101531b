"""Average precision and recall over match-score thresholds (the VOC family)."""

from typing import Any

import numpy as np

MATCH_SCORE_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0, 1, 101)
EPSILON = np.finfo(np.float64).eps

KEYS = (
    "match_score_thresholds",
    "recall_thresholds",
    "match_scores",
    "precisions",
    "recalls",
    "AP",
    "AR",
    "mAP",
    "mAR",
)


def voc(
    match_scores: np.ndarray, instance_scores: np.ndarray, n_missed: int, *, prefix: str
) -> dict[str, Any]:
    """Average precision and recall of the matched pairs of a split, as sleap-nn computes them.

    Pairs are ranked by prediction score. At each threshold a pair counts as a false positive when
    its match score is below; unmatched predictions never count, so extra detections do not lower
    these metrics.

    Args:
        match_scores: (pairs,) how good each match is, in [0, 1].
        instance_scores: (pairs,) prediction scores; equal ones keep their order.
        n_missed: Number of true instances that were not matched.
        prefix: Put before each key.

    Returns:
        `match_score_thresholds` (10,), `recall_thresholds` (101,), `match_scores` (pairs,) as
        ranked, `precisions` (10, 101), `recalls`, `AP`, `AR` (10,), `mAP`, `mAR`; every value is
        the integer 0 when there is no pair.
    """
    if not len(match_scores):
        return {prefix + key: 0 for key in KEYS}
    ranked = match_scores[np.argsort(-instance_scores, kind="stable")]
    precisions, recall = precision_recall(
        ranked >= MATCH_SCORE_THRESHOLDS[:, None], len(ranked) + n_missed
    )
    average_precision, average_recall = precisions.mean(axis=1), recall
    values = (
        MATCH_SCORE_THRESHOLDS.copy(),
        RECALL_THRESHOLDS.copy(),
        ranked,
        precisions,
        average_recall.copy(),
        average_precision,
        average_recall,
        average_precision.mean(),
        average_recall.mean(),
    )
    return {prefix + key: value for key, value in zip(KEYS, values, strict=True)}


def precision_recall(hits: np.ndarray, n_truth: int) -> tuple[np.ndarray, np.ndarray]:
    """Interpolated precision and final recall of ranked detections (COCO and VOC agree on both).

    Args:
        hits: (thresholds, n) bool, whether each detection counts as found; best scored first.
        n_truth: Number of true instances.

    Returns:
        Precisions (thresholds, 101), each the best that is reached at this recall or a higher one,
        0 beyond the last recall; and the last recall (thresholds,).
    """
    found = np.cumsum(hits, axis=1)
    recall = found / n_truth
    precision = found / (np.arange(1, hits.shape[1] + 1) + EPSILON)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    envelope = np.pad(envelope, ((0, 0), (0, 1)))
    precisions = np.stack(
        [
            row[np.searchsorted(r, RECALL_THRESHOLDS)]
            for row, r in zip(envelope, recall, strict=True)
        ]
    )
    return precisions, hits.sum(axis=1) / n_truth
