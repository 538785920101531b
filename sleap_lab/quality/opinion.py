"""A second opinion on identities: what tracking with the whole video at hand says of the tracks."""

from collections.abc import Callable

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.quality.neighbours import Order
from sleap_lab.quality.signs import Found, whole

SURE = 0.95
"""A link that the second tracker gives at least this probability is no doubt."""
MAX_SURE = 0.99
"""No opinion is surer than that."""
FAINT = 0.01
"""A doubt below this probability is none."""


Identify = Callable[[Poses, int | None], tuple[np.ndarray, np.ndarray]]
"""Says which animal each pose of a video is, (n,), and the probability of its link, (n,)."""


def second_opinion(order: Order, animals: int | None, identify: Identify) -> tuple[Found, Found]:
    """Track the poses again, and compare.

    That both trackers chose a link makes it surer, unless both are the same one. How different they
    are shows where they decide otherwise: of all switches that the second tracker sees or holds
    possible, that part is decided, and doubts count by the rest.

    Args:
        order: The poses; those of videos with fewer than two tracks are left out.
        animals: Number of animals in a frame; None to estimate it.
        identify: The second tracker; takes the poses of a video and the number of animals.

    Returns:
        Poses at which an animal of the second tracker goes on in another track than before, with
        the probability that the second tracker is right; and poses whose link it is not sure of
        itself, with the probability that it is wrong though both chose it.
    """
    other, sure = np.full(len(order.poses), -1), np.full(len(order.poses), np.nan)
    last = 0
    judged = (order.animal >= 0) & order.poses.visible.any(axis=1)
    for video in np.unique(order.poses.video[judged]).tolist():
        rows = np.flatnonzero(judged & (order.poses.video == video))
        if (order.animal[rows] == order.animal[rows[0]]).all():
            continue  # there is nobody that it could be instead
        part = order.poses[rows].of_video(video)
        ids, sure[rows] = identify(part, animals)
        other[rows] = np.where(ids >= 0, ids + last, -1)
        last += int(ids.max(initial=-1)) + 1
    known = np.flatnonzero(other >= 0)
    path = known[np.lexsort((order.place[known], other[known]))]
    here, there = path[1:], path[:-1]
    changed = (other[here] == other[there]) & (order.animal[here] != order.animal[there])
    swaps = np.sort(here[changed])
    decided = np.minimum(np.nan_to_num(sure[swaps], nan=SURE), MAX_SURE)
    doubts = np.flatnonzero(sure < SURE)
    chance = 1 - sure[doubts]
    chance *= chance.sum() / max(chance.sum() + decided.sum(), FAINT)
    seen = chance >= FAINT
    return whole(swaps, decided), whole(doubts[seen], chance[seen])
