"""How much animals turn and bend from one detection to a later one.

Angles are in radians. A change of posture counts as a turn, see `ends.Comparison`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, stdtrit

from sleap_lab.tracking.gaps import FEW, at_gaps

TAILS = (1.0, 2.0, 4.0, 8.0)
"""Degrees of freedom that are tried; the fewer, the more common are sharp turns."""

FLIPS = 20.0  # pairs as which it counts that one direction in twenty may be anything
LEAST = 1e-3  # smallest usual turn
NORMAL = 0.6745  # median distance from the mean, in standard deviations


@dataclass(frozen=True)
class Turns:
    """How likely turns are, against directions that say nothing.

    The tangent of half the angle follows Student's t; at one degree of freedom that is a wrapped
    Cauchy.

    Attributes:
        usual: (gaps,) median turn.
        tail: Degrees of freedom.
        flip: Share of directions that are anything, as when head and tail are confused.
    """

    usual: np.ndarray
    tail: float
    flip: float

    def variance(self, gap: np.ndarray) -> np.ndarray:
        """Return the variance of turns in so many frames, squared radians."""
        return (at_gaps(gap, self.usual) / NORMAL) ** 2

    def cost(self, gap: np.ndarray, cosine: np.ndarray, blur: np.ndarray) -> np.ndarray:
        """Return the cost of turns; 0 where a turn is unknown.

        Args:
            gap: (k,) frames between.
            cosine: (k,) cosine of each turn; nan where unknown.
            blur: (k,) additional variance of each, squared radians.
        """
        usual = NORMAL * np.sqrt(self.variance(gap) + blur)
        ratio = _ratio(cosine, np.minimum(usual, np.pi / 2), self.tail)
        return np.nan_to_num(-np.log((1 - self.flip) * ratio + self.flip))


def learn_turns(cosines: list[np.ndarray]) -> Turns:
    """Learn from turns of which there is no doubt, one array for each gap of `GAPS`."""
    cosines = [cosine[~np.isnan(cosine)] for cosine in cosines]
    usual: list[float] = []
    for cosine in cosines:
        if len(cosine) >= FEW:
            usual.append(max(float(np.median(np.arccos(cosine))), LEAST))
        else:
            usual.append(min(usual[-1] * 1.2, np.pi / 2) if usual else np.pi / 6)
    every = np.concatenate(cosines)
    about = np.repeat(np.minimum(usual, np.pi / 2), [len(cosine) for cosine in cosines])
    fits = []
    for tail in TAILS:
        ratio = _ratio(every, about, tail)
        flip = mixed(ratio, np.ones(len(ratio)), 1 / FLIPS, FLIPS)
        fits.append((-float(np.log((1 - flip) * ratio + flip).sum()), tail, flip))
    _, tail, flip = min(fits)
    return Turns(np.array(usual), tail, flip)


def mixed(usual: np.ndarray, other: np.ndarray, share: float, weight: float) -> float:
    """Return the share of the other of two densities that explains what was seen best.

    Args:
        usual: (k,) the one density at each place that was seen.
        other: (k,) the other.
        share: What is expected beforehand.
        weight: How many places that counts for.
    """
    found = share
    for _ in range(10):  # expectation-maximisation, which is near its end by then
        of_other = found * other / ((1 - found) * usual + found * other)
        found = float((of_other.sum() + share * weight) / (len(usual) + weight))
    return found


def _ratio(cosine: np.ndarray, usual: np.ndarray, tail: float) -> np.ndarray:
    """Return the density of turns, in densities of a direction that is anything."""
    half = np.tan(usual / 2)
    square = (1 - cosine) / np.maximum(1 + cosine, 1e-9)  # of the tangent of half the angle
    # Where half of the values lie below `half`, that is so many scales from the middle.
    scale = half / stdtrit(tail, 0.75)
    peak = np.exp(gammaln((tail + 1) / 2) - gammaln(tail / 2)) / np.sqrt(tail * np.pi)
    density = peak * (1 + square / (tail * scale**2)) ** (-(tail + 1) / 2) / scale
    # A direction that is anything has such a tangent as Cauchy's distribution.
    return np.pi * (1 + square) * density
