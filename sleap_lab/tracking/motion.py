"""How the animals of a video move, learned from the links of which there is no doubt.

Lengths are in body lengths, places are complex numbers, times count the frames of the video that
were processed. Costs are negative logarithms of densities, so they add up.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sleap_lab.tracking.ends import WINDOWS, Comparison, State
from sleap_lab.tracking.gaps import FEW, GAPS, Pairs, at_gaps
from sleap_lab.tracking.turns import mixed

TAILS = (2.0, 4.0, 8.0)
"""Degrees of freedom of the spread that are tried; the fewer, the more common are leaps."""

SHORT = 4  # frames of the longest gap that decides over how many frames speed is measured
LEAP = 1e-3  # share of links that no model foresees: any place of the arena is as likely
STARTS = 0.05  # share of animals that are expected to do something else than they did
SURE = 20.0  # pairs that this expectation counts for


@dataclass(frozen=True)
class Motion:
    """Where an animal is some frames later: a place expected and a spread about it.

    Attributes:
        window: Which of `WINDOWS` speed is measured over.
        kept: (gaps, 3) displacement expected: in units of the velocity before, of the speed along
            the body, and along the body at any speed.
        still: (gaps,) spread of the place of an animal at rest.
        moving: (gaps,) additional spread in units of speed.
        ahead: (gaps,) displacement along the body where the velocity is unknown.
        loose: (gaps,) spread of the place then.
        starts: (gaps,) share of animals that do something else than they did: of them no more is
            known than of those whose velocity is unknown.
        tail: Degrees of freedom of the spread (Student's t in the plane).
        area: Area of the arena that the detections span.
    """

    window: int
    kept: np.ndarray
    still: np.ndarray
    moving: np.ndarray
    ahead: np.ndarray
    loose: np.ndarray
    starts: np.ndarray
    tail: float
    area: float

    @property
    def anywhere(self) -> float:
        """Cost of a place of which nothing is known."""
        return float(np.log(self.area))

    def cost(
        self, state: State, rows: np.ndarray, others: np.ndarray, seen: Comparison, blur: np.ndarray
    ) -> np.ndarray:
        """Return the cost of links, seen from both ends: the mean of forward and backward.

        Args:
            state: What is known about the detections.
            rows: (k,) rows of the earlier detections.
            others: (k,) rows of the later ones.
            seen: The same compared.
            blur: (k,) additional variance of the steps.
        """
        past, future = state.arriving, state.leaving
        forward, backward = (
            self._place(
                seen.gap, seen.step, side.velocity[own, self.window], side.heading[own], blur
            )
            for side, own in ((past, rows), (future, others))
        )
        return 0.5 * (forward + backward)

    def _place(
        self,
        gap: np.ndarray,
        step: np.ndarray,
        velocity: np.ndarray,
        heading: np.ndarray,
        blur: np.ndarray,
    ) -> np.ndarray:
        """Return the cost of steps, in the direction of time, seen from one end."""
        usual, other = self._densities(gap, step, velocity, heading, blur)
        starts = at_gaps(gap, self.starts)
        density = (1 - starts) * usual + starts * other
        return -np.log((1 - LEAP) * density + LEAP / self.area)

    def _densities(
        self,
        gap: np.ndarray,
        step: np.ndarray,
        velocity: np.ndarray,
        heading: np.ndarray,
        blur: np.ndarray | float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the density of steps as the velocity tells, and as if it were unknown."""
        known = ~np.isnan(velocity)
        told = _told(np.where(known, velocity, 0), heading)
        # Beyond the longest gap that was learned the spread grows as the square root of time.
        beyond = np.maximum(gap / GAPS[-1], 1)
        other = self._spread(
            step - at_gaps(gap, self.ahead) * told[:, 2],
            beyond * at_gaps(gap, self.loose) ** 2 + blur,
        )
        spread = at_gaps(gap, self.still) ** 2
        spread = spread + at_gaps(gap, self.moving) ** 2 * np.abs(told[:, 0]) ** 2
        expected = np.sum(at_gaps(gap, self.kept) * told, axis=-1)
        usual = self._spread(step - expected, beyond * spread + blur)
        return np.where(known, usual, other), other

    def _spread(self, off: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the density of Student's t in the plane."""
        square = np.abs(off) ** 2 / (self.tail * scale)
        return (1 + square) ** (-self.tail / 2 - 1) / (2 * np.pi * scale)


def _told(velocity: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Return what a displacement is expected from, (k, 3): velocity, speed and direction.

    Args:
        velocity: (k,) complex, in the direction of time.
        heading: (k,) complex of length 1; where it is nan it tells nothing.
    """
    along = np.nan_to_num(heading)
    return np.stack([velocity, np.abs(velocity) * along, along], axis=-1)


def spanned_area(center: np.ndarray) -> float:
    """Return the area that places span, squared body lengths, at least that of one body."""
    there = center[~np.isnan(center)]
    if not len(there):
        return 1.0
    sides = [np.ptp(np.quantile(axis, [0.005, 0.995])) for axis in (there.real, there.imag)]
    side = max(*sides, 1e-6)
    return float(max(sides[0], side / 10) * max(sides[1], side / 10))


def learn_motion(state: State, pairs: list[Pairs], seen: list[Comparison]) -> Motion:
    """Learn the motion of a video from stretches of detections without doubt.

    Args:
        state: What is known about the detections.
        pairs: Rows of detections of one stretch for each gap of `GAPS`.
        seen: The same compared.
    """
    area = spanned_area(state.bodies.center)
    steps = [each.step for each in seen]
    window = min(range(len(WINDOWS)), key=lambda window: _misfit(state, pairs, steps, window))
    motion = _learn(state, pairs, steps, window, area)
    starts = [STARTS]
    for (rows, _), each in zip(pairs, seen, strict=True):
        velocity = state.arriving.velocity[rows, motion.window]
        heading = state.arriving.heading[rows]
        usual, other = motion._densities(each.gap, each.step, velocity, heading, 0.0)
        known = ~np.isnan(velocity)
        starts.append(mixed(usual[known], other[known], starts[-1], SURE))
    return replace(motion, starts=np.array(starts[1:]))


def _misfit(state: State, pairs: list[Pairs], steps: list[np.ndarray], window: int) -> float:
    """Return how far off the places are that speed over a window tells for short gaps."""
    missed = 0.0
    for gap, (rows, _), step in zip(GAPS, pairs, steps, strict=True):
        told, moving = _told_by(state, rows, window)
        if gap <= SHORT and int(moving.sum()) >= FEW:
            missed += float(np.log(_weights(step[moving], told[moving])[1] + 1e-9))
    return missed


def _told_by(state: State, rows: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what rows tell of the next place, see `_told`, and (k,) whose velocity is known."""
    velocity = state.arriving.velocity[rows, window]
    moving = ~np.isnan(velocity)
    return _told(np.where(moving, velocity, 0), state.arriving.heading[rows]), moving


def _learn(
    state: State, pairs: list[Pairs], steps: list[np.ndarray], window: int, area: float
) -> Motion:
    """Fit the model at one window."""
    least = 1e-4 * float(np.sqrt(area))
    places: list[Place] = []
    residuals = []
    for gap, (rows, _), step in zip(GAPS, pairs, steps, strict=True):
        told, moving = _told_by(state, rows, window)
        if int(moving.sum()) >= FEW:
            place, off = _fit(step, told, moving, least)
            residuals.append(off)
        elif places:
            place = places[-1].grown(float(np.sqrt(gap / GAPS[GAPS.index(gap) - 1])))
        else:
            middle = float(np.median(np.abs(step))) if len(step) else float(np.sqrt(area)) / 10
            middle = max(middle, least)
            place = Place((0.0, 0.0, 0.0), middle, 0.0, 0.0, middle)
        places.append(place)
    tail = _tail(residuals)
    # The median distance in units of the scale.
    unit = np.sqrt(tail * (2 ** (2 / tail) - 1))
    kept, still, moves, ahead, loose = (np.array(column) for column in zip(*places, strict=True))
    starts = np.full(len(GAPS), STARTS)
    return Motion(window, kept, still / unit, moves / unit, ahead, loose / unit, starts, tail, area)


class Place(NamedTuple):
    """What is learned for one gap; spreads are median distances. See `Motion`."""

    kept: tuple[float, ...]
    still: float
    moving: float
    ahead: float
    loose: float

    def grown(self, by: float) -> "Place":
        """Return the same with wider spreads."""
        return Place(self.kept, self.still * by, self.moving * by, self.ahead, self.loose * by)


def _fit(
    step: np.ndarray, told: np.ndarray, moving: np.ndarray, least: float
) -> tuple[Place, np.ndarray]:
    """Fit displacements to what is known before.

    Args:
        step: (k,) complex displacements.
        told: (k, 3) complex, see `_told`.
        moving: (k,) true where the velocity is known.
        least: Smallest spread.

    Returns:
        The fit, and residuals in units of the median expected.
    """
    (ahead,), loose = _weights(step, told[:, 2:])
    step, told = step[moving], told[moving]
    kept, median = _weights(step, told)
    off = np.abs(step - np.sum(told * kept, axis=1))
    square = np.abs(told[:, 0]) ** 2
    slow = square <= np.median(square)
    if slow.all():
        still, moves = median, 0.0
    else:
        low, high = (float(np.median(off[half])) ** 2 for half in (slow, ~slow))
        rise = max((high - low) / (square[~slow].mean() - square[slow].mean()), 0.0)
        still = float(np.sqrt(max(low - rise * square[slow].mean(), low / 16)))
        moves = float(np.sqrt(rise))
    still = max(still, least)
    place = Place(tuple(kept.tolist()), still, moves, float(ahead), max(loose, least))
    return place, off / np.sqrt(still**2 + moves**2 * square)


def _weights(step: np.ndarray, told: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the real weights with the least absolute deviations, and the median deviation.

    No weights where they do not lower the median.

    Args:
        step: (k,) complex.
        told: (k, m) complex.
    """
    weights = np.zeros(told.shape[1])
    size = np.abs(step)
    off = size
    for _ in range(5):  # by reweighting
        share = 1 / (off + np.median(off) + 1e-12)
        # Sums over rows, which are a wait for threads as products of matrices.
        left = np.conj(told) * share[:, None]
        normal = np.einsum("ki,kj->ij", left, told).real
        aim = np.einsum("ki,k->i", left, step).real
        ridge = 1e-6 * np.trace(normal) / len(normal) + 1e-12
        weights = np.linalg.solve(normal + ridge * np.eye(len(normal)), aim)
        off = np.abs(step - np.sum(told * weights, axis=1))
    if np.median(off) >= np.median(size):
        return np.zeros(told.shape[1]), float(np.median(size))
    return weights, float(np.median(off))


def _tail(residuals: list[np.ndarray]) -> float:
    """Return the degrees of freedom under which residuals in units of their median are likely."""
    if not residuals:
        return TAILS[0]
    square = np.concatenate(residuals) ** 2

    def likely(tail: float) -> float:
        scale = 1 / (tail * (2 ** (2 / tail) - 1))
        return float(np.mean((-tail / 2 - 1) * np.log(1 + square / (tail * scale)) - np.log(scale)))

    return max(TAILS, key=likely)
