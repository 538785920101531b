"""Mixed poses: one detection that is made of nodes of two animals.

A network that groups nodes to animals may give one animal's tail to another that it touches. Such a
pose fits neither of them, and whoever comes out of the contact is as near to it as anybody. But
each of its nodes goes on with the animal that it belonged to. So two animals are followed from a
moment at which both are whole, node by node, to the next one. What that says is believed where the
poses become more like the typical body: else those before and after may be the mixed ones.
"""

from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from sleap_lab.tracking.bodies import Bodies, mean_square
from sleap_lab.tracking.ends import WINDOWS, carried, shift
from sleap_lab.tracking.stretches import slots
from sleap_lab.tracking.tracklets import MARGIN

CLEARLY = 2.0  # usual changes of shape beyond which a pose may be mixed
BESIDE = 1.5  # body lengths within which two animals may be mixed
FAR = 16.0  # variances beyond which a node is nobody's
LONGEST = 64  # moments after which two animals are no longer followed
PARTS = 4  # poses that two animals are found as, at most
ROUNDS = 2  # of giving nodes to animals, and placing animals by their nodes
NORMAL = 2 * np.log(2)  # median squared distance in the plane, in variances of an axis
LAID = 1.5  # nodes whose error is taken up by laying a body on a pose
AT_ONCE = 20_000  # moments that are looked at together, for the sake of memory
NOBODY = -1


class Steps(NamedTuple):
    """How each detection differs from the nearest one of the moment before, (n,) each.

    Attributes:
        before: Its row; -1 for none.
        step: Complex, mean step of the shared nodes; nan without any.
        change: Mean square distance of the shared nodes beyond that; nan for fewer than two.
        shared: How many nodes that is.
    """

    before: np.ndarray
    step: np.ndarray
    change: np.ndarray
    shared: np.ndarray


class Spread(NamedTuple):
    """How far off things are a moment later: variance per axis, squared body lengths.

    Attributes:
        node: Of a node from its place in the body.
        step: Of the body from where its last step leads, or from where it was.
    """

    node: float
    step: float


class Pair(NamedTuple):
    """Two animals that are followed.

    Attributes:
        poses: (2, nodes) complex, where their nodes were last, or would have been.
        velocity: (2,) complex, in a moment.
        age: (2,) moments since they were seen.
    """

    poses: np.ndarray
    velocity: np.ndarray
    age: np.ndarray


Change = tuple[int, np.ndarray]
"""A row, and the (nodes,) complex that it gets."""


def part_mixed(bodies: Bodies, time: np.ndarray, whole: np.ndarray) -> tuple[Bodies, np.ndarray]:
    """Give the nodes of mixed poses back to the animals that they belong to.

    Of two mixed poses each gets the nodes of one animal; one without the other keeps those of the
    animal of which it has more.

    Args:
        bodies: Detections of one video.
        time: (n,) time of each.
        whole: (n,) true for detections that are known to be whole.

    Returns:
        The detections, and (n,) which of them have other nodes than before.
    """
    _, table = slots(time)
    mended = np.zeros(len(time), dtype=bool)
    if not bodies.radius or table.shape[1] < 2:
        return bodies, mended
    points = bodies.points.copy()
    unit = _usual_misfit(bodies)
    for moments in (table, table[::-1]):  # who is hidden on one side may be seen on the other
        now = replace(bodies, points=points)
        steps = _steps(now, moments)
        spread = _spread(steps)
        for moment, *two in _starts(now, moments, steps, spread):
            pair = _pair(now, steps.before, np.array(two))
            run = _followed(points, moments[moment : moment + LONGEST], pair, spread)
            if run and not whole[[row for row, _ in run]].any() and _fits(now, run, unit):
                for row, nodes in run:
                    points[row], mended[row] = nodes, True
    rows = mended.nonzero()[0]
    center, heading = bodies.center.copy(), bodies.heading.copy()
    center[rows], heading[rows] = bodies.place(points[rows])
    return replace(bodies, points=points, center=center, heading=heading), mended


