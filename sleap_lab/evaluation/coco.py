"""Detection metrics that also count extra predictions and frames without predictions.

The VOC family overlooks both. The metrics are those of COCO's keypoint task, without its limit of
20 detections per image: every labelled frame counts, matching is repeated at each threshold, and
each prediction that finds no true instance is a false positive.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.ap import MATCH_SCORE_THRESHOLDS, precision_recall
from sleap_lab.evaluation.match import Compare, FramePair

# OKS thresholds with numbers of their own: name -> index into MATCH_SCORE_THRESHOLDS.
SINGLED_OUT = {"50": 0, "75": 5}
# Average precisions: name -> thresholds that are averaged over.
AVERAGED = {
    "ap": slice(None),
    **{f"ap_{name}": slice(row, row + 1) for name, row in SINGLED_OUT.items()},
}


class Detections(NamedTuple):
    """Outcome of matching at every OKS threshold 0.50, 0.55 … 0.95.

    Attributes:
        frame: (n,) index of the frame that each prediction is in.
        scores: (n,) its instance score.
        hits: (10, n) bool, whether it finds a true instance at each threshold.
        n_truth: (frames,) true instances with a visible node in each frame.
    """

    frame: np.ndarray
    scores: np.ndarray
    hits: np.ndarray
    n_truth: np.ndarray


def match_detections(
    frames: Sequence[FramePair], similarity: Compare, shown: np.ndarray, scores: np.ndarray
) -> Detections:
    """Match the predictions of every labelled frame at every threshold.

    Args:
        frames: Labelled frames, whether predicted or not.
        similarity: Gives (g, p) OKS of rows of the two records.
        shown: (truths,) bool, true instances with a visible node; the others cannot be found.
        scores: (predictions,) instance scores of the prediction record.
    """
    hits, n_truth = [], []
    for frame in frames:
        truth_rows = frame.truth_rows[shown[frame.truth_rows]]
        n_truth.append(len(truth_rows))
        hits.append(
            match_per_threshold(similarity(truth_rows, frame.pose_rows), scores[frame.pose_rows])
        )
    rows = [frame.pose_rows for frame in frames]
    return Detections(
        frame=np.repeat(np.arange(len(frames)), [len(chunk) for chunk in rows]),
        scores=scores[np.concatenate(rows)],
        hits=np.concatenate(hits, axis=1),
        n_truth=np.array(n_truth),
    )


def match_per_threshold(similarity: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return which predictions of one frame find a true instance at each threshold (COCO's rule).

    Each prediction, best scored first, takes the most similar true instance that is still free and
    at least as similar as the threshold; of equally similar ones, the last.

    Args:
        similarity: (g, p) OKS.
        scores: (p,) scores; equal ones keep their order, nan comes last.

    Returns:
        (10, p) bool.
    """
    n_truth, n_predicted = similarity.shape
    hits = np.zeros((len(MATCH_SCORE_THRESHOLDS), n_predicted), dtype=bool)
    if not n_truth:
        return hits
    free = np.ones((len(MATCH_SCORE_THRESHOLDS), n_truth), dtype=bool)
    for column in np.argsort(-scores, kind="stable"):
        similar = similarity[:, column]
        reach = np.where(free & (similar >= MATCH_SCORE_THRESHOLDS[:, None]), similar, -1)
        taken = n_truth - 1 - reach[:, ::-1].argmax(axis=1)
        found = np.flatnonzero(reach.max(axis=1) >= 0)
        hits[found, column] = True
        free[found, taken[found]] = False
    return hits


def average_precisions(detections: Detections) -> dict[str, float]:
    """Return `ap` (mean over the thresholds), `ap_50` and `ap_75`; nan without true instances."""
    n_truth = int(detections.n_truth.sum())
    if not n_truth:
        return dict.fromkeys(AVERAGED, float("nan"))
    precisions, _ = precision_recall(
        detections.hits[:, np.argsort(-detections.scores, kind="stable")], n_truth
    )
    return {name: float(precisions[rows].mean()) for name, rows in AVERAGED.items()}
