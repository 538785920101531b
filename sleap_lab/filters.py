"""Filters between prediction and tracking: drop poor or overlapping predicted instances."""

import numpy as np

from sleap_lab.poses.boxes import areas, bounding_boxes, intersections
from sleap_lab.poses.record import Poses
from sleap_lab.poses.suppression import unsuppressed
from sleap_lab.settings.config import FiltersConfig

OVERLAP_OKS_STDDEV = 0.1  # spread of the overlap OKS; not a setting in SLEAP either
USER_SCORE = 1.0  # score of a user-labelled instance among predicted ones


def apply_filters(poses: Poses, config: FiltersConfig, *, track_only: bool = False) -> Poses:
    """Drop instances as the filter settings ask; the processed frames stay as they are.

    Node counts and scores concern predicted instances only. Overlap concerns all instances; a
    user-labelled instance counts with score 1. When overlaps are filtered, the instances of each
    frame come out by descending score, the later one first among equals; otherwise the order is
    kept.

    Args:
        poses: Instances to filter.
        config: Thresholds; a threshold of 0 is off.
        track_only: Filter overlaps first, as for existing predictions. By default overlaps are
            filtered last, among new predictions that pass the other thresholds.
    """
    return poses[kept(poses, config, track_only=track_only)]


def kept(poses: Poses, config: FiltersConfig, *, track_only: bool = False) -> np.ndarray:
    """Return the rows (m,) of the instances that `apply_filters` leaves, in their order."""
    if track_only:
        rows = _apart(poses, config)
        return rows[_good_enough(poses[rows], config)]
    rows = _good_enough(poses, config)
    return rows[_apart(poses[rows], config)]


def _good_enough(poses: Poses, config: FiltersConfig) -> np.ndarray:
    """Return the rows of instances that pass the thresholds by themselves."""
    visible = poses.visible
    count = visible.sum(axis=1)
    keep = count >= config.filter_min_visible_nodes
    keep &= count >= config.filter_min_visible_node_fraction * visible.shape[1]
    if config.filter_min_mean_node_score > 0:
        total = np.where(visible, poses.point_scores, 0.0).sum(axis=1)
        keep &= total / np.maximum(count, 1) >= config.filter_min_mean_node_score
    if config.filter_min_instance_score > 0:
        keep &= poses.instance_scores >= config.filter_min_instance_score
    return np.flatnonzero(keep | poses.user)


def _apart(poses: Poses, config: FiltersConfig) -> np.ndarray:
    """Return the rows of instances that do not overlap a better one."""
    if not config.filter_overlapping:
        return np.arange(len(poses))
    similarity = {"iou": box_iou, "oks": overlap_oks}[config.filter_overlapping_method]
    scores = np.where(poses.user, USER_SCORE, poses.instance_scores)
    stay = [np.zeros(0, dtype=np.intp)]
    for _, _, rows in poses.by_frame():
        rows = rows[np.argsort(scores[rows], kind="stable")[::-1]]
        too_close = similarity(poses.points[rows]) > config.filter_overlapping_threshold
        stay.append(rows[unsuppressed(too_close)])
    return np.concatenate(stay)


def box_iou(points: np.ndarray) -> np.ndarray:
    """Intersection over union of the bounding boxes of all pairs of poses.

    Args:
        points: (n, nodes, 2) px, image space; nan where a node was not found.

    Returns:
        (n, n) in [0, 1]; 0 where the union has no area or a pose has no visible node.
    """
    boxes = bounding_boxes(points)
    shared, area = intersections(boxes[:, None], boxes), areas(boxes)
    union = area[:, None] + area - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def overlap_oks(points: np.ndarray) -> np.ndarray:
    """OKS of all pairs of poses over the nodes visible in both.

    mean over nodes of exp(-d² / (2 · area · 0.1²)), as sleap-nn's `track` command does, with the
    area of the first pose's bounding box.

    Args:
        points: (n, nodes, 2) px, image space; nan where a node was not found.

    Returns:
        (n, n) in [0, 1]; 0 where the first pose's box has no area or no node is visible in both.
    """
    area = np.nan_to_num(areas(bounding_boxes(points)))[:, None]
    squared = ((points[:, None] - points) ** 2).sum(axis=-1)
    shared = ~np.isnan(squared)
    scale = 2 * np.where(area > 0, area, 1.0) * OVERLAP_OKS_STDDEV**2
    kernel = np.where(shared, np.exp(-squared / scale[..., None]), 0.0)
    return np.where(area > 0, kernel.sum(axis=-1) / np.maximum(shared.sum(axis=-1), 1), 0.0)
