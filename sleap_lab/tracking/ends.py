"""What is known about each detection from those of its stretch before it, or after it.

Poses are rarely complete where animals touch. What was not found of a pose was often found a few
frames earlier, or later, and has moved along since. Lengths are in body lengths, points of the
plane are complex numbers.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sleap_lab.tracking.bodies import Bodies

WINDOWS = (1, 2, 4, 8)
"""Detections over which speed may be measured."""

NOWHERE = complex(np.nan, np.nan)
ASTRAY = 0.03  # way, in body lengths, after which a node that was moved along counts half
FAR = 3.0  # body lengths between centres beyond which these alone tell the step
EQUAL = 1e-9  # squared body lengths below which poses have no extent
AT_ONCE = 20_000  # detections that are looked at together, for the sake of memory


class Side(NamedTuple):
    """What is known about each detection from one direction of time, by row.

    Attributes:
        pose: (n, nodes) complex, its nodes; those that were not found lie where they were seen
            last, moved along with the others. nan where none is known.
        trust: (n, nodes) in [0, 1], 1 where the node was found, less the further it was moved.
        heading: (n,) complex of length 1, its direction; nan where unknown.
        velocity: (n, windows) complex, over each of `WINDOWS`; nan where there is no detection in
            that direction.
    """

    pose: np.ndarray
    trust: np.ndarray
    heading: np.ndarray
    velocity: np.ndarray


@dataclass(frozen=True)
class State:
    """What is known about each detection as an end of a link, by row.

    Attributes:
        bodies: The detections.
        arriving: What those before it in its stretch tell, with velocities from there.
        leaving: What those after it tell, with velocities towards there.
        time: (n,) int, its time.
    """

    bodies: Bodies
    arriving: Side
    leaving: Side
    time: np.ndarray


def know(
    bodies: Bodies, time: np.ndarray, before: np.ndarray, after: np.ndarray, rows: np.ndarray
) -> State:
    """Collect what is known about detections in stretches.

    Args:
        bodies: Their bodies.
        time: (n,) their times.
        before: (n,) row of the detection before in its stretch; -1 for none.
        after: (n,) row of the one after; -1 for none.
        rows: Rows that are asked for; of others nothing is collected.
    """
    arriving, leaving = (_side(bodies, time, toward, rows) for toward in (before, after))
    return State(bodies, arriving, leaving, time)


def _side(bodies: Bodies, time: np.ndarray, before: np.ndarray, rows: np.ndarray) -> Side:
    """Collect what the detections before tell; `before` may lead forward in time as well."""
    n, nodes = bodies.points.shape
    side = Side(
        np.full((n, nodes), np.nan, dtype=complex),
        np.zeros((n, nodes), dtype=np.float32),
        np.full(n, np.nan, dtype=complex),
        np.full((n, len(WINDOWS)), np.nan, dtype=complex),
    )
    for start in range(0, len(rows), AT_ONCE):
        chain = [rows[start : start + AT_ONCE]]
        for _ in range(WINDOWS[-1]):
            chain.append(np.where(chain[-1] >= 0, before[chain[-1]], -1))
        part = chain[0]
        side.pose[part], side.trust[part], moved = carried(bodies, chain)
        side.heading[part] = bodies.place(side.pose[part])[1]
        for which, window in enumerate(WINDOWS):
            # The earliest detection within the window.
            origin = part
            for earlier in chain[1 : window + 1]:
                origin = np.where(earlier >= 0, earlier, origin)
            span = time[part] - time[origin]
            way = sum(moved[:window])
            side.velocity[part, which] = np.where(span != 0, way / np.where(span, span, 1), np.nan)
    return side


def carried(
    bodies: Bodies, chain: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Carry nodes along with those that are found.

    Args:
        bodies: The detections.
        chain: (k,) rows each, from the newest detection to the oldest; -1 for none.

    Returns:
        (k, nodes) complex, the newest pose with what is missing; (k, nodes) how far each node can
        be trusted; and (k,) complex each, how far it moved to each detection from the one before,
        the newest first; 0 where there is none.
    """
    pose = _seen(bodies, chain[-1])
    moved = []
    way = np.zeros(pose.shape, dtype=np.float32)
    for rows, earlier in zip(chain[-2::-1], chain[:0:-1], strict=True):
        seen = _seen(bodies, rows)
        step = shift(pose, seen)
        centers = bodies.center[rows] - bodies.center[earlier]
        step = np.where(np.isnan(step), centers, step)
        step = np.where((rows >= 0) & (earlier >= 0), step, 0)
        missing = np.isnan(seen)
        pose = np.where(missing, pose + step[:, None], seen)
        way = np.where(missing, way + np.abs(step)[:, None].astype(np.float32), 0)
        moved.append(step)
    return pose, 1 / (1 + (way / ASTRAY) ** 2), moved[::-1]


