"""Signs of errors that need no ground truth: jumps, flips, stretched bones, doubles, and others.

Each says that something is unusual for this recording, not that it is wrong. Limits are relative to
what is usual in the recording, so that they hold at every image size and speed.
"""

import re
from typing import NamedTuple

import numpy as np

from sleap_lab.poses.record import Skeleton
from sleap_lab.quality.neighbours import Order, beside, of_frame_before

TIMES_USUAL = 4.0
"""A step is a jump where it is so many times the 95th percentile of all steps."""
LEAST_JUMP = 0.25
"""Smallest step that can be a jump, body lengths."""
LEAST_APART = 0.1
"""Smallest distance of a left and a right node that can be swapped, body lengths."""
SAME_PLACE = 0.15
"""Median distance of the shared nodes below which two poses lie on one animal, body lengths."""
STRETCHED = 1.5
"""A bone is stretched where it is so many times its median length, and beyond its spread."""
SPREADS = 6.0
"""Robust standard deviations that are not remarkable."""
DROP = 0.5
"""A confidence has dropped where it is below this share of its median, and beyond its spread."""
RIGHT_OF = {
    "left": "right",
    "Left": "Right",
    "LEFT": "RIGHT",
    "(?<![A-Z])L(?![a-z])": "R",
    "(?<![A-Za-z])l(?![A-Za-z])": "r",
}
"""How names of left nodes are written, and the right ones: a word, or a letter of its own."""
ROBUST = 1.4826
"""Standard deviation of a normal distribution in units of its median absolute deviation."""


class Found(NamedTuple):
    """Where a sign of errors is.

    Attributes:
        rows: (f,) row of the pose.
        nodes: (f,) index of the node, -1 for the whole pose.
        values: (f,) how far it is from usual; larger is worse.
    """

    rows: np.ndarray
    nodes: np.ndarray
    values: np.ndarray


def whole(rows: np.ndarray, values: np.ndarray) -> Found:
    """Return findings about whole poses."""
    return Found(rows, np.full(len(rows), -1), values)


