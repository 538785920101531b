"""The best way to join tracklets to animals, all of a video at once.

Every animal is a path through tracklets. A path costs the sum of its links; a tracklet that no path
uses costs what a false detection costs. The cheapest paths are a minimum cost flow, which is solved
as an assignment: each end is assigned the start that follows it, a tracklet that is left out its
own start. Where as many tracklets as there are animals cross a moment, all animals are accounted
for, and what lies before and after is solved apart, exactly.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sleap_lab.tracking.evidence import Evidence
from sleap_lab.tracking.passage import REACH, UNKNOWN, UNSEEN, Passage
from sleap_lab.tracking.stretches import Stretches, slots

GHOSTS = 0.03  # false detections of a frame
HOLDING = 4.0  # cost per further detection of a tracklet that is left out
IMPOSSIBLE = 1e6
LARGEST = 600  # ends that are assigned at once
CYCLES = 200  # ends up to which all cycles of exchanges are looked at
AT_ONCE = 200_000  # costs that are computed at once, for the sake of memory

Cost = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Window:
    """A part of a video that is solved by itself.

    Attributes:
        ends: (e,) last rows of the stretches that end within it.
        starts: (s,) first rows of the stretches that start within it.
        sources: Animals that are there before it without a stretch.
        sinks: Animals that may stay there after it without a stretch.
        between: Moments before and after it.
    """

    ends: np.ndarray
    starts: np.ndarray
    sources: int
    sinks: int
    between: tuple[float, float]


class Solution(NamedTuple):
    """Links between stretches.

    Attributes:
        rows: (k,) rows of the earlier detections.
        others: (k,) rows of the later ones.
        margin: (k,) how much worse the best solution without this link is.
        left_out: (d,) first rows of the stretches that no animal uses.
    """

    rows: np.ndarray
    others: np.ndarray
    margin: np.ndarray
    left_out: np.ndarray


def link_cost(evidence: Evidence) -> Cost:
    """Return the function that gives the cost of links between rows."""
    time = evidence.state.time

    def cost(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        gap = time[others] - time[rows]
        found = evidence.cost(rows, others) + UNSEEN * (gap > 1)
        return np.where(gap > 0, np.nan_to_num(found, nan=evidence.anywhere), IMPOSSIBLE)

    return cost


def windows(
    stretches: Stretches, time: np.ndarray, animals: int, uncertain: np.ndarray | None = None
) -> list[Window]:
    """Cut a video at moments at which all animals are accounted for.

    Args:
        stretches: Detections joined to stretches.
        time: (n,) time of each.
        animals: Number of animals.
        uncertain: Moments after which the video is not cut even so.
    """
    starts = (stretches.before < 0).nonzero()[0]
    ends = stretches.last()[starts]
    at = np.unique(time)
    opened = np.bincount(np.searchsorted(at, time[starts]), minlength=len(at))
    closed = np.bincount(np.searchsorted(at, time[ends]), minlength=len(at))
    full = np.cumsum(opened - closed)[:-1] == animals
    if uncertain is not None:
        full[np.isin(at[:-1], uncertain)] = False
    part = np.concatenate([[0], np.cumsum(full)])[np.searchsorted(at, time)]
    last = int(part.max(initial=0))
    by_start, by_end = (rows[np.argsort(part[rows], kind="stable")] for rows in (starts, ends))
    inside = np.unique(np.concatenate([part[by_start], part[by_end]]))
    at_start, at_end = (
        np.searchsorted(part[rows], [*inside, last + 1]) for rows in (by_start, by_end)
    )
    borders = np.concatenate([[-np.inf], at[:-1][full], [np.inf]])
    return [
        Window(
            by_end[at_end[k] : at_end[k + 1]],
            by_start[at_start[k] : at_start[k + 1]],
            animals if which == 0 else 0,
            animals if which == last else 0,
            (float(borders[which]), float(borders[which + 1])),
        )
        for k, which in enumerate(inside.tolist())
    ]


def solve(
    stretches: Stretches, time: np.ndarray, cost: Cost, animals: int, anywhere: float
) -> Solution:
    """Join stretches to at most as many paths as there are animals, at the smallest cost.

    Args:
        stretches: Detections joined to stretches.
        time: (n,) time of each.
        cost: Gives the cost of links between rows.
        animals: Number of animals.
        anywhere: Cost of a place of which nothing is known.
    """
    first = stretches.first()
    size = np.bincount(first, minlength=len(time))
    drop = anywhere - np.log(GHOSTS) + HOLDING * (size - 1)
    solved: dict[tuple[float, float], Solution | None] = {}
    uncertain: set[float] = set()
    while True:
        parts = windows(stretches, time, animals, np.array(sorted(uncertain)))
        new = [part for part in parts if part.between not in solved]
        for part, costs in _tables(new, cost):
            solved[part.between] = _assign(part, costs, first, drop, anywhere)
        if all(solved[part.between] is not None for part in parts):
            break
        # More stretches than animals were counted: which of them is none is seen in a wider window.
        for part in parts:
            if solved[part.between] is None:
                uncertain |= {border for border in part.between if np.isfinite(border)}
    found = [solution for part in parts if (solution := solved[part.between]) is not None]
    return Solution(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _tables(parts: list[Window], cost: Cost) -> Iterator[tuple[Window, np.ndarray]]:
    """Yield each window with the costs of all its links, (e, s); costs are computed in blocks."""
    sizes = np.array([len(part.ends) * len(part.starts) for part in parts])
    block = np.cumsum(sizes) // AT_ONCE
    for which in np.unique(block):
        chosen = [part for part, own in zip(parts, block, strict=True) if own == which]
        rows = np.concatenate([np.repeat(part.ends, len(part.starts)) for part in chosen])
        others = np.concatenate([np.tile(part.starts, len(part.ends)) for part in chosen])
        costs = cost(rows, others)
        done = 0
        for part in chosen:
            shape = len(part.ends), len(part.starts)
            yield part, costs[done : done + shape[0] * shape[1]].reshape(shape)
            done += shape[0] * shape[1]


def _assign(
    part: Window, costs: np.ndarray, first: np.ndarray, drop: np.ndarray, anywhere: float
) -> Solution | None:
    """Solve a window; None where its stretches cannot all be explained.

    Args:
        part: The window.
        costs: (e, s) cost of linking each end to each start.
        first: (n,) first row of the stretch of each row.
        drop: (n,) cost of leaving out a stretch, by its first row.
        anywhere: Cost of an animal's first place.
    """
    n_ends, n_starts = costs.shape
    table = np.zeros((n_ends + part.sources, n_starts + part.sinks))
    if table.shape[0] != table.shape[1]:
        return None
    table[:n_ends, :n_starts] = costs
    table[n_ends:, :n_starts] = anywhere
    begins = first[part.ends]
    own, column = (begins[:, None] == part.starts).nonzero()  # stretches that also begin within it
    table[own, column] = drop[begins[own]]
    rows, columns = linear_sum_assignment(table)
    if table[rows, columns].max(initial=0) >= IMPOSSIBLE:
        return None
    margin = _margins(table, columns)
    link = (rows < n_ends) & (columns < n_starts)
    link[own] &= columns[own] != column
    rest = own[columns[own] == column]
    return Solution(part.ends[rows[link]], part.starts[columns[link]], margin[link], begins[rest])


def _margins(table: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return how much worse the best assignment without each pair is.

    It is the cheapest cycle of exchanges that the pair's row takes part in; in large tables cycles
    of two only.

    Args:
        table: (n, n) costs.
        columns: (n,) column of each row in the best assignment.
    """
    exchange = table[:, columns] - table[np.arange(len(table)), columns][:, None]
    np.fill_diagonal(exchange, np.inf)
    if len(table) > CYCLES:
        return np.maximum((exchange + exchange.T).min(axis=1), 0.0)
    way = exchange.copy()
    for middle in range(len(table)):
        np.minimum(way, way[:, middle, None] + way[middle], out=way)
    return np.maximum(np.diagonal(way), 0.0)


