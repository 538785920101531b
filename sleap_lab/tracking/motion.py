"""How the animals of a video move, learned from the links of which there is no doubt.

Lengths are in body lengths, places are complex numbers, times count the frames of the video that
were processed. Costs are negative logarithms of densities, so they add up.
"""

from dataclasses import dataclass

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
MOST = 50_000  # pairs that are enough


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
        kept: (gaps,) displacement in units of the speed before; 0 where speed predicts nothing.
        still: (gaps,) spread of the place of an animal at rest.
        moving: (gaps,) additional spread in units of speed.
        turn: (gaps,) spread of the direction, in (0, 1), the scale of a wrapped Cauchy.
        tail: Degrees of freedom of the spread (Student's t in the plane).
        speed: Root mean square speed.
        area: Area of the arena that the detections span.
    """

    window: int
    kept: np.ndarray
    still: np.ndarray
    moving: np.ndarray
    turn: np.ndarray
    tail: float
    speed: float
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
            self._place(gap, step, state.arriving[rows])
            + self._place(gap, step, state.leaving[others])
        )
        return place + self._direction(gap, state.heading[others] * np.conj(state.heading[rows]))

    def _place(self, gap: np.ndarray, step: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        kept, still, moving = self._at(gap, self.kept, self.still, self.moving)
        unknown = np.isnan(velocity)
        square = np.where(unknown, self.speed**2, np.abs(np.where(unknown, 0, velocity)) ** 2)
        scale = still**2 + moving**2 * square + unknown * kept**2 * square
        off = np.abs(step - kept * np.where(unknown, 0, velocity)) ** 2
        density = (1 + off / (self.tail * scale)) ** (-self.tail / 2 - 1) / (2 * np.pi * scale)
        return -np.log((1 - LEAP) * density + LEAP / self.area)

    def _direction(self, gap: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Return the cost of a change of direction, against directions that say nothing."""
        (scale,) = self._at(gap, self.turn)
        ratio = (1 - scale**2) / (1 + scale**2 - 2 * scale * turn.real)
        return np.nan_to_num(-np.log((1 - FLIP) * ratio + FLIP))

    def _at(self, gap: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
        """Interpolate what was learned; the spread grows on beyond the longest gap."""
        where = np.log(np.maximum(gap, 1))
        known = np.log(GAPS)
        found = [np.interp(where, known, value) for value in values]
        if len(values) == 3:
            beyond = np.sqrt(np.maximum(gap / GAPS[-1], 1))
            found[1:] = [value * beyond for value in found[1:]]
        return found


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
    speeds = np.abs(arriving[~np.isnan(arriving)])
    speed = float(np.sqrt(np.mean(speeds**2))) if len(speeds) else 0.0
    least = 1e-4 * float(np.sqrt(area))
    places: list[tuple[float, float, float]] = []  # displacement kept, spread at rest, with speed
    turns: list[float] = []
    misfit, residuals = 0.0, []
    for gap, (rows, others) in zip(GAPS, pairs, strict=True):
        moving = ~np.isnan(arriving[rows])
        step = bodies.center[others] - bodies.center[rows]
        if int(moving.sum()) >= FEW:
            place, off, missed = _fit(step[moving], arriving[rows[moving]], least)
            residuals.append(off)
            misfit += missed if gap <= 4 else 0.0
        elif places:
            kept, still, fast = places[-1]
            place = kept, still * _growth(gap), fast * _growth(gap)
        else:
            middle = float(np.median(np.abs(step))) if len(step) else np.sqrt(area) / 10
            place = 0.0, max(middle, least), 0.0
        places.append(place)
        turns.append(_turn(bodies.heading[others] * np.conj(bodies.heading[rows]), turns))
    tail = _tail(residuals)
    # The median distance in units of the scale.
    unit = np.sqrt(tail * (2 ** (2 / tail) - 1))
    kept, still, fast = np.array(places).T
    motion = Motion(window, kept, still / unit, fast / unit, np.array(turns), tail, speed, area)
    return misfit, motion


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
    step: np.ndarray, velocity: np.ndarray, least: float
) -> tuple[tuple[float, float, float], np.ndarray, float]:
    """Fit steps to velocities.

    Returns:
        Displacement in units of speed, median distance from it at rest and its growth with speed;
        the residuals in units of the median expected; and the logarithm of the median residual.
    """
    kept = 0.0
    for _ in range(5):  # least absolute deviations by reweighting
        off = np.abs(step - kept * velocity)
        weight = 1 / (off + np.median(off) + 1e-12)
        below = np.sum(weight * np.abs(velocity) ** 2)
        kept = float(np.sum(weight * (step * np.conj(velocity)).real) / below) if below > 0 else 0.0
    off = step - kept * velocity
    if np.median(np.abs(off)) > np.median(np.abs(step)):
        kept, off = 0.0, step
    square = np.abs(velocity) ** 2
    slow = square <= np.median(square)
    if slow.all():
        still, fast = float(np.median(np.abs(off))), 0.0
    else:
        low, high = (float(np.median(np.abs(off[half]) ** 2)) for half in (slow, ~slow))
        rise = max((high - low) / (square[~slow].mean() - square[slow].mean()), 0.0)
        still = float(np.sqrt(max(low - rise * square[slow].mean(), low / 16)))
        fast = float(np.sqrt(rise))
    still = max(still, least)
    expected = np.sqrt(still**2 + fast**2 * square)
    missed = float(np.log(np.median(np.abs(off)) + 1e-9))
    return (kept, still, fast), np.abs(off) / expected, missed


def _tail(residuals: list[np.ndarray]) -> float:
    """Return the degrees of freedom under which residuals in units of their median are likely."""
    if not residuals:
        return TAILS[0]
    square = np.concatenate(residuals) ** 2

    def likely(tail: float) -> float:
        scale = 1 / (tail * (2 ** (2 / tail) - 1))
        return float(np.mean((-tail / 2 - 1) * np.log(1 + square / (tail * scale)) - np.log(scale)))

    return max(TAILS, key=likely)