def _steps(bodies: Bodies, table: np.ndarray) -> Steps:
    """Compare each detection with the nearest one of the moment before.

    Args:
        bodies: The detections.
        table: (moments, most) rows of each moment, -1 where none is.
    """
    n = len(bodies.points)
    steps = Steps(np.full(n, -1), np.full(n, np.nan + 0j), np.full(n, np.nan), np.zeros(n))
    for start in range(1, len(table), AT_ONCE):
        later = table[start : start + AT_ONCE]
        moment, place = (later >= 0).nonzero()
        rows, beside = later[moment, place], table[start - 1 :][moment]
        off = bodies.points[rows][:, None] - bodies.points[beside]  # (k, most, nodes)
        off[beside < 0] = np.nan
        far = np.nan_to_num(mean_square(np.abs(off)), nan=np.inf)
        nearest = far.argmin(axis=1)
        which = np.isfinite(far.min(axis=1)).nonzero()[0]
        own, off = rows[which], off[which, nearest[which]]
        steps.before[own] = beside[which, nearest[which]]
        steps.step[own] = step = shift(np.zeros_like(off), off)
        steps.shared[own] = (~np.isnan(off)).sum(axis=1)
        steps.change[own] = mean_square(np.abs(off - step[:, None]))
    steps.change[steps.shared < 2] = np.nan
    return steps


def _spread(steps: Steps) -> Spread:
    """Learn how much animals usually change, whoever they are."""
    change = steps.change * steps.shared / np.maximum(steps.shared - 1, 1)
    velocity = np.where(steps.before >= 0, steps.step[steps.before], np.nan)
    odd = np.fmin(np.abs(steps.step - velocity), np.abs(steps.step)) ** 2
    node, step = (
        float(np.median(known)) / NORMAL if len(known := off[~np.isnan(off)]) else np.inf
        for off in (change, odd)
    )
    return Spread(max(node, 1e-12), max(step, 1e-12))


def _starts(
    bodies: Bodies, table: np.ndarray, steps: Steps, spread: Spread
) -> list[tuple[int, int, int]]:
    """Return moments that may hold mixed poses, and which two of the moment before may be in them.

    They are where the shape changes, and some nodes are nearer to the one animal and some to the
    other.

    Args:
        bodies: The detections.
        table: (moments, most) rows of each moment, -1 where none is.
        steps: What they differ from those of the moment before by.
        spread: How much animals change.
    """
    if np.isnan(steps.change).all():
        return []
    odd = steps.change > CLEARLY**2 * np.nanmedian(steps.change)
    moment, place = ((table >= 0) & odd[table]).nonzero()
    rows = table[moment, place]
    before = steps.before[rows]
    beside = table[moment - 1]
    near = np.abs(bodies.center[before][:, None] - bodies.center[beside]) < BESIDE
    near &= (beside >= 0) & (beside != before[:, None])
    which, other = near.nonzero()
    one, two = before[which], beside[which, other]
    off = []
    for animal in (one, two):
        way = bodies.points[rows[which]] - bodies.points[animal]
        going = np.abs(way - np.nan_to_num(steps.step[animal])[:, None])
        square = np.minimum(np.abs(way), going) ** 2 / (spread.node + spread.step)
        off.append(np.minimum(square, FAR))
    both = np.minimum(*off)
    alone = np.minimum(*(np.where(np.isnan(both), 0, own).sum(axis=1) for own in off))
    gain = alone - np.nansum(both, axis=1)
    found = np.stack([moment[which], np.minimum(one, two), np.maximum(one, two)], axis=1)
    return [(int(a), int(b), int(c)) for a, b, c in np.unique(found[gain > 0], axis=0)]


def _pair(bodies: Bodies, before: np.ndarray, rows: np.ndarray) -> Pair:
    """Return two detections with what those before them tell."""
    chain = [rows]
    for _ in range(WINDOWS[-1]):
        chain.append(np.where(chain[-1] >= 0, before[chain[-1]], -1))
    poses, _, moved = carried(bodies, chain)
    return Pair(poses, moved[0], np.ones(2))


