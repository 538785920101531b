"""Error of a whole recording, of which a person labelled a few frames.

What labels show is corrected by what all frames show without them: a line through the signs of
`sleap_lab.quality` predicts the error of every frame, and by as much as the labelled ones look
worse than all, their mean error is lowered (prediction-powered inference: Angelopoulos et al. 2023,
Science 382:669). How much of that counts minimises the error (PPI++: Angelopoulos, Duchi & Zrnic
2023, arXiv:2311.01453), and the prediction of a frame comes from a line that was fitted without it
(Zrnic & Candès 2024, PNAS 121:e2322083121). The recording is all there is: only which frames are
labelled is chance.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from sleap_lab.evaluation.coco import SINGLED_OUT
from sleap_lab.evaluation.frames import FrameTable
from sleap_lab.evaluation.serial import FEWEST_FRAMES
from sleap_lab.evaluation.spread import LEVEL, ROUNDING

FOLDS = 5
RIDGE = 0.3  # pull of the coefficients to 0, in numbers of labelled frames
FEWEST_FREE = 8  # degrees of freedom of an interval
UNSEEN = 0.2
"""Part of the bad frames beyond those that are expected of which no sign would tell.

Labelled frames may hold none of them. With all of them (1) signs are hardly worth anything, with
none intervals miss them; see docs/decisions.md.
"""
DOUBT, USUAL_TIME = 1.5, 5.0
"""How alike frames are is doubted as if so many frames said that they stay alike for this time."""
MOST_LABELLED = 2000
"""Labelled frames from which signs are not needed, and pairs of frames would take long."""
WIDER = 1.05  # where signs make an interval wider than by so much, labels alone are used
NEIGHBOURS = 10  # labelled frames before each one with which it is compared
TIMES = np.geomspace(1, 1000, 25)  # correlation times that are tried, processed frames


class Estimate(NamedTuple):
    """A mean over all frames of a recording.

    Attributes:
        value: The mean.
        low: Lower limit of its interval; nan where there is none.
        high: Upper limit.
        alone: (2,) limits from the labels alone.
        n: Labelled frames that it comes from.
    """

    value: float
    low: float
    high: float
    alone: tuple[float, float]
    n: int


def errors_of_frames(table: FrameTable) -> tuple[np.ndarray, np.ndarray]:
    """Return how wrong each labelled frame is.

    Returns:
        (frames,) 1 where an animal is not found or something that is none is, else 0; and (frames,)
        mean distance of the nodes of the animals that are found, px, nan for none. Found are
        animals with an OKS of 0.5, or a centroid that was matched.
    """
    columns, pairs = table.columns, table.pairs
    if table.detections is None:
        bad = (columns["n_missed"] > 0) | (columns["n_extra"] > 0)
        near = np.ones(len(pairs.frame), dtype=bool)
    else:
        found = columns["found_50"]
        bad = (found < columns["n_true"]) | (found < columns["n_predicted"])
        near = pairs.hits[SINGLED_OUT["50"]]
    distances, frame, n = table.distances[near], pairs.frame[near], len(table.frame)
    total = np.bincount(frame, np.nan_to_num(distances).sum(axis=1), n)
    number = np.bincount(frame, (~np.isnan(distances)).sum(axis=1), n)
    error = np.divide(total, number, out=np.full(n, np.nan), where=number > 0)
    return bad.astype(float), error


def estimate(
    labelled: np.ndarray, error: np.ndarray, signs: np.ndarray, video: np.ndarray, *, share: bool
) -> Estimate:
    """Estimate the mean error of all frames.

    Args:
        labelled: (n,) which frames are labelled, ascending.
        error: (n,) their errors; without nan.
        signs: (frames, k) what every frame shows without labels.
        video: (frames,) video of each frame; frames are in the order of video and time.
        share: Whether errors are 0 or 1.

    Returns:
        The estimate, without limits where labelled frames are too few or too near to each other, or
        where distances are the same in all of them and so do not show how far they scatter.
    """
    n, mean, nothing = len(labelled), float(error.mean()), (np.nan, np.nan)
    if n < FEWEST_FRAMES or not (share or np.ptp(error) > ROUNDING * mean):
        return Estimate(mean, *nothing, nothing, n)
    own = predicted(labelled, error, signs)
    of_own, about = own - own.mean(), error - mean
    varies = float(of_own @ of_own)
    power = float(np.clip(of_own @ about / varies, 0, 1)) if varies > 0 else 0.0
    value = mean - power * float(own.mean())
    if share:
        value = min(max(value, 0.0), 1.0)
    elif value <= 0:
        value, power = mean, 0.0
    distance, free = spread_of_mean(labelled, error, video)
    if free < FEWEST_FREE:
        return Estimate(value, *nothing, nothing, n)
    before = float(about @ about)
    # The power is one more number that is fitted.
    after = float(((about - power * of_own) ** 2).sum()) * (n - 1) / (n - 1 - (power > 0))
    reach = float(stdtrit(free, (1 + LEVEL) / 2))
    alone, both = (
        share_limits(middle, left / n, 1 / (n * distance), reach)
        if share
        else mean_limits(middle, reach * float(np.sqrt(distance * left)))
        for middle, left in ((mean, before), (value, after))
    )
    if np.ptp(both) > WIDER * np.ptp(alone):
        return Estimate(mean, *alone, alone, n)
    return Estimate(value, *both, alone, n)


def mean_limits(value: float, half: float) -> tuple[float, float]:
    """Return the limits of a mean of errors, formed as for logarithms, so that none is negative."""
    factor = float(np.exp(half / value)) if value > 0 else 1.0
    return value / factor, value * factor


def share_limits(value: float, left: float, n: float, reach: float) -> tuple[float, float]:
    """Return the limits of a share, as if from n independent frames.

    The scatter is that of the share at the limit, so that there are limits where no labelled frame
    is bad: those of Wilson (1927, J. Am. Stat. Assoc. 22:209) with an effective number of frames
    (Korn & Graubard 1998, Surv. Methodol. 24:193), if signs explain nothing. What they explain
    scatters less; but the labels may hold none of the few frames about which signs are wrong.

    Args:
        value: The share.
        left: Scatter of a frame that signs do not explain, at most value · (1 - value).
        n: Effective number of frames.
        reach: Standard errors of the limits.
    """
    square = reach**2 / n
    alone = value * (1 - value)
    part = min(left / alone, 1.0) if alone else 1.0  # of the scatter that is not explained
    unseen = UNSEEN * (1 - part)

    def half(slope: float) -> float:
        """Solve half² = square · (left + slope · half - part · half²)."""
        root = np.sqrt((square * slope) ** 2 + 4 * (1 + square * part) * square * left)
        return float(square * slope + root) / (2 * (1 + square * part))

    more = (1 - 2 * value) * part
    low, high = value - half(unseen - more), value + half(unseen + more)
    return max(low, 0.0), min(high, 1.0)


def predicted(labelled: np.ndarray, error: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Predict errors from signs, each by a line that was fitted to labelled frames of other times.

    Frames that are nearer than half the mean distance stay together. Of five groups in a row, each
    fold has one: else a line would be fitted to what came later only, and what it misses would not
    cancel. Which one is drawn, as what happens regularly would always be in the same fold.

    Args:
        labelled: (n,) which frames are labelled, ascending.
        error: (n,) their errors.
        signs: (frames, k) what every frame shows.

    Returns:
        (n,) by how much each labelled frame is predicted to be worse than all frames on average.
    """
    scaled, apart = _scaled(labelled, signs), np.diff(labelled)
    group = np.cumsum(np.r_[0, apart > apart.mean() / 2])
    turns = np.tile(np.arange(FOLDS), (len(labelled), 1))
    fold = np.random.default_rng(0).permuted(turns, axis=1).ravel()[group]
    found = np.zeros(len(labelled))
    for own in (fold == number for number in np.unique(fold)):
        if own.all():  # there are no other times
            break
        centred = scaled[~own] - scaled[~own].mean(axis=0)
        pull = RIDGE * len(centred) * np.eye(centred.shape[1])
        slope = np.linalg.solve(centred.T @ centred + pull, centred.T @ error[~own])
        found[own] = scaled[own] @ slope
    return found


