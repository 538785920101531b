"""The centroid of a labelled instance: the point that stands for the whole animal."""

import numpy as np

METHODS = ("anchor", "center_of_mass", "bbox_center", "geometric_median")
WEISZFELD_STEPS = 100
"""Steps after which a geometric median is taken as it is."""
WEISZFELD_TOLERANCE = 1e-6
"""Length of a step after which no other is made, px."""


def instance_centroids(
    points: np.ndarray,
    *,
    method: str = "center_of_mass",
    anchor: int | None = None,
    fallback: str = "center_of_mass",
) -> np.ndarray:
    """Return one point per instance.

    Args:
        points: (n, nodes, 2) px; nan where a node is not visible.
        method: `anchor` (one node), `center_of_mass` (mean of the visible nodes), `bbox_center`, or
            `geometric_median`.
        anchor: Index of the node for `anchor`; without one the fallback is used throughout.
        fallback: Method for instances whose anchor is missing.

    Returns:
        (n, 2) px; nan for instances without a visible node.

    Raises:
        ValueError: There is no such method.
    """
    if method == "anchor":
        centroids = instance_centroids(points, method=fallback)
        if anchor is not None:
            seen = ~np.isnan(points[:, anchor]).any(axis=-1)
            centroids[seen] = points[seen, anchor]
        return centroids
    visible = ~np.isnan(points).all(axis=1).any(axis=-1)
    centroids = np.full((len(points), 2), np.nan)
    if method == "center_of_mass":
        centroids[visible] = np.nanmean(points[visible], axis=1)
    elif method == "bbox_center":
        centroids[visible] = (
            np.nanmin(points[visible], axis=1) + np.nanmax(points[visible], axis=1)
        ) / 2
    elif method == "geometric_median":
        for row in np.flatnonzero(visible):
            centroids[row] = geometric_median(points[row][~np.isnan(points[row]).any(axis=-1)])
    else:
        raise ValueError(f"method={method!r}; accepted: {', '.join(METHODS)}")
    return centroids


def geometric_median(points: np.ndarray) -> np.ndarray:
    """Return the point with the smallest total distance to a set of points.

    Weiszfeld's algorithm, started at the mean.

    Args:
        points: (k, 2) px.

    Returns:
        (2,) px; nan if there are no points.
    """
    if not len(points):
        return np.full(2, np.nan)
    median = points.mean(axis=0)
    for _ in range(WEISZFELD_STEPS):
        distance = np.linalg.norm(points - median, axis=1)
        apart = distance > np.finfo(np.float64).eps
        if not apart.any():
            break
        weights = 1 / distance[apart]
        moved = (points[apart] * weights[:, None]).sum(axis=0) / weights.sum()
        shift = np.linalg.norm(moved - median)
        median = moved
        if shift < WEISZFELD_TOLERANCE:
            break
    return median
