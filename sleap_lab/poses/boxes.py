"""Bounding boxes of poses: [xmin, ymin, xmax, ymax] in px, nan for a pose without a visible node.

A box is measured from corner to corner; with `border=1` the pixels under its corners belong to it.
"""

import numpy as np


def bounding_boxes(points: np.ndarray) -> np.ndarray:
    """Return the bounding boxes of the visible nodes.

    Args:
        points: (..., nodes, 2) px, image space; nan where a node was not found.

    Returns:
        (..., 4) boxes.
    """
    return np.concatenate(
        [np.fmin.reduce(points, axis=-2), np.fmax.reduce(points, axis=-2)], axis=-1
    )


def body_sizes(points: np.ndarray) -> np.ndarray:
    """Return the longer side of the box around each pose, (n,) px.

    It is nan without a visible node, 0 with a single one.

    Args:
        points: (n, nodes, 2) px, image space; nan where a node was not found.
    """
    boxes = bounding_boxes(points)
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def areas(boxes: np.ndarray, border: int = 0) -> np.ndarray:
    """Return the areas of (..., 4) boxes, (...) px²."""
    return (boxes[..., 2] - boxes[..., 0] + border) * (boxes[..., 3] - boxes[..., 1] + border)


def intersections(a: np.ndarray, b: np.ndarray, border: int = 0) -> np.ndarray:
    """Return the shared areas of boxes, px²; the leading axes of the (..., 4) arrays broadcast."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    size = np.maximum(high - low + border, 0)
    return size[..., 0] * size[..., 1]
