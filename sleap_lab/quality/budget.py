"""How many identity switches remain after some moments were looked at."""

from typing import NamedTuple

import numpy as np
from scipy.stats import nbinom

from sleap_lab.errors import counted
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.kinds import OPINIONS
from sleap_lab.quality.suspects import REACH, Suspect

CONFIDENCE = 0.95
SHAPE, RATE = 2.0, 2.0
"""Gamma distribution of the switches per expected one in recordings of all kinds: mean 1.

In scenes with a known truth it was 0.6 on average; see docs/quality.md.
"""
AT_ONCE = 2.0
"""Switches that come together: two animals that are exchanged count twice, and say one thing."""
BESIDE = 0.1
"""Chance that a switch lies beyond a look whose last frame has its sign.

In scenes with a known truth 16% of switches are a frame or more beside their sign, half of them on
the one side.
"""


class Proofread(NamedTuple):
    """Frames in which a person has checked who is who.

    Attributes:
        checked: (frames,) bool, which of all positions.
        switches: (s,) positions of the identity switches that were there.
    """

    checked: np.ndarray
    switches: np.ndarray


class Promise(NamedTuple):
    """What to look at, and what remains then.

    Attributes:
        moments: The moments to look at, the most doubtful first.
        most: Number of switches that at most remain; None where identities cannot be judged.
        words: The same in words, and what it rests on.
    """

    moments: list[Suspect]
    most: int | None
    words: str


def promise(
    quality: Quality, moments: list[Suspect], share: float, own: Proofread | None = None
) -> Promise:
    """Choose the moments to look at, and say how many switches at most remain, and why.

    The switches that the second tracker sees, and those that it holds possible, are expected each
    with its probability. How many there are for each expected one differs between recordings, and
    has a gamma distribution, which proofread frames make narrower: as many switches as they have
    where nobody would have looked, for as many as were expected there. The number that remains is
    then at most negative binomial (Le Cam 1960: sums of rare events are Poisson). Switches that
    leave no sign at all do not count.

    Args:
        quality: The findings, with those of a second tracker.
        moments: All moments, the most doubtful first; those in proofread frames need no look.
        share: Share of the other frames that may be looked at, 0 to 1; at least one is.
        own: Frames that were proofread.
    """
    order = quality.order
    checked = np.zeros(len(order.places), dtype=bool) if own is None else own.checked
    number = {place: i for i, place in enumerate(map(tuple, order.places.tolist()))}
    centres = [number[moment.video, moment.frame] for moment in moments]
    unknown = [rank for rank, centre in enumerate(centres) if not checked[centre]]
    chosen = unknown[: _looks(int((~checked).sum()), share)]
    looked = [moments[rank] for rank in chosen]
    known = order.animal >= 0
    animals = np.unique(np.stack([order.poses.video, order.animal], axis=1)[known], axis=0)
    if np.bincount(animals[:, 0], minlength=1).max() < 2:
        words = "no promise about identities: no video has two animals with tracks"
        return Promise(looked, None, words)
    # What is as doubtful as the chosen moments would have been looked at in proofread frames, too.
    doubtful = centres[: chosen[-1] + 1 if chosen else 0]
    seen, well_seen = (
        _within_reach(order.places[:, 0], doubtful, reach) for reach in (REACH, REACH - 1)
    )
    rows = np.concatenate([quality.found[kind].rows for kind in OPINIONS])
    chance = np.concatenate([quality.found[kind].values for kind in OPINIONS])
    place = order.place[rows]
    chance = chance * np.maximum(~seen, BESIDE * ~well_seen)[place]
    expected = float(chance[~checked[place]].sum())
    before = float(chance[checked[place]].sum())
    found = 0 if own is None else int((~seen[own.switches]).sum())
    most = most_left(expected, found, before)
    words = (
        f"once the listed moments are corrected ({len(looked)} in "
        f"{counted(int((~checked).sum()), 'frame')}), the number of identity switches that remain "
        f"is at most {most}, with {CONFIDENCE:.0%} confidence"
    )
    untracked = np.count_nonzero(order.animal < 0)
    said = counted(int(untracked), "pose without a track is", "poses without a track are")
    left_out = f"; {said} not judged" if untracked else ""
    return Promise(looked, most, f"{words}{left_out}; {_basis(checked, found, before)}")


def most_left(expected: float, found: int = 0, before: float = 0.0) -> int:
    """Return the number of switches that at most remain, with 95% confidence.

    Args:
        expected: Number of switches that the second tracker lets expect.
        found: Switches in proofread frames.
        before: Number of switches that were expected there.
    """
    rate = RATE + before / AT_ONCE
    return int(nbinom.ppf(CONFIDENCE, SHAPE + found / AT_ONCE, rate / (rate + expected)))


def _looks(frames: int, share: float) -> int:
    """Return how many frames may be looked at."""
    return max(1, int(np.ceil(share * frames))) if share > 0 else 0


def _within_reach(video: np.ndarray, centres: list[int], reach: int) -> np.ndarray:
    """Return which positions (frames,) are so near to one of these positions."""
    seen = np.zeros(len(video), dtype=bool)
    for centre in centres:
        near = slice(max(centre - reach, 0), centre + reach + 1)
        seen[near] |= video[near] == video[centre]
    return seen


def _basis(checked: np.ndarray, found: int, before: float) -> str:
    """Say what a promise rests on."""
    if not checked.any():
        return "this rests on simulated scenes, not on proofread frames of yours"
    own = (
        f"this rests on {counted(int(checked.sum()), 'proofread frame')} (switches where nobody "
        f"would have looked: {found}, expected: {before:.1f})"
    )
    little = before / AT_ONCE + found / AT_ONCE < RATE
    return f"{own} and, as these are few, on simulated scenes" if little else own
