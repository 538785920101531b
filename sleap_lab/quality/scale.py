"""What is usual in a recording: the length of an animal, and how many animals there are."""

import numpy as np

from sleap_lab.poses.boxes import body_sizes
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.quality.neighbours import Order, beside

SPREAD_OF_ANIMALS = 3
"""Body lengths between an animal and its nearest neighbour, where poses have no extent."""


def body_length(order: Order) -> float:
    """Return the length of an animal, px: the median of the longer side of the boxes.

    Poses of a single node have no extent. A third of the median distance to the nearest other
    animal stands in for it; nan where animals are alone.
    """
    poses = order.poses
    sizes = body_sizes(poses.points)
    if (sizes > 0).any():
        return float(np.median(sizes[sizes > 0]))
    centres = instance_centroids(poses.points)
    rows, others = beside(order)
    nearest = np.full(len(poses), np.inf)
    apart = np.linalg.norm(centres[rows] - centres[others], axis=-1)
    for side in (rows, others):
        np.fmin.at(nearest, side, apart)
    nearest = nearest[np.isfinite(nearest) & (nearest > 0)]
    return float(np.median(nearest)) / SPREAD_OF_ANIMALS if len(nearest) else float("nan")


def expected_animals(counts: np.ndarray) -> int:
    """Return the number of animals that most frames hold, among frames that hold any.

    Args:
        counts: (frames,) poses of every frame.
    """
    found = counts[counts > 0]
    return int(np.bincount(found).argmax()) if len(found) else 0