def _scaled(labelled: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return (n, k) the signs of labelled frames, in standard deviations from the mean of all."""
    scale = signs.std(axis=0)
    return ((signs - signs.mean(axis=0))[:, scale > 0] / scale[scale > 0])[labelled]


def spread_of_mean(
    labelled: np.ndarray, error: np.ndarray, video: np.ndarray
) -> tuple[float, float]:
    """Return how far the mean of labelled frames is from that of all, for given scatter.

    Frames are alike as an exponential has it that fits the labelled ones, beside what is new in
    every frame. Where that makes the mean surer than frames drawn at random would, it counts as
    drawn at random.

    Returns:
        The expected square of the distance, in units of the sum of squares of the labelled frames
        about their mean; and the degrees of freedom of that sum.
    """
    n, total = len(labelled), len(video)
    shared, time = likeness(labelled, error, video)
    keep = float(np.exp(-1 / time))
    number, first, size = np.unique(video, return_index=True, return_counts=True)
    of = np.searchsorted(number, video[labelled])
    place = labelled - first[of]
    apart = np.abs(np.subtract.outer(place, place))
    alike = shared * keep**apart * np.equal.outer(of, of)
    np.fill_diagonal(alike, 1.0)
    ends = 2 - keep ** (place + 1.0) - keep ** (size[of] - place + 0.0)
    to_all = (1 - shared) + shared * (ends / (1 - keep) - 1)
    inner = size + 2 * keep * (size - (1 - keep**size) / (1 - keep)) / (1 - keep)
    of_all = (1 - shared) * total + shared * inner.sum()
    square = alike.mean() - 2 * to_all.mean() / total + of_all / total**2
    centred = alike - alike.mean(axis=0)
    expected = float(np.trace(centred))
    drawn = (1 / n - 1 / total) / (n - 1)
    free = expected**2 / float((centred * centred.T).sum())
    return max(square / expected, drawn), free


def likeness(labelled: np.ndarray, error: np.ndarray, video: np.ndarray) -> tuple[float, float]:
    """Return how alike labelled frames are that are near: the shared part, and the time it lasts.

    They minimise the squared distance of shared · exp(-apart / time) from the products of nearby
    errors. Where few frames make up the scatter, as a few bad ones among good ones do, or none,
    the products tell little, and the frames count as more alike than these say.
    """
    scatter = error - error.mean()
    variance = float((scatter**2).mean())
    if variance == 0:
        return 1.0, USUAL_TIME
    scatter = scatter / np.sqrt(variance)
    number = len(error) ** 2 / float((scatter**4).sum())
    trust = number / (number + DOUBT)
    apart, product = [], []
    for lag in range(1, min(NEIGHBOURS, len(error) - 1) + 1):
        same = video[labelled[lag:]] == video[labelled[:-lag]]
        apart.append((labelled[lag:] - labelled[:-lag])[same])
        product.append((scatter[lag:] * scatter[:-lag])[same] + 1 / len(error))
    distance, found = np.concatenate(apart), np.concatenate(product)
    found = trust * found + (1 - trust) * np.exp(-distance / USUAL_TIME)
    curve = np.exp(-distance[:, None] / TIMES)
    power = (curve**2).sum(axis=0)
    shared = np.clip(
        np.divide(found @ curve, power, out=np.zeros_like(power), where=power > 0), 0, 1
    )
    misfit = ((found[:, None] - shared * curve) ** 2).sum(axis=0)
    best = int(misfit.argmin())
    return float(shared[best]), float(TIMES[best])
