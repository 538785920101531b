"""A second look at every contact: does the animal that comes out look like the one that went in?

How animals move says little where one hides another for long. But animals differ in size and shape,
and what they look like before and after all contacts, taken together, tells them apart where single
poses cannot. For every two animals that may have been confused, the parts between their contacts
are compared: part by part the difference of their mean shapes points the same way, unless they were
confused between. How far such differences can be trusted is learned from how much they vary.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.terminal import Watch
from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.stretches import Stretches
from sleap_lab.tracking.watch import unwatched

WORST = 25.0  # an exchange that motion makes dearer than this is not looked at
STEADY = 30.0  # frames beyond which a mean shape gets no more certain: posture changes slowly
EQUAL = 1e-4  # body lengths by which a node must vary to say anything
OUTLIER = 4.0  # a node further off than so many usual distances counts as being there
RIDGE = 0.1  # share of the mean variance that every direction has at least
BLOCKS = 8  # means of so many blocks of frames at least tell how much traits vary
ROUNDS = 10
SWEEPS = 3

Cost = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Doubts(NamedTuple):
    """Moments at which two animals may have been confused, in order of time.

    Attributes:
        own: (k,) row from which the one animal's link leads.
        other: (k,) row from which the other's leads.
        price: (k,) what exchanging what follows costs.
    """

    own: np.ndarray
    other: np.ndarray
    price: np.ndarray


class Verdict(NamedTuple):
    """What was found about the doubts of two animals.

    Attributes:
        exchanged: (k,) true where what follows is to be exchanged.
        margin: (k,) logarithm of the odds that this is right.
    """

    exchanged: np.ndarray
    margin: np.ndarray


def look_again(
    bodies: Bodies,
    stretches: Stretches,
    doubtful: np.ndarray,
    cost: Cost,
    real: np.ndarray,
    watch: Watch = unwatched,
) -> tuple[Stretches, np.ndarray]:
    """Exchange what follows contacts where shape says so.

    Args:
        bodies: The detections.
        stretches: Detections joined to animals.
        doubtful: (n,) true for detections whose link to the one before may be wrong.
        cost: Gives the cost of links between rows.
        real: (n,) true for detections of an animal.
        watch: Is told how far this is; fewer sweeps than it expects may do.

    Returns:
        The stretches, and (n,) logarithm of the odds that the link to each detection is right; nan
        where shape says nothing about it.
    """
    margin = np.full(len(real), np.nan)
    traits = _traits(bodies)
    if not traits.shape[1]:  # single nodes, or bodies that are all the same
        return stretches, margin
    for sweep in range(SWEEPS):
        margin[:] = np.nan
        before, after = stretches.before.copy(), stretches.after.copy()
        pairs = _pairs(stretches, doubtful, cost, real)
        changed = False
        for number, (own, other, doubts) in enumerate(pairs):
            watch(sweep * len(pairs) + number, SWEEPS * len(pairs))
            if not (
                np.array_equal(before[own], stretches.before[own])
                and np.array_equal(before[other], stretches.before[other])
            ):
                changed = True  # looked at in the next sweep
                continue
            verdict = _judge(traits, own, other, doubts)
            for row, partner in (
                (doubts.own, doubts.other),
                (doubts.other, doubts.own),
            ):
                goal = np.where(verdict.exchanged, stretches.after[partner], stretches.after[row])
                after[row], before[goal] = goal, row
                margin[goal] = np.fmin(margin[goal], verdict.margin)
            changed |= bool(verdict.exchanged.any())
        stretches = Stretches(before, after)
        if not changed:
            break
    return stretches, margin


def _traits(bodies: Bodies) -> np.ndarray:
    """Return (n, 2 nodes) where each node is, in usual distances from its usual place.

    nan where it is missing; outliers are drawn in.
    """
    shapes = bodies.shapes()
    traits = np.concatenate([shapes.real, shapes.imag], axis=1)
    varying = []
    for trait in traits.T:  # one by one, for the sake of memory
        seen = trait[~np.isnan(trait)]
        usual = np.median(np.abs(seen - np.median(seen))) if len(seen) else 0.0
        varying.append(bool(usual > EQUAL))
        if varying[-1]:
            np.clip((trait - np.median(seen)) / usual, -OUTLIER, OUTLIER, out=trait)
    return traits if all(varying) else traits[:, varying]


def _pairs(
    stretches: Stretches, doubtful: np.ndarray, cost: Cost, real: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, Doubts]]:
    """Return the rows of every two animals that may have been confused, and where.

    The pairs of which motion knows least come first.
    """
    first = stretches.first()
    rows = np.flatnonzero(real)
    rows = rows[np.lexsort((rows, first[rows]))]  # rows are in order of time
    animals = np.split(rows, np.flatnonzero(np.diff(first[rows])) + 1)
    found = [
        (own, other, doubts)
        for a, own in enumerate(animals[1:], start=1)
        for other, doubts in zip(
            animals[:a], _doubts(stretches, own, animals[:a], doubtful, cost), strict=True
        )
        if len(doubts.price)
    ]
    return sorted(found, key=lambda pair: (pair[2].price.min(), pair[2].price.sum()))


def _doubts(
    stretches: Stretches,
    own: np.ndarray,
    others: Sequence[np.ndarray],
    doubtful: np.ndarray,
    cost: Cost,
) -> list[Doubts]:
    """Return where an animal and each of some others may have been confused.

    The costs of all are computed at once: many animals have so many pairs that calls take long.
    """
    spans = [_span_one_moment(stretches, own, other, doubtful) for other in others]
    a, c, b, d = (np.concatenate(column) for column in zip(*spans, strict=True))
    price = cost(a, d) + cost(b, c) - cost(a, c) - cost(b, d)
    ends = np.cumsum([len(span[0]) for span in spans])[:-1]
    return [
        _likeliest(*part)
        for part in zip(*(np.split(column, ends) for column in (a, b, price)), strict=True)
    ]


def _span_one_moment(
    stretches: Stretches, own: np.ndarray, other: np.ndarray, doubtful: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return the ends of doubtful links of two animals, both of which span one moment, (k,) each.

    Returns:
        Rows from which the one animal's link leads, and to which; likewise of the other.
    """
    to, goal = (rows[doubtful[rows]] for rows in (own, other))
    row, partner = stretches.before[to], stretches.before[goal]
    # Rows are in order of time, links of one animal follow each other.
    low, high = np.searchsorted(goal, row, side="right"), np.searchsorted(partner, to)
    many = np.maximum(high - low, 0)
    pick = np.repeat(np.arange(len(to)), many)
    which = np.arange(len(pick)) + np.repeat(low - np.cumsum(many) + many, many)
    return row[pick], to[pick], partner[which], goal[which]


