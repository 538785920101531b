"""Similarity of detections and candidates, for all pairs at once, and its reduction per track.

Shapes: detections are (k, …), the candidates of all tracks (t, window, …), scores (k, t, window).
Higher means more alike; nan means that the two cannot be compared.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from sleap_lab.poses.boxes import areas, bounding_boxes, intersections
from sleap_lab.settings.config import TrackerConfig

EPSILON = float(np.spacing(1))  # keeps the OKS of a pose without area defined
OKS_STDDEV = 0.025
UNDERFLOW = -746.0  # exp is 0 from here on, and slow
KALMAN_OKS_STDDEV = 0.1  # where single nodes are predicted
# Coordinates compared at once: few enough for the processor's cache and for reused memory.
BLOCK = 16_384


def pose_sizes(points: np.ndarray) -> np.ndarray:
    """Return the size of each detection, as `oks` uses it.

    Args:
        points: (k, nodes, 2) px, image space; nan where a node was not found.

    Returns:
        (k, 2) area of the bounding box, px², and number of visible nodes, at least one; both nan
        for a pose without a visible node.
    """
    visible = (~np.isnan(points).any(axis=-1)).sum(axis=-1)
    return np.stack([areas(bounding_boxes(points)), np.where(visible, visible, np.nan)], axis=-1)


def oks(
    detections: np.ndarray, candidates: np.ndarray, stddev: float, sizes: np.ndarray | None = None
) -> np.ndarray:
    """Object keypoint similarity, COCO's formula, with the detection as the ground truth.

    A node missing in the candidate lowers the score, a node missing in the detection is left out.

    Args:
        detections: (k, nodes, 2) px, image space; nan where a node was not found.
        candidates: (t, window, nodes, 2) px, likewise.
        stddev: Spread of the kernel, relative to the square root of the detection's bounding box
            area.
        sizes: (k, 2) `pose_sizes` of the detections, where they are known already.

    Returns:
        (k, t, window) in [0, 1]; nan for a detection without a visible node.
    """
    if sizes is None:
        sizes = pose_sizes(detections)
    block = max(BLOCK // max(candidates.size, 1), 1)
    if block < len(detections):
        starts = range(0, len(detections), block)
        return np.concatenate(
            [
                oks(detections[i : i + block], candidates, stddev, sizes[i : i + block])
                for i in starts
            ]
        )
    area, visible = sizes.T[..., None, None]
    difference = detections[:, None, None] - candidates
    x, y = difference[..., 0], difference[..., 1]
    exponent = (x * x + y * y) / (-2 * (2 * stddev) ** 2 * (area + EPSILON))[..., None]
    # 0 where a node is missing, and far away, where most pairs of a crowd are.
    kernel = np.exp(exponent, out=np.zeros(exponent.shape), where=exponent > UNDERFLOW)
    return kernel.sum(axis=-1) / visible


def iou(detections: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes that include their corner pixels (hence the + 1).

    Args:
        detections: (k, 4) [xmin, ymin, xmax, ymax] px.
        candidates: (t, window, 4) px.

    Returns:
        (k, t, window) in [0, 1]; nan where a box is nan.
    """
    detections = detections[:, None, None]
    shared = intersections(detections, candidates, border=1)
    return shared / (areas(detections, border=1) + areas(candidates, border=1) - shared)


def euclidean_dist(
    detections: np.ndarray, candidates: np.ndarray, *, shared: bool = False
) -> np.ndarray:
    """Minus the distance between two features, all coordinates taken as one vector.

    Args:
        detections: (k, …) px.
        candidates: (t, window, …) px.
        shared: Where coordinates are missing, measure over those that both have, scaled up to the
            number of all coordinates (as scikit-learn's nan-Euclidean distance).

    Returns:
        (k, t, window) px, at most 0; nan where any coordinate of either is missing (`shared`: where
        they share none).
    """
    a, b = _vectors(detections, candidates)
    difference = a[:, None, None] - b
    squares = np.einsum("...i,...i", difference, difference)
    if shared and np.isnan(squares).any():
        count = (~np.isnan(difference)).sum(axis=-1)
        difference[np.isnan(difference)] = 0.0
        squares = (
            np.einsum("...i,...i", difference, difference)
            * a.shape[-1]
            / np.where(count, count, np.nan)
        )
    return -np.sqrt(squares)


def cosine_sim(
    detections: np.ndarray, candidates: np.ndarray, *, shared: bool = False
) -> np.ndarray:
    """Cosine of the angle between two features, all coordinates taken as one vector.

    Args:
        detections: (k, …) px from the image origin, or patches of the image.
        candidates: (t, window, …) likewise.
        shared: Where coordinates are missing, take the angle between those that both have.

    Returns:
        (k, t, window) in [-1, 1]; nan where all are 0 or any coordinate of either is missing
        (`shared`: where they share none).
    """
    a, b = _vectors(detections, candidates)
    if shared:
        a_there, b_there, a, b = ~np.isnan(a), ~np.isnan(b), np.nan_to_num(a), np.nan_to_num(b)
        norms = np.sqrt(_products(a * a, b_there) * _products(a_there, b * b))
    else:
        norms = np.sqrt(np.einsum("...i,...i", a, a))[:, None, None] * np.sqrt(
            np.einsum("...i,...i", b, b)
        )
    return _products(a, b) / np.where(norms > 0, norms, np.nan)


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the dot products of vectors (k, d) and (t, window, d), (k, t, window)."""
    return (a @ b.reshape(-1, b.shape[-1]).T).reshape(len(a), *b.shape[:2])


def _vectors(detections: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return detections.reshape(len(detections), -1), candidates.reshape(*candidates.shape[:2], -1)


def scoring(config: TrackerConfig) -> Callable[..., np.ndarray]:
    """Return the function that scores detections against candidates.

    The function for oks also accepts the `sizes` of the detections.
    """
    if config.scoring_method == "oks":
        default = (
            KALMAN_OKS_STDDEV
            if config.use_kalman and config.kf_track_features == "keypoints"
            else OKS_STDDEV
        )
        return partial(oks, stddev=default if config.oks_stddev is None else config.oks_stddev)
    if config.scoring_method == "iou":
        return iou
    measure = {"euclidean_dist": euclidean_dist, "cosine_sim": cosine_sim}[config.scoring_method]
    return partial(measure, shared=config.missing_nodes == "shared")


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over the last axis without nan; nan where all are nan."""
    there = scores == scores  # nan is unequal to itself
    count = there.sum(axis=-1)
    return scores.sum(axis=-1, where=there) / np.where(count, count, np.nan)


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
    """Return the function that reduces the scores of candidates to one per track.

    It takes (k, t, window) and returns (k, t).
    """
    if config.scoring_reduction == "robust_quantile":
        return partial(quantile, q=config.robust_best_instance)
    return {"mean": mean, "max": largest}[config.scoring_reduction]