def _followed(points: np.ndarray, table: np.ndarray, pair: Pair, spread: Spread) -> list[Change]:
    """Return what mixed poses become until both animals are whole; nothing if that is never.

    Args:
        points: (n, nodes) complex, all detections.
        table: (moments, most) rows of each moment, -1 where none is; the first is mixed.
        pair: The animals before.
        spread: How much animals change.
    """
    changes: list[Change] = []
    for beside in table:
        rows = beside[beside >= 0]
        rows = rows[_concerned(points[rows], pair, spread)]
        if len(rows) > PARTS:
            return []
        seen = points[rows]
        owner, mixed = _explained(seen, pair, spread)
        found = np.full(pair.poses.shape, np.nan + 0j)
        for nodes, belong in zip(seen, owner, strict=True):
            for own, animal in zip(found, (0, 1), strict=True):
                own[belong == animal] = nodes[belong == animal]
        if mixed:
            changes += _given_back(rows, seen, owner, found)
        elif not changes:
            return []
        elif (~np.isnan(found)).any(axis=1).all():
            return changes
        pair = _moved(pair, found)
    return []


def _concerned(seen: np.ndarray, pair: Pair, spread: Spread) -> np.ndarray:
    """Return which poses are near the nodes of two animals, (k,)."""
    variance = spread.node * pair.age + spread.step * pair.age**2
    still = np.abs(seen[:, None] - pair.poses) ** 2  # (k, 2, nodes)
    going = np.abs(seen[:, None] - pair.poses - (pair.velocity * pair.age)[:, None]) ** 2
    off = np.fmin(still, going) / variance[:, None]
    nearest = np.fmin(np.fmin(off[:, 0], off[:, 1]), FAR)
    return np.nan_to_num(mean_square(np.sqrt(nearest)), nan=np.inf) < FAR / 2


def _explained(seen: np.ndarray, pair: Pair, spread: Spread) -> tuple[np.ndarray, bool]:
    """Return the animal of each node of some poses, (k, nodes), and whether they are mixed.

    They are where nodes of two animals are the likelier explanation by `MARGIN`, and by a factor of
    two for each node, since it may be either's.
    """
    if not len(seen):
        return np.zeros(seen.shape, dtype=int), False
    there = ~np.isnan(seen)
    known = there & ~np.isnan(pair.poses).any(axis=0)
    options = np.array(list(product((0, 1), repeat=len(seen)))).reshape(-1, len(seen), 1)
    cost, shifts = _cost(np.where(known, options, NOBODY), seen, pair, spread, there)
    best = int(cost.argmin())
    whole = np.where(there, options[best], NOBODY)
    needed = MARGIN + np.log(2) * known.any(axis=0).sum()
    if cost[best] / 2 < needed:
        return whole, False
    shifts = np.stack([shifts[best], pair.velocity * pair.age, np.zeros(2)])
    for _ in range(ROUNDS):
        owner = _nearest(seen, pair, shifts, known, spread)
        parted, shifts = _cost(owner, seen, pair, spread, there)
    least = int(parted.argmin())
    if (cost[best] - parted[least]) / 2 < needed:
        return whole, False
    own = owner[least]
    more = np.sum(own == 1, axis=1) - np.sum(own == 0, axis=1)
    rest = np.select([more > 0, more < 0], [1, 0], NOBODY)
    own = np.where(there & ~known, rest[:, None], own)  # these go with most of their pose
    return own, bool(((own == 0).any(axis=1) & (own == 1).any(axis=1)).any())


