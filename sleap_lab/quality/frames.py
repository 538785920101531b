"""How unusual each frame of a recording looks: the signs of errors, added up per frame."""

import numpy as np

from sleap_lab.quality import signs
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.kinds import KINDS, OPINIONS

COUNTED = tuple(kind for kind in KINDS if kind not in OPINIONS)
"""Kinds that are always looked for; the others depend on whether a second tracker was asked."""


def frame_signs(quality: Quality) -> dict[str, np.ndarray]:
    """Return (frames,) numbers that are larger where a frame looks worse, by name.

    Beside the counts of findings these are how far the number of poses is from the expected one,
    the share of nodes that were not found, the confidence that is missing in the frame and in its
    worst pose, and the largest step and the most unusual bone. What a frame cannot tell is 0, as
    in a frame that shows nothing unusual.
    """
    order, n = quality.order, len(quality.order.places)
    place, poses = order.place, order.poses
    counts = np.diff(order.start)
    expected = np.array([quality.expected[video] for video in order.places[:, 0].tolist()])
    hidden = 1 - poses.visible.mean(axis=1)
    confidence = _mean(poses.point_scores)
    rows, body, _ = signs.steps(order, quality.length)
    lengths = signs.bone_lengths(order)
    median, _ = signs.bone_spread(lengths)
    with np.errstate(divide="ignore", invalid="ignore"):
        unusual = np.abs(np.log(lengths / median))
    unusual = np.where(np.isfinite(unusual), unusual, 0.0)
    return {
        "animals": np.abs(counts - expected).astype(float),
        "hidden": _largest(place, hidden, n),
        "confidence": _largest(place, 1 - confidence, n),
        "step": _largest(place[rows], body, n),
        "bone": _largest(place, unusual.max(axis=1, initial=0.0), n),
        **{
            kind: np.bincount(place[quality.found[kind].rows], minlength=n).astype(float)
            for kind in COUNTED
        },
    }


def _mean(values: np.ndarray) -> np.ndarray:
    """Return (n,) mean of the values of each row; nan where it has none."""
    known = ~np.isnan(values)
    number = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)


def _largest(place: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Return (n,) the largest value at each place, at least 0; nan counts as 0."""
    found = np.full(n, -np.inf)
    np.maximum.at(found, place, np.nan_to_num(values, nan=-np.inf, posinf=0.0))
    return np.where(np.isfinite(found), found, 0.0)