def _likeliest(own: np.ndarray, other: np.ndarray, price: np.ndarray) -> Doubts:
    """Choose doubts so that each link is exchanged with one other at most, the likeliest."""
    order = np.argsort(price, kind="stable")
    order = order[price[order] < WORST]
    for rows in (own, other):
        order = order[np.sort(np.unique(rows[order], return_index=True)[1])]
    order = order[np.argsort(own[order])]
    return Doubts(own[order], other[order], price[order])


def _judge(traits: np.ndarray, own: np.ndarray, other: np.ndarray, doubts: Doubts) -> Verdict:
    """Decide about all doubts of two animals together.

    Args:
        traits: (n, m) traits of every detection; nan where missing.
        own: (a,) rows of the one animal.
        other: (b,) rows of the other.
        doubts: Where they may have been confused.
    """
    one, many = _means(traits, own, np.searchsorted(own, doubts.own, side="right"))
    two, more = _means(traits, other, np.searchsorted(other, doubts.other, side="right"))
    difference = np.nan_to_num(one - two)
    frames = many * more / np.maximum(many + more, 1)
    noise = _noise(traits, own, other)
    noise += RIDGE * np.trace(noise) / max(len(noise), 1) * np.eye(len(noise))
    # Seen so that all directions vary alike and alone, what differs most shows best.
    values, axes = np.linalg.eigh(noise)
    difference = difference @ axes / np.sqrt(np.maximum(values, 1e-12))
    noise = np.eye(len(noise))
    straight = np.ones(len(frames))
    best = _settle(difference, frames, noise, doubts.price, straight)
    guess = _settle(difference, frames, noise, doubts.price, _alike(difference, frames))
    if guess[0] > best[0]:
        best = guess
    _, sign, odds = best
    return Verdict(sign[1:] != sign[:-1], odds)


