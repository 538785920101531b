"""Object keypoint similarity: the similarity of two poses, from 0 to 1."""

import numpy as np
from numpy.typing import ArrayLike

from sleap_lab.poses.boxes import areas, bounding_boxes

# Keeps the kernel finite for boxes without area.
EPSILON = float(np.finfo(np.float64).eps)
# Poses whose box is smaller than this (px²) have no scale of their own and are compared by
# plain distance ...
POINT_AREA = 1e-9
# ... whose similarity is 0 from this many px on.
POINT_REACH = 50.0


def oks(
    truth: np.ndarray,
    poses: np.ndarray,
    *,
    stddev: ArrayLike = 0.025,
    scale: ArrayLike | None = None,
) -> np.ndarray:
    """Compare every true pose with every predicted pose (OKS).

    The formula is COCO's, with 2·stddev as the constant of each node and the area as s².

    A node that is missing in the prediction scores 0; one that is missing in the truth is not
    counted. A true pose without extent (one visible node, or all on one axis) has no scale: it
    scores max(0, 1 - d / 50 px), where d is the mean distance over the nodes visible in both, as
    sleap-nn does.

    Args:
        truth: (g, nodes, 2) px, image space; nan where a node is not labelled.
        poses: (p, nodes, 2) px, image space; nan where a node was not found.
        stddev: Spread of the kernel, one number or (nodes,).
        scale: Area of the objects in px², one number or (g,); by default that of the box around
            each true pose.

    Returns:
        (g, p) similarities; nan for a true pose without visible nodes.
    """
    scale = None if scale is None else np.expand_dims(scale, -1)
    return oks_of_pairs(truth[:, None], poses[None], stddev=stddev, scale=scale)


def oks_of_pairs(
    truth: np.ndarray,
    poses: np.ndarray,
    *,
    stddev: ArrayLike = 0.025,
    scale: ArrayLike | None = None,
) -> np.ndarray:
    """Return the similarities (...) of true poses and the predicted poses paired with them.

    Both are (..., nodes, 2); see `oks`.
    """
    squared = np.square(truth - poses).sum(axis=-1)
    extent = areas(bounding_boxes(truth))
    scales = np.broadcast_to(
        extent if scale is None else np.asarray(scale, dtype=np.float64), extent.shape
    )
    kernel = np.exp(-squared / ((2 * np.asarray(stddev)) ** 2 * 2 * (scales[..., None] + EPSILON)))
    visible = ~np.isnan(truth).any(axis=-1)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the nan of a true pose without visible nodes
        similarity = np.nan_to_num(kernel).sum(axis=-1) / visible.sum(axis=-1)
    shapeless = np.broadcast_to(extent < POINT_AREA, similarity.shape)
    if shapeless.any():
        similarity[shapeless] = _point_similarity(squared[shapeless])
    return similarity


def _point_similarity(squared: np.ndarray) -> np.ndarray:
    """Return similarities without a scale, from (..., nodes) squared distances.

    They are 0 where no node is visible in both poses.
    """
    in_both = (~np.isnan(squared)).sum(axis=-1)
    mean = np.sqrt(np.nan_to_num(squared)).sum(axis=-1) / np.maximum(in_both, 1)
    return np.where(in_both > 0, np.maximum(0, 1 - mean / POINT_REACH), 0)