def join_near(
    stretches: Stretches, time: np.ndarray, cost: Cost, anywhere: float, passage: Passage = UNKNOWN
) -> Solution:
    """Join stretches across short gaps, however many animals there are; all others end and begin.

    Args:
        stretches: Detections joined to stretches.
        time: (n,) time of each.
        cost: Gives the cost of links between rows.
        anywhere: Cost of a place of which nothing is known.
        passage: How often animals come, go and hide.
    """
    unlinked = anywhere + passage.parting
    starts, ends = (side.nonzero()[0] for side in (stretches.before < 0, stretches.after < 0))
    none = np.zeros(0, dtype=np.intp)
    at, table = slots(time[starts])
    rows, others, costs = [none], [none], [none.astype(float)]
    for lag in range(1, REACH + 1):
        place = np.searchsorted(at, time[ends] + lag)
        hit = (place < len(at)) & (at[np.minimum(place, len(at) - 1)] == time[ends] + lag)
        seen = table[place[hit]]
        own, which = (seen >= 0).nonzero()
        earlier, later = ends[hit][own], starts[seen[own, which]]
        found = cost(earlier, later) + passage.hiding[lag]
        likely = found < unlinked
        rows.append(earlier[likely])
        others.append(later[likely])
        costs.append(found[likely])
    return _matched(
        np.concatenate(rows), np.concatenate(others), np.concatenate(costs), unlinked, len(time)
    )


def _matched(
    rows: np.ndarray, others: np.ndarray, costs: np.ndarray, unlinked: float, n: int
) -> Solution:
    """Choose among links, each group of links that share ends by itself.

    A table of what links gain over none is much smaller, and is solved much faster, than one that
    has a place for each end and start without a link.

    Args:
        rows: (k,) rows of ends.
        others: (k,) rows of starts.
        costs: (k,) costs.
        unlinked: Cost of one end and one start without a link.
        n: Number of detections.
    """
    graph = coo_array((np.ones(len(rows)), (rows, n + others)), shape=(2 * n, 2 * n))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group[rows], kind="stable")
    found: list[tuple[np.ndarray, ...]] = []
    for part in np.split(order, np.flatnonzero(np.diff(group[rows[order]])) + 1):
        if not len(part):
            continue
        own, i = np.unique(rows[part], return_inverse=True)
        theirs, j = np.unique(others[part], return_inverse=True)
        e, s = len(own), len(theirs)
        gain = np.zeros((max(e, s),) * 2)  # 0: neither is linked
        gain[i, j] = costs[part] - unlinked
        at, columns = linear_sum_assignment(gain[:e, :s])
        partner = np.full(len(gain), -1)
        partner[at] = columns
        partner[partner < 0] = np.setdiff1d(np.arange(len(gain)), columns)
        link = gain[at, columns] < 0
        at, columns = at[link], columns[link]
        margin = np.minimum(_margins(gain, partner)[at], -gain[at, columns])
        found.append((own[at], theirs[columns], margin))
    none = np.zeros(0, dtype=np.intp)
    if not found:
        return Solution(none, none, none.astype(float), none)
    linked, to, margin = (np.concatenate(column) for column in zip(*found, strict=True))
    return Solution(linked, to, margin, none)
