"""How alike detections and candidates are, for all pairs at once, and how the scores of one track become one.

Shapes: detections are (k, …), the candidates of all tracks (t, window, …), scores (k, t, window). Higher means more
alike; nan means that the two cannot be compared.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from sleap_lab.boxes import areas, bounding_boxes, intersections
from sleap_lab.config import TrackerConfig

EPSILON = float(np.spacing(1))  # keeps the OKS of a pose without area defined
OKS_STDDEV = 0.025

COMPARABLE = {
    "oks": ("keypoints",),
    "iou": ("bboxes",),
    "euclidean_dist": ("keypoints", "centroids", "bboxes"),
    "cosine_sim": ("keypoints", "centroids", "bboxes"),
}


def oks(detections: np.ndarray, candidates: np.ndarray, stddev: float) -> np.ndarray:
    """Object keypoint similarity, COCO's formula, with the detection in the role of the ground truth.

    A node missing in the candidate lowers the score, a node missing in the detection is left out.

    Args:
        detections: (k, nodes, 2) px, image space; nan where a node was not found.
        candidates: (t, window, nodes, 2) px, likewise.
        stddev: Spread of the kernel, relative to the square root of the detection's bounding box area.

    Returns:
        (k, t, window) in [0, 1]; nan for a detection without a visible node.
    """
    scale = 2 * (2 * stddev) ** 2 * (areas(bounding_boxes(detections)) + EPSILON)
    difference = detections[:, None, None] - candidates
    distance = np.einsum("...i,...i", difference, difference)
    kernel = np.exp(distance / -scale[:, None, None, None])
    kernel[np.isnan(kernel)] = 0.0
    visible = (~np.isnan(detections).any(axis=-1)).sum(axis=-1)
    return kernel.sum(axis=-1) / np.where(visible, visible, np.nan)[:, None, None]


def iou(detections: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes whose corners are pixels that belong to them (hence the + 1).

    Args:
        detections: (k, 4) [xmin, ymin, xmax, ymax] px.
        candidates: (t, window, 4) px.

    Returns:
        (k, t, window) in [0, 1]; nan where a box is nan.
    """
    detections = detections[:, None, None]
    shared = intersections(detections, candidates, border=1)
    return shared / (areas(detections, border=1) + areas(candidates, border=1) - shared)


def euclidean_dist(detections: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Minus the distance between two features, all coordinates taken as one vector.

    Args:
        detections: (k, …) px.
        candidates: (t, window, …) px.

    Returns:
        (k, t, window) px, at most 0; nan where any coordinate of either is missing.
    """
    a, b = _vectors(detections, candidates)
    difference = a[:, None, None] - b
    return -np.sqrt(np.einsum("...i,...i", difference, difference))


def cosine_sim(detections: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Cosine of the angle between two features, all coordinates taken as one vector from the image origin.

    Args:
        detections: (k, …) px.
        candidates: (t, window, …) px.

    Returns:
        (k, t, window) in [-1, 1]; nan where any coordinate of either is missing or all are 0.
    """
    a, b = _vectors(detections, candidates)
    norms = np.sqrt(np.einsum("...i,...i", a, a))[:, None, None] * np.sqrt(np.einsum("...i,...i", b, b))
    return np.einsum("ki,twi->ktw", a, b) / np.where(norms > 0, norms, np.nan)


def _vectors(detections: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return detections.reshape(len(detections), -1), candidates.reshape(*candidates.shape[:2], -1)


def scoring(config: TrackerConfig) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the function that scores detections against candidates."""
    if config.scoring_method == "oks":
        return partial(oks, stddev=OKS_STDDEV if config.oks_stddev is None else config.oks_stddev)
    return {"iou": iou, "euclidean_dist": euclidean_dist, "cosine_sim": cosine_sim}[config.scoring_method]


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over the last axis without nan; nan where all are nan."""
    count = (~np.isnan(scores)).sum(axis=-1)
    return np.where(np.isnan(scores), 0.0, scores).sum(axis=-1) / np.where(count, count, np.nan)


def largest(scores: np.ndarray) -> np.ndarray:
    """Largest over the last axis without nan; nan where all are nan."""
    return np.fmax.reduce(scores, axis=-1)


def quantile(scores: np.ndarray, q: float) -> np.ndarray:
    """Quantile over the last axis without nan, with linear interpolation; nan where all are nan."""
    ordered = np.sort(scores, axis=-1)  # nan comes last
    position = q * np.maximum((~np.isnan(scores)).sum(axis=-1, keepdims=True) - 1, 0)
    below = np.floor(position).astype(np.intp)
    low = np.take_along_axis(ordered, below, axis=-1)
    high = np.take_along_axis(ordered, np.ceil(position).astype(np.intp), axis=-1)
    return (low + (high - low) * (position - below))[..., 0]


def reduction(config: TrackerConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that turns the scores against one track's candidates, (k, t, window), into one, (k, t)."""
    if config.scoring_reduction == "robust_quantile":
        return partial(quantile, q=config.robust_best_instance)
    return {"mean": mean, "max": largest}[config.scoring_reduction]
