"""A second opinion on identities: what tracking with the whole video at hand says of the tracks."""

import numpy as np

from sleap_lab.quality.neighbours import Order
from sleap_lab.quality.proxies import Found, whole
from sleap_lab.tracking.offline import identify

SURE = 0.95
"""A link that the second tracker gives at least this probability is no doubt."""


def second_opinion(order: Order, animals: int | None) -> tuple[Found, Found]:
    """Track the poses again, with `tracker=global`, and compare.

    Args:
        order: The poses; those of videos without tracks are left out.
        animals: Number of animals in a frame; None to estimate it.

    Returns:
        Poses at which an animal of the second tracker goes on in another track than before; and
        poses whose link the second tracker itself is not sure of, with its doubt, 1 - probability.
    """
    other, sure = np.full(len(order.poses), -1), np.full(len(order.poses), np.nan)
    last = 0
    for video in np.unique(order.poses.video[order.animal >= 0]).tolist():
        rows = np.flatnonzero(
            (order.poses.video == video) & order.poses.visible.any(axis=1) & (order.animal >= 0)
        )
        part = order.poses[rows].of_video(video)
        ids, sure[rows] = identify(part, animals)
        other[rows] = np.where(ids >= 0, ids + last, -1)
        last += int(ids.max(initial=-1)) + 1
    known = np.flatnonzero(other >= 0)
    path = known[np.lexsort((order.place[known], other[known]))]
    here, there = path[1:], path[:-1]
    changed = (other[here] == other[there]) & (order.animal[here] != order.animal[there])
    swaps = np.sort(here[changed])
    doubts = np.flatnonzero(sure < SURE)
    return whole(swaps, np.ones(len(swaps))), whole(doubts, 1 - sure[doubts])