def steps(order: Order, length: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how animals move from one processed frame to the next.

    Returns:
        (s,) rows that have a pose of the same animal in the frame before; (s,) the median step of
        the nodes of both, body lengths; (s, nodes) step of each node beyond that of the body, body
        lengths, nan where it is missing in one of the two.
    """
    rows = np.flatnonzero(order.before >= 0)
    points = order.poses.points
    moved = points[rows] - points[order.before[rows]]
    known = ~np.isnan(moved).all(axis=(1, 2))
    rows, moved = rows[known], moved[known]
    body = np.nanmedian(moved, axis=1, keepdims=True) if len(rows) else moved[:, :1]
    return (
        rows,
        np.linalg.norm(body[:, 0], axis=-1) / length,
        np.linalg.norm(moved - body, axis=-1) / length,
    )


def jumps(order: Order, length: float) -> Found:
    """Find animals, or single nodes of them, that move much farther than usual between two frames.

    The value is the step in body lengths.
    """
    rows, body, nodes = steps(order, length)
    if not len(rows):
        return whole(rows, body)
    far = np.flatnonzero(body > _limit(body))
    found = [whole(rows[far], body[far])]
    if nodes.shape[1] > 1:
        limits = np.array([_limit(column[~np.isnan(column)]) for column in nodes.T])
        place, node = np.nonzero(nodes > limits)
        found.append(Found(rows[place], node, nodes[place, node]))
    return Found(*map(np.concatenate, zip(*found, strict=True)))


def _limit(of_all: np.ndarray) -> float:
    usual = np.percentile(of_all, 95) if len(of_all) else 0.0
    return max(LEAST_JUMP, TIMES_USUAL * float(usual))


def flips(order: Order, length: float) -> Found:
    """Find left and right nodes that change places between two frames.

    Both are then nearer to where the other was, after the motion of the body is taken out. The
    node is the first of the pair, and the value how much nearer they are, body lengths.
    """
    rows = np.flatnonzero(order.before >= 0)
    points = order.poses.points
    now, then = points[rows], points[order.before[rows]]
    found = [whole(rows[:0], np.zeros(0))]
    for left, right in mirrored_nodes(order.poses.skeleton):
        here, there = now[:, [left, right]], then[:, [left, right]]
        middle = here.mean(axis=1, keepdims=True) - there.mean(axis=1, keepdims=True)
        kept = np.linalg.norm(here - there - middle, axis=-1).mean(axis=1)
        swapped = np.linalg.norm(here[:, ::-1] - there - middle, axis=-1).mean(axis=1)
        apart = np.linalg.norm(there[:, 0] - there[:, 1], axis=-1)
        flipped = np.flatnonzero((swapped < kept / 2) & (apart > LEAST_APART * length))
        values = (kept - swapped)[flipped] / length
        found.append(Found(rows[flipped], np.full(len(flipped), left), values))
    return Found(*map(np.concatenate, zip(*found, strict=True)))


def mirrored_nodes(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Return the pairs of left and right nodes: the symmetries, or else those that names tell."""
    if skeleton.symmetries:
        return tuple((min(pair), max(pair)) for pair in skeleton.symmetries)
    index = {node: i for i, node in enumerate(skeleton.nodes)}
    others = (
        (i, index[other])
        for node, i in index.items()
        for pattern, right in RIGHT_OF.items()
        if (other := re.sub(pattern, right, node)) != node and other in index
    )
    return tuple(sorted(set(others)))


def bone_lengths(order: Order) -> np.ndarray:
    """Return (n, edges) length of every bone, px; nan where one of its ends is missing."""
    ends = np.array(order.poses.skeleton.edges, dtype=np.intp).reshape(-1, 2)
    points = order.poses.points
    return np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=-1)


