"""How far a metric may be off by chance: the standard error of a sum over frames.

Where there are several videos, videos are the units: frames of one video say little about another.
In a single video the units are its frames, and neighbours are alike (`serial`).
"""

from typing import Any, NamedTuple

import numpy as np

from sleap_lab.evaluation.serial import error_of_sum

LEVEL = 0.95
FEWEST_VIDEOS = 4
"""Fewest videos that an interval comes from, where there are several.

Of fewer, intervals of percentiles are too narrow where they exist at all, and all are very wide.
"""
ROUNDING = 1e-12


class Spread(NamedTuple):
    """Standard errors of metrics.

    Attributes:
        error: (m,) standard error; 0 where all units are alike, nan where units are too few.
        df: (m,) degrees of freedom of Student's t; nan where units are too few.
        units: Videos, or frames of a single video.
    """

    error: np.ndarray
    df: np.ndarray
    units: int

    def half_width(self, value: np.ndarray) -> np.ndarray:
        """Return (m,) half of the width of an interval around values; nan where there is none."""
        from scipy.special import stdtrit  # slow to import

        half = stdtrit(self.df, (1 + LEVEL) / 2) * self.error
        return np.where(self._counts(value), half, np.nan)

    def chance(self, difference: np.ndarray) -> np.ndarray:
        """Return (m,) how probable a difference as large is by chance; nan where unknown."""
        from scipy.special import stdtr  # slow to import

        scaled = np.abs(difference) / np.where(self.error > 0, self.error, np.nan)
        chance = np.where(self.error == 0, self._by_sign(), 2 * stdtr(self.df, -scaled))
        return np.where(self._counts(difference), chance, np.nan)

    def _counts(self, value: np.ndarray) -> np.ndarray:
        """Say where units that are all alike show anything: where there are enough, off 0."""
        return (self.error > 0) | ((value != 0) & (self._by_sign() <= 1 - LEVEL))

    def _by_sign(self) -> float:
        """Return how probable it is that all units differ to the same side (sign test)."""
        return 2.0 ** (1 - self.units)


def spread(influence: np.ndarray, video: np.ndarray) -> Spread:
    """Return how far sums over frames may be off by chance.

    Args:
        influence: (frames, m) part of each frame in each metric, in the order of video and time;
            a metric with nan has no standard error.
        video: (frames,) video of each frame.
    """
    sums, size = over_units(influence, video)
    if len(size) > 1:
        error, df = error_over_units(sums, size)
    else:
        error, df = error_of_sum(influence)
    units = len(size) if len(size) > 1 else len(video)
    return Spread(_rounded(error, influence), df, units)


def less(second: Any, first: Any) -> np.ndarray:
    """Return numbers less others; what is nothing but rounding is 0."""
    change = np.subtract(second, first)
    size = np.fmax.reduce(np.ravel(np.maximum(np.abs(second), np.abs(first))), initial=0)
    return np.where(np.abs(change) <= ROUNDING * size, 0.0, change)


def over_units(influence: np.ndarray, video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (videos, m) the sums of the parts of the frames of each video, and (videos,) frames.

    Arguments as for `spread`.
    """
    _, number, size = np.unique(video, return_inverse=True, return_counts=True)
    sums = np.zeros((len(size), influence.shape[1]))
    np.add.at(sums, number, influence)
    return sums, size


def _rounded(error: np.ndarray, influence: np.ndarray) -> np.ndarray:
    """Return errors in which those that are nothing but rounding are 0."""
    return np.where(error <= ROUNDING * np.abs(influence).sum(axis=0), 0.0, error)


def error_over_units(sums: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard error of a sum over units that differ, and its degrees of freedom.

    The mean of a unit is taken to differ from that of all by as much in every unit, whatever its
    size; of equal units it is the standard error of their mean. Degrees of freedom are those of
    Satterthwaite (1946, Biometrics Bull. 2:110), one fewer than the units where these are equal.

    Args:
        sums: (units, m) part of each unit in each metric.
        size: (units,) frames of each.

    Returns:
        (m,) and (m,); nan from fewer than four units.
    """
    weight = size / size.sum()
    second, third = (weight**2).sum(), (weight**3).sum()
    if len(sums) < FEWEST_VIDEOS:
        return np.full(sums.shape[1], np.nan), np.full(sums.shape[1], np.nan)
    df = (1 - second) ** 2 / (second - 2 * third + second**2)
    variance = (sums**2 / weight[:, None]).sum(axis=0) * second / (1 - second)
    return np.sqrt(variance), np.full(sums.shape[1], df)


def pooled_spread(
    influence: np.ndarray,
    video: np.ndarray,
    other: np.ndarray,
    other_video: np.ndarray,
    alike: np.ndarray,
) -> Spread:
    """Return the spread of sums over the units of one part, known from the units of two parts.

    Units are taken to scatter alike in both, each around the metric of its own part, as in
    Student's two-sample test: the few units of one part tell little about how far they scatter.
    Neighbours scatter together, as `alike` has it, which the expected scatter and its degrees of
    freedom allow for (Satterthwaite 1946, Biometrics Bull. 2:110).

    Args:
        influence: (frames, m) part of each frame of the one part in each metric.
        video: (frames,) unit of each frame.
        other: (others, m) the same of the other part.
        other_video: (others,) the same of the other part.
        alike: (units, units) how far the sums over frames of two units vary together, in units of
            the variance of a frame, in the order of the units, those of the one part first.
    """
    scatter, centred = np.zeros(influence.shape[1]), np.zeros_like(alike)
    first = 0
    for own, of in ((influence, video), (other, other_video)):
        sums, size = over_units(own, of)
        scatter += (sums**2 / size[:, None]).sum(axis=0) * len(of) ** 2
        units = slice(first, first + len(size))
        # Squares of the sums, less the mean of the part, over the frames.
        centred[units, units] = np.diag(1 / size) - 1 / len(of)
        first = units.stop
    n = len(np.unique(video))
    each = centred @ alike
    expected, df = 1.0, 1.0
    if first > 2:
        expected = float(np.trace(each))
        df = expected**2 / float((each * each.T).sum())
    of_sum = alike[:n, :n].sum()
    error = np.sqrt(scatter / expected * of_sum) / len(video)
    return Spread(
        _rounded(error, np.concatenate([influence, other])), np.full(len(error), df), first
    )
