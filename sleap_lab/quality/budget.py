"""How many identity switches remain after some moments were looked at."""

from collections.abc import Iterable

import numpy as np
from scipy.stats import poisson

from sleap_lab.quality.assess import Quality
from sleap_lab.quality.suspects import OPINIONS, REACH, Suspect

CONFIDENCE = 0.95


def within_budget(moments: list[Suspect], frames: int, share: float) -> list[Suspect]:
    """Return the first moments of a list, one for each frame that may be looked at.

    Args:
        moments: The moments, the most doubtful first.
        frames: Number of processed frames.
        share: Share of them that may be looked at, 0 to 1; at least one is.
    """
    return moments[: max(1, int(np.ceil(share * frames)))] if share > 0 else []


def most_switches_left(quality: Quality, looked_at: Iterable[Suspect]) -> int:
    """Return the number of identity switches that at most remain, with 95 % confidence.

    The switches that the second tracker sees outside these moments, and those that it holds
    possible, each with its probability, are taken as independent; their number is then at most
    Poisson distributed with the sum as its mean (Le Cam 1960). Switches that leave no sign at all
    do not count.

    Args:
        quality: The findings, with those of a second tracker.
        looked_at: Moments at which a person has corrected what was wrong.
    """
    order = quality.order
    rows = np.concatenate([quality.found[kind].rows for kind in OPINIONS])
    chance = np.concatenate([quality.found[kind].values for kind in OPINIONS])
    place = order.place[rows]
    left = np.ones(len(rows), dtype=bool)
    for moment in looked_at:
        centre = np.flatnonzero((order.places == (moment.video, moment.frame)).all(axis=1))[0]
        same = order.places[place, 0] == moment.video
        left &= ~(same & (np.abs(place - centre) <= REACH))
    return int(poisson.ppf(CONFIDENCE, chance[left].sum())) if left.any() else 0


def promise_of(quality: Quality, looked_at: list[Suspect]) -> str:
    """Say how many switches at most remain after these moments, or why that cannot be said."""
    frames, animals = len(quality.order.places), np.unique(quality.order.animal)
    if np.count_nonzero(animals >= 0) < 2:
        return "no promise about identities: fewer than two animals have tracks"
    most = most_switches_left(quality, looked_at)
    untracked = np.count_nonzero(quality.order.animal < 0)
    left_out = f"; {untracked:,} poses without a track are not judged" if untracked else ""
    return (
        f"after these {len(looked_at)} moments in {frames:,} frames were corrected, at most {most} "
        f"identity switches remain, with {CONFIDENCE:.0%} confidence{left_out}"
    )