def bone_spread(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (edges,) median and (edges,) robust standard deviation of the bones, px; nan for none.

    The standard deviation is taken from the median absolute deviation.
    """
    median, spread = (np.full(lengths.shape[1], np.nan) for _ in range(2))
    for edge, column in enumerate(lengths.T):
        if len(known := column[~np.isnan(column)]):
            median[edge], spread[edge] = _usual(known)
    return median, spread


def _usual(values: np.ndarray) -> tuple[float, float]:
    """Return the median of (k,) values, and their robust standard deviation around it."""
    median = float(np.median(values))
    return median, ROBUST * float(np.median(np.abs(values - median)))


def stretched_bones(order: Order) -> Found:
    """Find bones that are much longer than usual; the node is the far end of the bone.

    The value is the length in units of its median.
    """
    lengths = bone_lengths(order)
    median, spread = bone_spread(lengths)
    rows, edges = np.nonzero(lengths > np.maximum(STRETCHED * median, median + SPREADS * spread))
    ends = np.array(order.poses.skeleton.edges, dtype=np.intp).reshape(-1, 2)
    return Found(rows, ends[edges, 1], lengths[rows, edges] / median[edges])


def doubles(order: Order, length: float) -> Found:
    """Find poses that lie on a better one of the same frame: one animal that was found twice.

    The median distance of the nodes that both have is below `SAME_PLACE` body lengths, and they
    share at least half the nodes of the smaller pose. The value is the share of the limit that is
    left.
    """
    rows, others = beside(order)
    poses = order.poses
    apart = np.linalg.norm(poses.points[rows] - poses.points[others], axis=-1)
    shared = (~np.isnan(apart)).sum(axis=1)
    count = poses.visible.sum(axis=1)
    enough = (shared > 0) & (2 * shared >= np.minimum(count[rows], count[others]))
    rows, others, apart = rows[enough], others[enough], apart[enough]
    distance = np.nanmedian(apart, axis=1) / length if len(rows) else np.zeros(0)
    same = np.flatnonzero(distance < SAME_PLACE)
    rows, others, distance = rows[same], others[same], distance[same]
    quality = np.where(poses.user, np.inf, np.nan_to_num(poses.instance_scores, nan=0.0))
    worse = np.where(quality[others] <= quality[rows], others, rows)
    worst, index = np.unique(worse, return_inverse=True)
    values = np.zeros(len(worst))
    np.maximum.at(values, index, 1 - distance / SAME_PLACE)
    return whole(worst, values)


def mixed_poses(order: Order, length: float) -> Found:
    """Find poses whose nodes lie on two animals of the frame before.

    A node belongs to the animal whose same node was nearest, where that is near and much nearer
    than the next. A pose is mixed where two animals each have a quarter of its nodes, and two at
    least. The value is the share of nodes that the second animal has.
    """
    rows, others = of_frame_before(order)
    known = order.animal[others] >= 0
    rows, others = rows[known], others[known]
    points = order.poses.points
    n, nodes = order.poses.visible.shape
    apart = np.linalg.norm(points[rows] - points[others], axis=-1) / length
    apart = np.where(np.isnan(apart), np.inf, apart)
    nearest, second = np.full((n, nodes), np.inf), np.full((n, nodes), np.inf)
    owner = np.full((n, nodes), -1)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    within = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    for turn in range(int(within.max(initial=-1)) + 1):
        at = within == turn
        row, distance = rows[at], apart[at]
        closer = distance < nearest[row]
        second[row] = np.where(closer, nearest[row], np.minimum(second[row], distance))
        owner[row] = np.where(closer, order.animal[others[at]][:, None], owner[row])
        nearest[row] = np.minimum(nearest[row], distance)
    owner[~((nearest < LEAST_JUMP) & (nearest < second / 2))] = -1
    return whole(*_second_owner(owner))


def _second_owner(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows with two owners of at least a quarter of the nodes each, and the second's share.

    Args:
        owner: (n, nodes) animal of each node, -1 for none.
    """
    voted = np.sort(owner, axis=1)
    rows, votes = np.nonzero(voted >= 0)
    keys = np.stack([rows, voted[rows, votes]], axis=1)
    pairs, counts = np.unique(keys, axis=0, return_counts=True)
    total = np.bincount(rows, minlength=len(owner))
    strong = (counts >= 2) & (4 * counts >= total[pairs[:, 0]]) if len(pairs) else counts > 0
    row, count = pairs[strong, 0], counts[strong]
    found, times = np.unique(row, return_counts=True)
    found = found[times > 1]
    least = np.full(len(owner), np.iinfo(np.intp).max)
    np.minimum.at(least, row, count)
    return found, least[found] / np.maximum(total[found], 1)


def confidence_drops(order: Order) -> Found:
    """Find nodes whose confidence is far below the usual one; the value is the missing share."""
    visible, scores = order.poses.visible, order.poses.point_scores
    limits, medians = (np.full(scores.shape[1], np.nan) for _ in range(2))
    for node in range(scores.shape[1]):
        known = scores[visible[:, node] & ~np.isnan(scores[:, node]), node]
        if len(known):
            medians[node], spread = _usual(known)
            limits[node] = min(DROP * medians[node], medians[node] - SPREADS * spread)
    rows, nodes = np.nonzero(visible & (scores < limits))
    return Found(rows, nodes, 1 - scores[rows, nodes] / medians[nodes])


def gaps(order: Order) -> Found:
    """Find animals that come back after frames without them; the value is the number of frames."""
    by_animal = np.lexsort((order.place, order.animal))
    here, there = by_animal[1:], by_animal[:-1]
    missing = order.place[here] - order.place[there] - 1
    back = (order.animal[here] == order.animal[there]) & (order.animal[here] >= 0) & (missing > 0)
    return whole(here[back], missing[back].astype(float))