def _seen(bodies: Bodies, rows: np.ndarray) -> np.ndarray:
    """Return the poses of rows, (k, nodes); nan for the row -1."""
    return np.where((rows >= 0)[:, None], bodies.points[rows], NOWHERE)


def shift(pose: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the mean movement of the nodes that two poses share, (k,); nan where there are none.

    Args:
        pose: (k, nodes) complex; nan where a node is missing.
        other: (k, nodes) complex, likewise.
    """
    way = other - pose
    shared = ~np.isnan(way)
    count = shared.sum(axis=1)
    total = np.where(shared, way, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class Comparison(NamedTuple):
    """Ends of links compared by the nodes that both have, (k,) each.

    Attributes:
        gap: Frames between them.
        step: Complex, the way from the one to the other.
        turn: Cosine of the turn from the one to the other; a change of posture counts as a turn.
            nan where fewer than two nodes are shared.
        lie: Squared distance of the mean of the shared nodes from the body's centre.
        noise: Variance of the step, in variances of a node, beyond that of whole poses.
        swing: Variance of the turn, likewise.
    """

    gap: np.ndarray
    step: np.ndarray
    turn: np.ndarray
    lie: np.ndarray
    noise: np.ndarray
    swing: np.ndarray


def compare(state: State, rows: np.ndarray, others: np.ndarray) -> Comparison:
    """Compare the ends of links; far apart or without a shared node, their centres tell the step.

    Args:
        state: What is known about the detections.
        rows: (k,) rows of the earlier detections.
        others: (k,) rows of the later ones.
    """
    bodies = state.bodies
    step = bodies.center[others] - bodies.center[rows]
    gap = (state.time[others] - state.time[rows]).astype(float)
    seen = Comparison(gap, step, np.full(len(gap), np.nan), *np.zeros((3, len(gap))))
    near = np.flatnonzero(np.abs(step) < FAR)
    for start in range(0, len(near), AT_ONCE):
        part = near[start : start + AT_ONCE]
        for column, found in zip(seen[1:], _nodewise(state, rows[part], others[part]), strict=True):
            column[part] = found
    return seen


def _nodewise(state: State, rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, ...]:
    """Compare poses node by node: all of `Comparison` but the gap."""
    bodies = state.bodies
    nodes = len(bodies.body)
    one, two = state.arriving.pose[rows], state.leaving.pose[others]
    shared = ~np.isnan(one + two)
    found = shared.sum(axis=1)
    weight = np.where(shared, state.arriving.trust[rows] * state.leaving.trust[others], 0)
    count = np.maximum(weight.sum(axis=1), EQUAL)
    one, two = np.where(shared, one, 0), np.where(shared, two, 0)
    start, goal = ((weight * points).sum(axis=1) / count for points in (one, two))
    one, two = one - start[:, None], two - goal[:, None]
    inner = (weight * (one.real * two.real + one.imag * two.imag)).sum(axis=1)
    # Twice the product of equal shapes is the sum of their squares; bent or turned ones have less.
    size = np.maximum((weight * (_squares(one) + _squares(two))).sum(axis=1), EQUAL)
    turn = np.where(found > 1, np.clip(2 * inner / size, -1, 1), np.nan)
    step = np.where(found > 0, goal - start, bodies.center[others] - bodies.center[rows])
    lie = np.abs((weight * bodies.body).sum(axis=1) / count) ** 2
    swing = np.maximum(8 * np.maximum(count - 1, 0.5) / size - 4 * (nodes - 1) / extent(bodies), 0)
    return step, turn, lie, 2 / count - 2 / nodes, swing


def extent(bodies: Bodies) -> float:
    """Return the sum of the squared distances of the typical body's nodes from their mean."""
    return max(float(_squares(bodies.body - bodies.body.mean()).sum()), EQUAL)


def _squares(points: np.ndarray) -> np.ndarray:
    return np.asarray(points.real**2 + points.imag**2)
