"""The kinds of signs of errors: one row for all that is to be known of each."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sleap_lab.quality import signs
from sleap_lab.quality.neighbours import Order
from sleap_lab.quality.signs import Found


def _always(_: Order) -> bool:
    return True


def _tracked(order: Order) -> bool:
    return bool((order.animal >= 0).any())


def _tracked_with_pairs(order: Order) -> bool:
    return _tracked(order) and bool(signs.mirrored_nodes(order.poses.skeleton))


def _every(order: Order) -> np.ndarray:
    return np.ones(len(order.poses), dtype=bool)


def _followed(order: Order) -> np.ndarray:
    return order.before >= 0


def _followed_with_pairs(order: Order) -> np.ndarray:
    return _followed(order) & bool(signs.mirrored_nodes(order.poses.skeleton))


def _with_bones(order: Order) -> np.ndarray:
    median, _ = signs.bone_spread(signs.bone_lengths(order))
    return _every(order) & bool((median > 0).any())


class Kind(NamedTuple):
    """One kind of signs.

    Attributes:
        find: Finds them, given the poses and the body length, px; None for those of the second
            tracker (`opinion.py`), which concern identities.
        meaning: What one is, as the end of a sentence about a pose.
        words: What one says about an animal, or about the node that is named before; `value` is how
            far it is from usual.
        chance: Chance that one is an error; None where it is the value of the finding.
        needs: Whether what they are looked for in is there.
        metric: Key of the metric that counts the poses with such a sign, per 1,000; empty for none.
        among: (n,) bool, the poses that metric is about.
    """

    find: Callable[[Order, float], Found] | None
    meaning: str
    words: str
    chance: float | None
    needs: Callable[[Order], bool] = _always
    metric: str = ""
    among: Callable[[Order], np.ndarray] = _every


KINDS = {
    "jump": Kind(
        signs.jumps,
        "moves much farther than usual in one frame",
        "moves {value:.1f} body lengths in one frame",
        chance=0.1,
        needs=_tracked,
        metric="jumps_per_1000",
        among=_followed,
    ),
    "flip": Kind(
        signs.flips,
        "left and right change places",
        "changes places with its mirror image",
        chance=0.2,
        needs=_tracked_with_pairs,
        metric="flips_per_1000",
        among=_followed_with_pairs,
    ),
    "stretched": Kind(
        lambda order, _: signs.stretched_bones(order),
        "a bone is much longer than usual",
        "is at the end of a bone of {value:.1f} times the usual length",
        chance=0.05,
        metric="stretched_per_1000",
        among=_with_bones,
    ),
    "double": Kind(
        signs.doubles,
        "lies on another pose",
        "lies on another pose",
        chance=0.1,
        metric="doubles_per_1000",
    ),
    "mixed": Kind(
        signs.mixed_poses,
        "has nodes of two animals",
        "has nodes of two animals",
        chance=0.2,
        metric="mixed_per_1000",
    ),
    "drop": Kind(
        lambda order, _: signs.confidence_drops(order),
        "a node is much less confident than usual",
        "has {value:.0%} less confidence than usual",
        chance=0.01,
        metric="drops_per_1000",
    ),
    "gap": Kind(
        lambda order, _: signs.gaps(order),
        "comes back after frames without it",
        "comes back after {value:.0f} frames",
        chance=0.05,
        needs=_tracked,
    ),
    "swap": Kind(
        None,
        "is in another track than before, if tracked again",
        "is in another track than before, if tracked again ({value:.0%})",
        chance=None,
    ),
    "doubt": Kind(
        None,
        "could be another animal, if tracked again",
        "could be another animal ({value:.0%})",
        chance=None,
    ),
}
"""By name, in the order in which they are listed."""
OPINIONS = tuple(name for name, kind in KINDS.items() if kind.find is None)
"""Kinds about identities. They concern several animals of a moment at once: of what is wrong the
strongest of them tells, and each is an identity switch by its chance."""
