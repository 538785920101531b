"""The standard error of the mean of a series whose neighbours are alike, such as frames of a video.

The squared weights of the slowest cosines in the series estimate its variance at frequency zero
(equal-weighted cosine estimator: Lazarus, Lewis, Stock & Watson 2018, J. Bus. Econ. Stat. 36:541,
eq. 4), each divided by the spectrum of a first-order autoregression, as prewhitening does (Andrews
& Monahan 1992, Econometrica 60:953). How many cosines are slow enough follows from the correlation
time; few of them make wide intervals of Student's t.
"""

import numpy as np

PIECES = 128
"""A longer series is added up to this many pieces of consecutive frames, so that time is constant.

No cosine that is used is fast enough to notice.
"""
MOST_WAVES = 24
WAVES = 0.14  # cosines per length of the series in correlation times
FEWEST_TIMES = 25
"""Fewest correlation times in a series with a standard error.

Shorter series hold too few independent stretches to tell how much these differ.
"""
FEWEST_FRAMES = 20
COMMON = 0.75
"""Quantile of the correlation times of metrics that holds for all of them.

The time of a single metric is known badly: where it comes out too short, intervals are too narrow.
"""
CHANCE = 1.64  # autocorrelations of independent pieces exceed this, over sqrt(n), one time in 20
FEWEST_LAGGED = 16  # pieces from which an autocorrelation is estimated

# Pieces of a first-order autoregression, by their length in correlation times, longest first, and
# the correlation of neighbours: the mean of exp(-|s - t| / tau) over both.
_LENGTHS = np.geomspace(50, 0.01, 2000)
_CORRELATIONS = (1 - np.exp(-_LENGTHS)) ** 2 / (2 * (_LENGTHS - 1 + np.exp(-_LENGTHS)))


def pieces(series: np.ndarray, n: int = PIECES) -> np.ndarray:
    """Add up stretches of consecutive frames: (frames, m) -> (at most n, m)."""
    if len(series) <= n:
        return series
    return np.add.reduceat(series, np.arange(n) * len(series) // n, axis=0)


def correlation_time(series: np.ndarray) -> np.ndarray:
    """Return (m,) after how many frames the likeness of two frames has fallen to 1/e.

    That of a first-order autoregression with the same correlation of neighbours, the longest that
    frames, pairs of frames and fours of frames show: where every frame adds noise of its own, the
    slow part shows only in longer pieces. 0 where neighbours are not alike.

    Args:
        series: (frames, m) series, in the order of time.
    """
    cut = pieces(series)
    length = len(series) / len(cut)
    longest = np.zeros(series.shape[1])
    for joined in (1, 2, 4):
        n = len(cut) // joined
        if n < FEWEST_LAGGED:
            break
        part = cut[: n * joined].reshape(n, joined, -1).mean(axis=1)
        part = part - part.mean(axis=0)
        own = (part**2).sum(axis=0)
        lagged = (part[1:] * part[:-1]).sum(axis=0)
        found = np.divide(lagged, own, out=np.zeros_like(own), where=own > 0)
        found = np.minimum(found + (1 + 3 * found) / n, 0.999)  # Marriott & Pope 1954
        # Between pieces longer than the correlation time there is little but chance.
        counts = found > (CHANCE / np.sqrt(n) if length * joined > 1 else 0)
        longest = np.maximum(
            longest, np.where(counts & (own > 0), _time_of(found, length * joined), 0)
        )
    return longest


def common_time(series: np.ndarray) -> float:
    """Return the correlation time in frames that holds for nearly all of several series.

    Args:
        series: (frames, m) series of the same frames, in the order of time; one that is constant or
            holds nan has no part in it.
    """
    return _common(series, correlation_time(series))


def _common(series: np.ndarray, time: np.ndarray) -> float:
    """Return a quantile of the (m,) correlation times of those series that vary."""
    varies = (series != series[:1]).any(axis=0) & ~np.isnan(series).any(axis=0)
    return float(np.quantile(time[varies], COMMON)) if varies.any() else 0.0


def _time_of(correlation: np.ndarray, length: float) -> np.ndarray:
    """Return the correlation time (frames) that neighbouring pieces of some frames show."""
    if length == 1:
        return -1 / np.log(np.clip(correlation, 1e-9, None))
    return length / np.interp(correlation, _CORRELATIONS, _LENGTHS)


def variance_of_sum(series: np.ndarray, n_waves: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return (m,) variance of the sum of a series.

    With as many waves as frames but one and no correlation time, it is that of independent frames:
    their number times their sample variance.

    Args:
        series: (frames, m) series, in the order of time; its mean has no part in the result.
        n_waves: (m,) cosines to use, fewer than frames.
        time: (m,) correlation time in frames.
    """
    n, most = len(series), int(n_waves.max(initial=0))
    wave = np.arange(1, most + 1)[:, None]
    waves = np.sqrt(2 / n) * np.cos(np.pi * wave * (np.arange(n) + 0.5) / n)
    weights = (waves @ series) ** 2 * (1 + (np.pi * wave * time / n) ** 2)
    used = wave <= n_waves
    return n * (weights * used).sum(axis=0) / n_waves


def error_of_sum(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard error of the sum of each series, and its degrees of freedom.

    One degree is taken off, for the choice of the number of waves.

    Args:
        series: (frames, m) series of the same frames, in the order of time.

    Returns:
        (m,) and (m,); nan where the series is too short for its correlation time.
    """
    n = len(series)
    if n < FEWEST_FRAMES:
        return np.full(series.shape[1], np.nan), np.full(series.shape[1], np.nan)
    time = correlation_time(series)
    time = np.maximum(time, _common(series, time))
    times = n / np.maximum(time, 1e-9)
    cut = pieces(series)
    n_waves = np.clip(WAVES * times, 2, min(MOST_WAVES, len(cut) // 4)).astype(int)
    error = np.sqrt(variance_of_sum(cut, n_waves, time * len(cut) / n))
    enough = times >= FEWEST_TIMES
    return np.where(enough, error, np.nan), np.where(enough, n_waves - 1.0, np.nan)