def _cost(
    owner: np.ndarray, seen: np.ndarray, pair: Pair, spread: Spread, there: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return twice the cost of explanations, (h,), and how far the animals have gone then, (h, 2).

    Args:
        owner: (h, k, nodes) animal of each node.
        seen: (k, nodes) complex.
        pair: The animals.
        spread: How much animals change.
        there: (k, nodes) which nodes were found.
    """
    cost, shifts = np.zeros(len(owner)), np.zeros((len(owner), 2), dtype=complex)
    for animal in (0, 1):
        mine = owner == animal
        way = np.where(there, np.nan_to_num(seen - pair.poses[animal]), 0)
        age = pair.age[animal]
        node, step = spread.node * age, spread.step * age**2
        count, total = mine.sum(axis=(1, 2)), np.where(mine, way, 0).sum(axis=(1, 2))
        own = np.full(len(owner), np.inf)
        for aim in (pair.velocity[animal] * age, 0j):
            place = (total / node + aim / step) / (count / node + 1 / step)
            off = np.minimum(np.abs(way - place[:, None, None]) ** 2 / node, FAR)
            found = np.where(mine, off, 0).sum(axis=(1, 2)) + np.abs(place - aim) ** 2 / step
            shifts[:, animal] = np.where(found < own, place, shifts[:, animal])
            own = np.minimum(own, found)
        cost += own
        cost += FAR * np.maximum(mine.sum(axis=1) - 1, 0).sum(axis=1)  # a node is in one place
    return cost, shifts


def _nearest(
    seen: np.ndarray, pair: Pair, shifts: np.ndarray, known: np.ndarray, spread: Spread
) -> np.ndarray:
    """Return the nearest animal of each node, (h, k, nodes); of two of a kind each gets one.

    Args:
        seen: (k, nodes) complex.
        pair: The animals.
        shifts: (h, 2) complex, how far each is believed to have gone.
        known: (k, nodes) true for nodes that can be compared.
        spread: How much animals change.
    """
    placed = pair.poses + shifts[:, :, None]
    off = np.abs(seen[:, None] - placed[:, None]) ** 2 / (spread.node * pair.age)[:, None]
    off = np.where(known[:, None], np.nan_to_num(off), FAR * 1e6)  # (h, k, 2, nodes)
    nearer = off.argmin(axis=2)
    if len(seen) < 2:
        return np.where(known, nearer, NOBODY)
    both = off[:, :, None, 0] + off[:, None, :, 1]  # (h, k, k, nodes)
    each = np.arange(len(seen))
    both[:, each, each] = np.inf
    pick = both.reshape(len(off), -1, seen.shape[1]).argmin(axis=1)[:, None]
    own = np.where(each[:, None] == pick // len(seen), 0, NOBODY)
    own = np.where(each[:, None] == pick % len(seen), 1, own)
    return np.where(known, np.where(known.sum(axis=0) == 1, nearer, own), NOBODY)


def _given_back(
    rows: np.ndarray, seen: np.ndarray, owner: np.ndarray, found: np.ndarray
) -> list[Change]:
    """Return what some poses become: each animal is one of them, the rest keep what they have.

    Args:
        rows: (k,) their rows.
        seen: (k, nodes) complex.
        owner: (k, nodes) animal of each node.
        found: (2, nodes) complex, the animals.
    """
    count = np.stack([(owner == animal).sum(axis=1) for animal in (0, 1)])
    more = count.argmax(axis=0)
    if len(rows) == 1:
        stands = {0: int(more[0])}
    else:
        both = count[0][:, None] + count[1]
        np.fill_diagonal(both, -1)
        one, two = divmod(int(both.argmax()), len(rows))
        stands = {one: 0, two: 1}
    changes = []
    for k, row in enumerate(rows):
        nodes = found[stands[k]] if k in stands else np.where(owner[k] == more[k], seen[k], np.nan)
        if not np.isnan(nodes).all():
            changes.append((int(row), nodes))
    return changes


def _moved(pair: Pair, found: np.ndarray) -> Pair:
    """Return the animals a moment later, by the (2, nodes) that were found of them."""
    step = shift(pair.poses, found)
    there = ~np.isnan(step)
    carry = pair.poses + np.where(there, step, 0)[:, None]
    return Pair(
        np.where(np.isnan(found), carry, found),
        np.where(there, step / pair.age, pair.velocity),
        np.where(there, 1.0, pair.age + 1),
    )


def _usual_misfit(bodies: Bodies) -> np.ndarray:
    """Return (nodes,) the usual squared distance of each node from the body laid on its pose."""
    off = bodies.off(bodies.points) ** 2
    known = ~np.isnan(off).all(axis=0)
    usual = np.full(off.shape[1], np.inf)
    usual[known] = np.nanmedian(off[:, known], axis=0) / NORMAL + 1e-6
    return usual


def _fits(bodies: Bodies, run: list[Change], usual: np.ndarray) -> bool:
    """Return whether changes make poses more like the typical body, by `MARGIN`."""
    old = bodies.points[[row for row, _ in run]]
    new = np.stack([nodes for _, nodes in run])
    rest = np.where(np.isin(old, new[~np.isnan(new)]), np.nan, old)
    parts, left = ((~np.isnan(part)).sum(axis=1) for part in (new, rest))
    tell = (parts > 1) & (left != 1)  # a single node fits any body
    old, new, rest = old[tell], new[tell], rest[tell & (left > 0)]

    def misfit(points: np.ndarray) -> float:
        return float(np.nansum(bodies.off(points) ** 2 / usual) + 2 * LAID * len(points))

    return (misfit(old) - misfit(new) - misfit(rest)) / 2 > MARGIN
