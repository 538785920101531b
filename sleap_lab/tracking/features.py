"""Features of a pose that are compared between frames."""

from collections.abc import Callable

import numpy as np

from sleap_lab.poses.boxes import bounding_boxes


def keypoints(points: np.ndarray) -> np.ndarray:
    """Return the pose itself, (..., nodes, 2) px."""
    return points


def centroids(points: np.ndarray) -> np.ndarray:
    """Return the median of the visible nodes, each axis for itself.

    Args:
        points: (..., nodes, 2) px, image space; nan where a node was not found.

    Returns:
        (..., 2) px; nan where no node was found.
    """
    # np.nanmedian is slow on small arrays and warns about poses without a visible node. Here nan
    # sorts to the end.
    ordered = np.sort(points, axis=-2)
    last = np.maximum((~np.isnan(points)).sum(axis=-2, keepdims=True) - 1, 0)
    middle = np.take_along_axis(ordered, last // 2, axis=-2) + np.take_along_axis(
        ordered, (last + 1) // 2, axis=-2
    )
    return middle[..., 0, :] / 2


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "keypoints": keypoints,
    "centroids": centroids,
    "bboxes": bounding_boxes,
}
