"""How the animals of a video move, learned from the links of which there is no doubt.

Lengths are in body lengths, places are complex numbers, times count the frames of the video that
were processed. Costs are negative logarithms of densities, so they add up.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sleap_lab.tracking.bodies import Bodies

GAPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Frames between two detections for which motion is learned; between and beyond is interpolated."""

WINDOWS = (1, 2, 4, 8)
"""Frames over which speed may be measured; the one that predicts best is used."""

TAILS = (2.0, 4.0, 8.0)
"""Degrees of freedom of the spread that are tried; the fewer, the more common are leaps."""

LEAP = 1e-3  # share of links that no model foresees: any place of the arena is as likely
FLIP = 0.05  # share of directions that are anything, as when head and tail are confused
FEW = 20  # pairs from which a gap is learned by itself
MOST = 8_000  # pairs that are enough


@dataclass(frozen=True)
class State:
    """What is known about each detection as an end of a link, by row.

    Attributes:
        center: (n,) complex, its place.
        heading: (n,) complex of length 1, its direction; nan where unknown.
        arriving: (n,) complex, velocity from the detections before it; nan where there are none.
        leaving: (n,) complex, velocity towards the detections after it; likewise.
        time: (n,) int, its time.
    """

    center: np.ndarray
    heading: np.ndarray
    arriving: np.ndarray
    leaving: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class Motion:
    """Where an animal is some frames later: a place expected and a spread about it.

    Attributes:
        window: Frames over which speed is measured.
        kept: (gaps, 3) displacement expected: in units of the velocity before, of the speed along
            the body, and along the body at any speed.
        still: (gaps,) spread of the place of an animal at rest.
        moving: (gaps,) additional spread in units of speed.
        ahead: (gaps,) displacement along the body where the velocity is unknown.
        loose: (gaps,) spread of the place then.
        turn: (gaps,) spread of the direction, in (0, 1), the scale of a wrapped Cauchy.
        tail: Degrees of freedom of the spread (Student's t in the plane).
        area: Area of the arena that the detections span.
    """

    window: int
    kept: np.ndarray
    still: np.ndarray
    moving: np.ndarray
    ahead: np.ndarray
    loose: np.ndarray
    turn: np.ndarray
    tail: float
    area: float

    @property
    def anywhere(self) -> float:
        """Cost of a place of which nothing is known."""
        return float(np.log(self.area))

    def cost(self, state: State, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the cost of links, seen from both ends: the mean of forward and backward.

        Args:
            state: What is known about the detections.
            rows: (k,) rows of the earlier detections.
            others: (k,) rows of the later ones.
        """
        gap = (state.time[others] - state.time[rows]).astype(float)
        step = state.center[others] - state.center[rows]
        place = 0.5 * (
            self._place(gap, step, state.arriving[rows], state.heading[rows])
            + self._place(gap, step, state.leaving[others], state.heading[others])
        )
        return place + self._direction(gap, state.heading[others] * np.conj(state.heading[rows]))

    def _place(
        self, gap: np.ndarray, step: np.ndarray, velocity: np.ndarray, heading: np.ndarray
    ) -> np.ndarray:
        """Return the cost of steps, in the direction of time, seen from one end."""
        known = ~np.isnan(velocity)
        told = _told(np.where(known, velocity, 0), heading)
        expected = np.where(
            known,
            np.sum(self._at(gap, self.kept) * told, axis=-1),
            self._at(gap, self.ahead) * told[:, 2],
        )
        # Beyond the longest gap that was learned the spread grows as the square root of time.
        beyond = np.maximum(gap / GAPS[-1], 1)
        scale = beyond * np.where(
            known,
            self._at(gap, self.still) ** 2
            + self._at(gap, self.moving) ** 2 * np.abs(told[:, 0]) ** 2,
            self._at(gap, self.loose) ** 2,
        )
        off = np.abs(step - expected) ** 2
        density = (1 + off / (self.tail * scale)) ** (-self.tail / 2 - 1) / (2 * np.pi * scale)
        return -np.log((1 - LEAP) * density + LEAP / self.area)

    def _direction(self, gap: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Return the cost of a change of direction, against directions that say nothing."""
        scale = self._at(gap, self.turn)
        ratio = (1 - scale**2) / (1 + scale**2 - 2 * scale * turn.real)
        return np.nan_to_num(-np.log((1 - FLIP) * ratio + FLIP))

    def _at(self, gap: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Interpolate what was learned, (gaps, …), at gaps."""
        place = np.interp(np.log(np.maximum(gap, 1)), np.log(GAPS), np.arange(len(GAPS)))
        low = np.minimum(place.astype(np.intp), len(GAPS) - 2)
        part = (place - low).reshape(-1, *[1] * (value.ndim - 1))
        return value[low] + part * (value[low + 1] - value[low])


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


def velocities(center: np.ndarray, time: np.ndarray, before: np.ndarray, window: int) -> np.ndarray:
    """Return the velocity of each detection over the last frames of its run.

    Args:
        center: (n,) complex.
        time: (n,) int.
        before: (n,) row of the detection before it in its run; -1 for none.
        window: Largest number of detections to go back.

    Returns:
        (n,) complex; nan for the first of a run. Where `before` leads forward in time, velocities
        are those towards the detections after.
    """
    origin = np.arange(len(center))
    for _ in range(window):
        earlier = before[origin]
        origin = np.where(earlier >= 0, earlier, origin)
    span = time - time[origin]
    return np.where(span != 0, (center - center[origin]) / np.where(span, span, 1), np.nan)


def know(
    bodies: Bodies, time: np.ndarray, before: np.ndarray, after: np.ndarray, window: int
) -> State:
    """Collect what is known about detections in runs.

    Args:
        bodies: Their bodies.
        time: (n,) their times.
        before: (n,) row of the detection before in its run; -1 for none.
        after: (n,) row of the one after; -1 for none.
        window: Frames over which speed is measured.
    """
    return State(
        bodies.center,
        bodies.heading,
        velocities(bodies.center, time, before, window),
        velocities(bodies.center, time, after, window),
        time,
    )


def learn_motion(bodies: Bodies, time: np.ndarray, before: np.ndarray, after: np.ndarray) -> Motion:
    """Learn the motion of a video from runs of detections without doubt.

    Args:
        bodies: The detections.
        time: (n,) int, time of each.
        before: (n,) row of the detection before in its run; -1 for none.
        after: (n,) row of the one after; -1 for none.
    """
    area = spanned_area(bodies.center)
    pairs = _pairs(time, after)
    learned = [_learn(bodies, time, before, pairs, window, area) for window in WINDOWS]
    return min(learned, key=lambda model: (model[0], model[1].window))[1]


def _pairs(time: np.ndarray, after: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows of detections of one run that are so far apart, for each gap of `GAPS`."""
    found, there, shift = [], np.arange(len(time)), 0
    for gap in GAPS:
        for _ in range(gap - shift):
            there = np.where(there >= 0, after[there], -1)
        shift = gap
        rows = (there >= 0).nonzero()[0]
        rows = rows[time[there[rows]] - time[rows] == gap]
        # Whole moments are left out, so that the order of detections plays no part.
        step = -(-len(rows) // MOST)
        rows = rows[time[rows] % step == 0] if step > 1 else rows
        found.append((rows, there[rows]))
    return found


def _learn(
    bodies: Bodies,
    time: np.ndarray,
    before: np.ndarray,
    pairs: list[tuple[np.ndarray, np.ndarray]],
    window: int,
    area: float,
) -> tuple[float, Motion]:
    """Fit the model at one window; also return how far off it is on the whole."""
    arriving = velocities(bodies.center, time, before, window)
    least = 1e-4 * float(np.sqrt(area))
    places: list[Place] = []
    turns: list[float] = []
    misfit, residuals = 0.0, []
    for gap, (rows, others) in zip(GAPS, pairs, strict=True):
        moving = ~np.isnan(arriving[rows])
        step = bodies.center[others] - bodies.center[rows]
        heading = bodies.heading[rows]
        if int(moving.sum()) >= FEW:
            told = _told(np.where(moving, arriving[rows], 0), heading)
            place, off, missed = _fit(step, told, moving, least)
            residuals.append(off)
            misfit += missed if gap <= 4 else 0.0
        elif places:
            place = places[-1].grown(_growth(gap))
        else:
            middle = float(np.median(np.abs(step))) if len(step) else float(np.sqrt(area)) / 10
            middle = max(middle, least)
            place = Place((0.0, 0.0, 0.0), middle, 0.0, 0.0, middle)
        places.append(place)
        turns.append(_turn(bodies.heading[others] * np.conj(heading), turns))
    tail = _tail(residuals)
    # The median distance in units of the scale.
    unit = np.sqrt(tail * (2 ** (2 / tail) - 1))
    kept, still, moves, ahead, loose = (np.array(column) for column in zip(*places, strict=True))
    return misfit, Motion(
        window, kept, still / unit, moves / unit, ahead, loose / unit, np.array(turns), tail, area
    )


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


def _turn(change: np.ndarray, shorter: list[float]) -> float:
    """Return the scale of a wrapped Cauchy whose median angle is that of changes of direction.

    Half of it lies within an angle whose half has the tangent (1 - scale) / (1 + scale).

    Args:
        change: (k,) complex, changes of direction; nan where unknown.
        shorter: Scales of the shorter gaps.
    """
    angle = np.abs(np.angle(change[~np.isnan(change)]))
    if len(angle) < FEW:
        return shorter[-1] * 0.9 if shorter else 0.5
    half = np.tan(min(max(float(np.median(angle)), 1e-3), 1.5) / 2)
    return float((1 - half) / (1 + half))


def _growth(gap: int) -> float:
    """Return how much the spread grows from the gap before, as the square root of time."""
    return float(np.sqrt(gap / GAPS[GAPS.index(gap) - 1]))


def _fit(
    step: np.ndarray, told: np.ndarray, moving: np.ndarray, least: float
) -> tuple[Place, np.ndarray, float]:
    """Fit displacements to what is known before.

    Args:
        step: (k,) complex displacements.
        told: (k, 3) complex, see `_told`.
        moving: (k,) true where the velocity is known.
        least: Smallest spread.

    Returns:
        The fit; residuals in units of the median expected; logarithm of the median residual.
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
    return place, off / np.sqrt(still**2 + moves**2 * square), float(np.log(median + 1e-9))


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
