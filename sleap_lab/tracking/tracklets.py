"""Tracklets: stretches of detections that without doubt are one animal."""

from collections.abc import Callable

import numpy as np

from sleap_lab.terminal import Watch
from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.evidence import learn
from sleap_lab.tracking.motion import LEAP
from sleap_lab.tracking.stretches import Stretches, joined, slots
from sleap_lab.tracking.watch import unwatched

MARGIN = 5.0  # a link is sure where any other is worse by this much (odds of 150 to 1)
MEMORY = 12  # frames for which an animal that is not seen may come out beside another
ROUNDS = 3  # each is shown by the links of the one before
AT_ONCE = 200_000  # pairs that are compared at once, for the sake of memory

Pairs = tuple[np.ndarray, np.ndarray]


def find_tracklets(bodies: Bodies, time: np.ndarray, watch: Watch = unwatched) -> Stretches:
    """Find the links of which there is no doubt.

    A link of two successive moments is sure where each is by far the likeliest for the other, where
    a new beginning is less likely, too, and where nobody who was lost a while ago, or will be seen
    again in a while, may be meant instead.

    Args:
        bodies: Detections of one video.
        time: (n,) int, time of each.
        watch: Is told which rounds are done.
    """
    at, table = slots(time)
    likely = joined(len(time), *_best(table, bodies.apart))
    for done in range(ROUNDS - 1):
        watch(done, ROUNDS)
        likely = _likelier(bodies, time, table, likely)
    watch(ROUNDS - 1, ROUNDS)
    evidence = learn(bodies, time, likely, np.arange(len(time)))
    sure = _best(table, evidence.cost, MARGIN, evidence.anywhere)
    return joined(len(time), *_undisputed(at, table, time, evidence.cost, *sure))


def _likelier(bodies: Bodies, time: np.ndarray, table: np.ndarray, likely: Stretches) -> Stretches:
    """Return the likely links by what likely links show."""
    evidence = learn(bodies, time, likely, np.arange(len(time)))
    limit = evidence.anywhere - np.log(LEAP)
    return joined(len(time), *_best(table, evidence.cost, 0.0, limit))


def _best(
    table: np.ndarray,
    cost: Callable[[np.ndarray, np.ndarray], np.ndarray],
    margin: float = 0.0,
    limit: float = np.inf,
) -> Pairs:
    """Return the links of successive moments that are mutually best by a margin.

    Args:
        table: (frames, most) rows of each moment.
        cost: Cost of links between rows.
        margin: How much worse any other link must be.
        limit: Cost of no link.
    """
    most = max(table.shape[1], 1)
    block = max(AT_ONCE // most**2, 1)
    none = np.zeros(0, dtype=np.intp)
    found = [(none, none)]
    for start in range(0, len(table) - 1, block):
        earlier, later = table[start : start + block + 1][:-1], table[start + 1 : start + block + 1]
        pair = (earlier[:, :, None] >= 0) & (later[:, None, :] >= 0)
        costs = np.full(pair.shape, np.inf)
        frame, i, j = pair.nonzero()
        costs[frame, i, j] = np.nan_to_num(cost(earlier[frame, i], later[frame, j]), nan=np.inf)
        best = np.minimum(_others(costs, axis=1), _others(costs, axis=2))
        best = np.minimum(best, limit)
        frame, i, j = ((costs + margin < best) & np.isfinite(costs)).nonzero()
        found.append((earlier[frame, i], later[frame, j]))
    rows, others = (np.concatenate(column) for column in zip(*found, strict=True))
    return rows, others


def _others(costs: np.ndarray, axis: int) -> np.ndarray:
    """Return for each place the smallest of the others along an axis."""
    if costs.shape[axis] < 2:
        return np.full_like(costs, np.inf)
    two = np.partition(costs, 1, axis=axis)
    first, second = two.take([0], axis=axis), two.take([1], axis=axis)
    return np.where(costs > first, first, second)


def _undisputed(
    at: np.ndarray,
    table: np.ndarray,
    time: np.ndarray,
    cost: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rows: np.ndarray,
    others: np.ndarray,
) -> Pairs:
    """Leave out links where somebody else may be meant who is not seen at one of the two moments.

    Args:
        at: (frames,) the moments.
        table: (frames, most) rows of each.
        time: (n,) time of each row.
        cost: Cost of links between rows.
        rows: (k,) rows of the earlier detections.
        others: (k,) rows of the later ones.
    """
    stretches = joined(len(time), rows, others)
    worth = np.full(len(time), np.inf)  # by the row that a link ends at
    worth[others] = cost(rows, others)
    doubtful = np.zeros(len(time), dtype=bool)  # likewise
    place = np.searchsorted(at, time)
    first, last = time[stretches.first()], time[stretches.last()]
    ends, starts = (side.nonzero()[0] for side in (stretches.after < 0, stretches.before < 0))
    for lag in range(2, MEMORY + 1):
        for lost, sign in ((ends, 1), (starts, -1)):
            there = place[lost] + sign * lag
            inside = (there >= 0) & (there < len(at))
            own = np.repeat(lost[inside], table.shape[1])
            seen = table[there[inside]].ravel()
            # The link at which a detection that ends a gap is linked to, or from.
            link = np.where(sign > 0, seen, stretches.after[seen])
            fits = (seen >= 0) & (link >= 0) & (worth[link] < np.inf)
            # A stretch that began after somebody was lost may be that one itself.
            fits &= (first[link] <= time[own]) if sign > 0 else (last[link] >= time[own])
            own, seen, link = own[fits], seen[fits], link[fits]
            if len(own):
                rival = cost(own, seen) if sign > 0 else cost(seen, own)
                doubtful[link[rival < worth[link] + MARGIN]] = True
    keep = ~doubtful[others]
    return rows[keep], others[keep]