def _means(
    traits: np.ndarray, rows: np.ndarray, borders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean traits of each part of an animal, (parts, m), nan for none, and its frames.

    Args:
        traits: (n, m) traits of every detection.
        rows: (a,) rows of the animal.
        borders: (parts - 1,) places in `rows` at which parts begin.
    """
    known = ~np.isnan(traits[rows])
    starts = np.concatenate([[0], borders, [len(rows)]])

    def sums(values: np.ndarray) -> np.ndarray:
        total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
        return total[starts[1:]] - total[starts[:-1]]

    count = sums(known.astype(float))
    mean = sums(np.where(known, traits[rows], 0)) / np.where(count, count, np.nan)
    return mean, np.diff(starts).astype(float)


def _noise(traits: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return (m, m) the covariance of the difference of the traits of two detections.

    Posture lasts, so what counts is how much means over many frames differ from those over the
    next, as if single frames that know nothing of each other had varied so much.
    """
    total = np.zeros((traits.shape[1], traits.shape[1]))
    for rows in (own, other):
        size = int(np.clip(len(rows) // BLOCKS, 1, STEADY))
        starts = np.arange(size, len(rows) - size // 2, size)
        mean, _ = _means(traits, rows, starts)
        step = np.nan_to_num(np.diff(mean, axis=0))
        total += size / 2 * np.einsum("ki,kj->ij", step, step) / max(len(step), 1)
    return total


def _alike(difference: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return a first guess of which parts point the same way: signs of the main direction."""
    weight = np.sqrt(frames / (frames + STEADY))[:, None] * difference
    _, vectors = np.linalg.eigh(np.einsum("ki,kj->ij", weight, weight))
    sign = np.where(np.sum(difference * vectors[:, -1], axis=1) < 0, -1.0, 1.0)
    return sign * sign[np.argmax(frames)]


def _settle(
    difference: np.ndarray,
    frames: np.ndarray,
    noise: np.ndarray,
    price: np.ndarray,
    sign: np.ndarray,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Settle which parts are exchanged, starting from a guess.

    Returns:
        How good the answer is, (parts,) signs, and (parts - 1,) logarithm of the odds that what is
        said of each border between parts is right.
    """
    for _ in range(ROUNDS):
        evidence = _evidence(difference, frames, noise, sign)
        settled, _ = _chain(evidence, price)
        if np.array_equal(settled, sign):
            break
        sign = settled
    evidence = _evidence(difference, frames, noise, sign)
    exchanged = sign[1:] != sign[:-1]
    worth = float(np.sum(evidence * sign) / 2 - price[exchanged].sum())
    _, odds = _chain(evidence, price)
    return worth, sign, np.where(exchanged, odds, -odds)


def _evidence(
    difference: np.ndarray, frames: np.ndarray, noise: np.ndarray, sign: np.ndarray
) -> np.ndarray:
    """Return (parts,) logarithm of the odds that each part is not exchanged, judged by the others.

    Args:
        difference: (parts, m) mean traits of one animal minus the other.
        frames: (parts,) frames on which they rest, 0 where one was not seen.
        noise: (m, m) covariance of such a difference between single frames.
        sign: (parts,) 1 or -1, what is believed of each part.
    """
    weight = frames / (frames + STEADY)
    signed = (weight * sign)[:, None] * difference
    rest, share = signed.sum(axis=0) - signed, weight.sum() - weight
    direction = rest / np.where(share > 0, share, 1)[:, None]
    length = np.sqrt(np.sum(direction**2, axis=1))
    usable = (length > 0) & (frames > 0)
    unit = direction / np.where(length > 0, length, 1)[:, None]
    score = np.sum(unit * difference, axis=1)
    spread = np.einsum("ki,ij,kj->k", unit, noise, unit)
    # The others' mean is uncertain, too: what it promises is drawn towards nothing.
    doubt = np.trace(noise) / np.maximum(share, 1e-9) / STEADY
    promise = length * np.clip(1 - doubt / np.maximum(length**2, 1e-12), 0, 1)
    vary = 1 / np.maximum(frames, 1) + 1 / STEADY
    missed = np.where(usable, (sign * score - promise) ** 2 / vary, 0)
    seen = np.where(usable, weight, 0)
    between = (seen * missed).sum() / max(seen.sum(), 1e-9)
    variance = np.maximum(spread, between) * vary
    freedom = max(float(seen.sum()), 1.0)
    near, far = (
        1 + (score - side * promise) ** 2 / (freedom * np.maximum(variance, 1e-12))
        for side in (1, -1)
    )
    return np.where(usable, (freedom + 1) / 2 * np.log(far / near), 0.0)


def _chain(evidence: np.ndarray, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeliest signs of a chain of parts, and how likely each border is a change.

    Args:
        evidence: (parts,) logarithm of the odds of the sign 1.
        price: (parts - 1,) logarithm of the odds against a change of sign at each border.

    Returns:
        (parts,) signs, and (parts - 1,) logarithm of the odds of a change.
    """
    half = np.stack([evidence, -evidence], axis=1) / 2
    best = [half[0]]
    came = []
    forward = [half[0]]
    for own, cost in zip(half[1:], price, strict=True):
        stay, change = best[-1], best[-1][::-1] - cost
        came.append(change > stay)
        best.append(own + np.maximum(stay, change))
        forward.append(own + np.logaddexp(forward[-1], forward[-1][::-1] - cost))
    backward = [np.zeros(2)]
    for own, cost in zip(half[:0:-1], price[::-1], strict=True):
        further = backward[-1] + own
        backward.append(np.logaddexp(further, further[::-1] - cost))
    backward.reverse()
    state = int(np.argmax(best[-1]))
    states = [state]
    for change in reversed(came):
        state = 1 - state if change[state] else state
        states.append(state)
    sign = 1.0 - 2.0 * np.array(states[::-1])
    to_here, onwards, from_here = np.array(forward)[:-1], half[1:], np.array(backward)[1:]
    changed = np.logaddexp(*(to_here[:, ::-1] + onwards + from_here).T) - price
    odds = changed - np.logaddexp(*(to_here + onwards + from_here).T)
    return sign, odds
