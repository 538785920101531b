"""Similarity of detections and candidates, for all pairs at once, and its reduction per track.

Shapes: detections are (k, …), the candidates of all tracks (t, window, …), scores (k, t, window).
Higher means more alike; nan means that the two cannot be compared.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.poses.boxes import areas, bounding_boxes, intersections
from sleap_lab.settings.check_tracker import ABSENCE
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.features import centroids

EPSILON = float(np.spacing(1))  # keeps the OKS of a pose without area defined
OKS_STDDEV = 0.025
UNDERFLOW = -746.0  # exp is 0 from here on, and slow
PREDICTED_OKS_STDDEV = 0.1  # where it is predicted how each pose moves on, or each of its nodes
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


def node_distances(detections: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the median distance of the nodes that two poses share.

    Where they share none it is the distance of their centroids.

    Args:
        detections: (k, nodes, 2) px, image space; nan where a node was not found.
        others: (t, nodes, 2) px, likewise.

    Returns:
        (k, t) px; nan where a pose has no visible node.
    """
    difference = detections[:, None] - others
    ordered = np.sort(np.sqrt(np.einsum("...i,...i", difference, difference)), axis=-1)
    count = (ordered == ordered).sum(axis=-1, keepdims=True)  # nan is unequal to itself
    last = np.maximum(count - 1, 0)
    middle = np.take_along_axis(ordered, last // 2, axis=-1) + np.take_along_axis(
        ordered, (last + 1) // 2, axis=-1
    )
    distances = middle[..., 0] / 2
    if not count.all():
        between = np.linalg.norm(centroids(detections)[:, None] - centroids(others), axis=-1)
        distances = np.where(count[..., 0], distances, between)
    return distances


def _spread(config: TrackerConfig) -> dict[str, Any]:
    """Return the spread of the OKS that the settings give, or that of the tracker."""
    predicted = config.method in ABSENCE or (
        config.use_kalman and config.kf_track_features == "keypoints"
    )
    default = PREDICTED_OKS_STDDEV if predicted else OKS_STDDEV
    return {"stddev": default if config.oks_stddev is None else config.oks_stddev}


def _missing_nodes(config: TrackerConfig) -> dict[str, Any]:
    return {"shared": config.missing_nodes == "shared"}


class Measure(NamedTuple):
    """How one value of `tracker.scoring_method` scores.

    Attributes:
        score: From detections and candidates to scores.
        options: What `score` takes from the settings, by argument.
        sized: Whether `score` takes the `sizes` of the detections.
        worth: The score that weighs as much as a body length of distance, where distances decide.
    """

    score: Callable[..., np.ndarray]
    options: Callable[[TrackerConfig], dict[str, Any]] = lambda _: {}
    sized: bool = False
    worth: float = 1e-7  # only breaks ties


# Far from the last pose an OKS or IoU of a few hundredths is that of nodes that come near by
# chance. Distances and cosines are never that alike.
MEASURES = {
    "oks": Measure(oks, _spread, sized=True, worth=0.1),
    "iou": Measure(iou, worth=0.1),
    "euclidean_dist": Measure(euclidean_dist, _missing_nodes),
    "cosine_sim": Measure(cosine_sim, _missing_nodes),
}
"""By the names of `settings/similarities.py`."""


def scoring(config: TrackerConfig, sizes: np.ndarray) -> Callable[..., np.ndarray]:
    """Return the function that scores detections against candidates.

    Args:
        config: Tracker settings, checked.
        sizes: (n, 2) `pose_sizes` of all instances.

    Returns:
        A function of the (k,) rows of detections, their features and those of candidates.
    """
    measure = MEASURES[config.scoring_method]
    score = partial(measure.score, **measure.options(config))
    if measure.sized:
        return lambda rows, detections, candidates: score(
            detections, candidates, sizes=sizes.take(rows, axis=0)
        )
    return lambda _, detections, candidates: score(detections, candidates)


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
