"""Before and after tracking: drop surplus instances of a frame, and join tracks at breaks."""

from collections.abc import Sequence

import numpy as np

from sleap_lab.poses.boxes import areas, bounding_boxes, intersections
from sleap_lab.poses.suppression import unsuppressed


def cull(points: np.ndarray, scores: np.ndarray, target: int, iou_threshold: float) -> np.ndarray:
    """Choose which instances of one frame stay, so that at most `target` are left.

    Args:
        points: (n, nodes, 2) px, image space; nan where a node was not found.
        scores: (n,) instance scores; among equals the later instance is preferred.
        target: Largest number of instances.
        iou_threshold: If not 0, instances that a better one covers by more than this share of their
            own box are dropped first.

    Returns:
        (n,) bool, true for those that stay.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    if len(order) > target and iou_threshold:
        boxes = bounding_boxes(points[order])
        covered = (
            intersections(boxes[:, None], boxes, border=1) / areas(boxes, border=1) > iou_threshold
        )
        free = unsuppressed(covered)
        order = np.concatenate([order[free], order[~free]])
    keep = np.zeros(len(points), dtype=bool)
    keep[order[:target]] = True
    return keep


def connect_single_breaks(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Continue a lost track where exactly one is lost and exactly one is new.

    Args:
        frames: For each frame in order the tracks of its instances, (n,) int; "no track" (-1)
            counts as one track.

    Returns:
        The tracks after joining, in the shape of `frames`.
    """
    joined: list[np.ndarray] = []
    renamed: dict[int, int] = {}
    expected = set(frames[0].tolist()) if frames else set()
    for before in frames:
        tracks = before.tolist()
        for i, track in enumerate(tracks):
            if track in renamed and renamed[track] not in tracks:
                tracks[i] = renamed[track]
        new, lost = set(tracks) - expected, expected - set(tracks)
        if len(new) == len(lost) == 1:
            renamed[min(new)] = min(lost)
            tracks[tracks.index(min(new))] = min(lost)
        elif len(set(tracks)) >= len(expected):
            expected = set(tracks)
        joined.append(np.array(tracks, dtype=before.dtype))
    return joined
