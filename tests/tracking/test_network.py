from itertools import chain, combinations, permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from sleap_lab.tracking import network
from sleap_lab.tracking.ends import State
from sleap_lab.tracking.network import join_near, solve
from sleap_lab.tracking.stretches import joined

ANYWHERE = 3.0


def problem(seed, frames=4, animals=2):
    """Single detections, two or three a frame, with random costs of links forward in time."""
    rng = np.random.default_rng(seed)
    time = np.repeat(np.arange(frames), rng.integers(2, animals + 2, frames))
    table = rng.uniform(-4, 8, (len(time), len(time)))

    def cost(rows, others):
        return np.where(time[others] > time[rows], table[rows, others], network.IMPOSSIBLE)

    return time, cost


def cheapest(time, cost, animals):
    """Total cost of the best paths, by trying all ways to give every detection a predecessor."""
    n = len(time)
    drop = ANYWHERE - np.log(network.GHOSTS)
    rows = np.arange(n)
    # An animal that is not used leads from a source to a sink; a detection may follow itself.
    square = np.zeros((n + animals, n + animals))
    square[:n, :n] = cost(rows[:, None], rows[None])
    square[rows, rows] = drop
    square[n:, :n] = ANYWHERE
    return min(
        square[np.arange(len(square)), order].sum() for order in permutations(range(len(square)))
    )


def total(found, time, cost):
    """Cost of a solution, from its links and what it leaves out."""
    begun = len(time) - len(found.left_out) - len(found.rows)
    return (
        cost(found.rows, found.others).sum()
        + begun * ANYWHERE
        + len(found.left_out) * (ANYWHERE - np.log(network.GHOSTS))
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_solution_is_the_best_of_all(seed):
    time, cost = problem(seed, frames=3)
    time = time[:6]
    stretches = joined(len(time), *np.zeros((2, 0), dtype=int))
    found = solve(stretches, time, cost, 2, ANYWHERE)
    assert total(found, time, cost) == pytest.approx(cheapest(time, cost, 2))
    begun = len(time) - len(found.left_out) - len(found.rows)
    assert begun <= 2
    assert len(set(found.rows)) == len(set(found.others)) == len(found.rows)


@pytest.mark.parametrize("seed", range(5))
def test_margins_are_the_distance_to_the_best_without_the_pair(seed):
    table = np.random.default_rng(seed).uniform(0, 1, (5, 5))
    rows, columns = linear_sum_assignment(table)
    best = table[rows, columns].sum()
    without = []
    for row in rows:
        other = table.copy()
        other[row, columns[row]] = 100
        without.append(other[linear_sum_assignment(other)].sum() - best)
    np.testing.assert_allclose(network._margins(table, columns), without, atol=1e-12)


def test_windows_give_what_one_window_gives(monkeypatch):
    # Two animals on two lines; each is missing once, never both.
    rng = np.random.default_rng(1)
    seen = [(t, a) for t in range(12) for a in range(2) if (t, a) not in ((4, 0), (8, 1))]
    time, line = np.array(seen).T
    place = 3.0 * line + rng.normal(0, 0.1, len(line))

    def cost(rows, others):
        gap = time[others] - time[rows]
        far = (place[rows] - place[others]) ** 2 / np.maximum(gap, 1)
        return np.where(gap > 0, far + gap - 5, network.IMPOSSIBLE)

    sure = [(i, j) for i in range(len(time)) for j in range(len(time))]
    rows, others = np.array(
        [(i, j) for i, j in sure if line[i] == line[j] and time[j] == time[i] + 1]
    ).T
    stretches = joined(len(time), rows, others)
    assert len(network.windows(stretches, time, 2)) > 1
    apart = solve(stretches, time, cost, 2, ANYWHERE)
    monkeypatch.setattr(
        network,
        "windows",
        lambda stretches, time, animals, uncertain: [
            network.Window(
                np.flatnonzero(stretches.after < 0),
                np.flatnonzero(stretches.before < 0),
                animals,
                animals,
                (-np.inf, np.inf),
            )
        ],
    )
    whole = solve(stretches, time, cost, 2, ANYWHERE)
    assert set(zip(apart.rows, apart.others, strict=True)) == set(
        zip(whole.rows, whole.others, strict=True)
    )
    assert (line[apart.rows] == line[apart.others]).all()
    assert len(apart.rows) == 2


def test_stretches_are_joined_across_short_gaps_only():
    time = np.array([0, 3, 3 + network.REACH + 1])
    stretches = joined(3, *np.zeros((2, 0), dtype=int))
    found = join_near(stretches, time, lambda rows, others: np.full(len(rows), -2.0), ANYWHERE)
    assert list(zip(found.rows, found.others, strict=True)) == [(0, 1)]
    # Without the link: an end and a beginning that nobody foresaw.
    assert found.margin.tolist() == pytest.approx([ANYWHERE - np.log(1e-3) + 2])


# --- step by step -----------------------------------------------------------------------


class Still:
    """A motion in which a link costs its two rows as digits; of row 9 nothing is known."""

    anywhere = 7.0

    def __init__(self, time):
        self.state = State(None, None, None, time)

    def cost(self, rows, others):
        return np.where((rows == 9) | (others == 9), np.nan, 10.0 * rows + others)


def test_the_cost_of_a_link():
    time = np.array([0, 1, 3, 3, 0, 0, 0, 0, 0, 1])
    cost = network.link_cost(Still(time))
    rows, others = np.array([[0, 1], [0, 2], [1, 3], [2, 3], [1, 0], [0, 9], [9, 2]]).T
    # Two frames later costs 3 for not being seen; at the same time or before it cannot be.
    assert cost(rows, others).tolist() == [1, 2 + 3, 13 + 3, 1e6, 1e6, 7, 7]


def linked(n, *links):
    rows, others = np.array(links, dtype=int).reshape(-1, 2).T
    return joined(n, rows, others)


def windows_of(stretches, time, animals, uncertain=None):
    return [
        (
            part.ends.tolist(),
            part.starts.tolist(),
            part.sources,
            part.sinks,
            part.between,
        )
        for part in network.windows(stretches, np.array(time), animals, uncertain)
    ]


# Two animals. In frames 0, 1: rows 0-2 and 1-3. In frame 2 only 4. In frames 3, 4: 5-7 and 6-8.
# In frames 6, 7: 9-11 and 10-12.
TIME = np.array([0, 0, 1, 1, 2, 3, 3, 4, 4, 6, 6, 7, 7])
RUNS = linked(13, (0, 2), (1, 3), (5, 7), (6, 8), (9, 11), (10, 12))
INF = np.inf


def test_a_video_is_cut_where_all_animals_are_accounted_for():
    # After frames 0, 3 and 6 two stretches go on: cut there.
    assert windows_of(RUNS, TIME, 2) == [
        ([], [0, 1], 2, 0, (-INF, 0)),
        ([2, 3, 4], [4, 5, 6], 0, 0, (0, 3)),
        ([7, 8], [9, 10], 0, 0, (3, 6)),
        ([11, 12], [], 0, 2, (6, INF)),
    ]
    assert windows_of(RUNS, TIME, 2, np.array([3])) == [
        ([], [0, 1], 2, 0, (-INF, 0)),
        ([2, 3, 4, 7, 8], [4, 5, 6, 9, 10], 0, 0, (0, 6)),
        ([11, 12], [], 0, 2, (6, INF)),
    ]
    whole = ([2, 3, 4, 7, 8, 11, 12], [0, 1, 4, 5, 6, 9, 10], 3, 3, (-INF, INF))
    assert windows_of(RUNS, TIME, 3) == [whole]


def test_windows_in_which_nothing_ends_or_begins_are_left_out():
    # One animal is there all the time, so all moments are cuts.
    stretches = linked(4, (0, 1), (1, 2), (2, 3))
    assert windows_of(stretches, [0, 1, 2, 3], 1) == [
        ([], [0], 1, 0, (-INF, 0)),
        ([3], [], 0, 1, (2, INF)),
    ]
    assert windows_of(linked(1), [5], 1) == [([0], [0], 1, 1, (-INF, INF))]


def test_costs_are_computed_in_blocks(monkeypatch):
    parts = [
        network.Window(np.array(ends), np.array(starts), 0, 0, (0.0, 1.0))
        for ends, starts in (([1, 2], [3, 4, 5]), ([6], []), ([7], [8, 9]), ([0, 3], [5]))
    ]
    calls = []

    def cost(rows, others):
        calls.append(len(rows))
        return 10.0 * rows + others

    for at_once, sizes in ((100, [10]), (7, [6, 4]), (1, [6, 0, 2, 2])):
        monkeypatch.setattr(network, "AT_ONCE", at_once)
        calls.clear()
        found = list(network._tables(parts, cost))
        assert [part for part, _ in found] == parts
        assert [table.tolist() for _, table in found] == [
            [[13, 14, 15], [23, 24, 25]],
            [[]],
            [[78, 79]],
            [[5], [35]],
        ]
        assert sum(calls) == sum(sizes) == 10
        assert at_once == 1 or calls == sizes


def assigned(ends, starts, costs, drop, sources=0, sinks=0, first=None, anywhere=ANYWHERE):
    rows = (np.array(side, dtype=int) for side in (ends, starts))
    part = network.Window(*rows, sources, sinks, (0.0, 1.0))
    found = network._assign(
        part,
        np.array(costs, dtype=float).reshape(len(ends), len(starts)),
        np.arange(20) if first is None else np.array(first),
        np.array(drop, dtype=float),
        anywhere,
    )
    if found is None:
        return None
    links = sorted(
        zip(found.rows.tolist(), found.others.tolist(), found.margin.round(9).tolist(), strict=True)
    )
    return links, sorted(found.left_out.tolist())


def test_a_window_is_solved_at_the_smallest_cost():
    # Ends 2, 5 and starts 7, 6; crossed it costs 1 + 2, straight 4 + 3: 4 more without either.
    drop = np.full(20, 100.0)
    assert assigned([2, 5], [7, 6], [[4, 1], [2, 3]], drop) == ([(2, 6, 4), (5, 7, 4)], [])


def test_a_stretch_within_a_window_is_left_out_where_that_is_cheaper():
    # Row 4 begins and ends here; ends 2, 4 and starts 4, 6. With it: 5 + 6, without: 3 + its drop.
    costs = [[5, 3], [1e6, 6]]
    for drop, expected in ((7.5, ([(2, 6, 0.5)], [4])), (8.5, ([(2, 4, 0.5), (4, 6, 0.5)], []))):
        drops = np.full(20, 100.0)
        drops[4] = drop
        links, left_out = assigned([2, 4], [4, 6], costs, drops)
        if expected[1]:
            assert (links, left_out) == ([(2, 6, 11 - 10.5)], [4])
        else:
            assert (links, left_out) == ([(2, 4, 0.5), (4, 6, 0.5)], [])


def test_the_stretch_of_an_end_is_known_by_its_first_row():
    # The stretch that begins in row 3 ends in row 8: leaving it out costs drop[3] and names row 3.
    first = np.arange(20)
    first[8] = 3
    drops = np.full(20, 100.0)
    drops[3] = 1.0
    # The starts are not in order, and the end 2 has its beginning elsewhere.
    found = assigned([2, 8], [9, 3], [[2, 50], [50, 1e6]], drops, first=first)
    assert found == ([(2, 9, 97)], [3])


def test_animals_come_from_before_and_go_on_after():
    # Two animals, two stretches: 0 ends, 1 begins and ends. As one animal it costs 2, and another
    # is there that was never seen; as two, each costs a first place.
    drops = np.full(20, 100.0)
    costs = [[1e6, 2], [1e6, 1e6]]
    assert assigned([0, 1], [0, 1], costs, drops, 2, 2) == ([(0, 1, 1)], [])
    assert assigned([0, 1], [0, 1], [[1e6, 4], [1e6, 1e6]], drops, 2, 2) == ([], [])


def test_a_window_that_cannot_be_explained_has_no_solution():
    drops = np.full(20, 100.0)
    assert assigned([0, 1], [2], [[1], [2]], drops) is None  # an animal vanishes
    assert assigned([0], [2], [[1e6]], drops) is None
    assert assigned([0], [2], [[1e6 - 1]], drops) == ([(0, 2, INF)], [])
    assert assigned([], [], [], drops) == ([], [])
    # An end whose stretch begins before: only an animal that goes on takes it.
    assert assigned([4], [], [], drops, sinks=1) == ([], [])
    assert assigned([], [4, 5], [], drops, sources=2) == ([], [])


def test_a_margin_is_the_cheapest_cycle_of_exchanges():
    # Kept on the diagonal. Exchanging 0 and 1 costs 2 + 3 - 0 = 5, round all three 1 + 1 + 1 = 3.
    table = np.array([[0, 2, 1], [1, 0, 9], [9, 1, 0]], dtype=float)
    assert network._margins(table + 4, np.arange(3)).tolist() == [3, 3, 3]
    table[2, 1] = 7
    # 0 to 1 and back 2 + 1; 2 only round: 1 + 7 + 1.
    assert network._margins(table, np.arange(3)).tolist() == [3, 3, 9]
    assert network._margins(table[:, [1, 2, 0]], np.array([2, 0, 1])).tolist() == [3, 3, 9]
    assert network._margins(np.zeros((1, 1)), np.array([0])).tolist() == [INF]


def test_in_large_tables_cycles_of_two_are_looked_at(monkeypatch):
    table = np.array([[0, 2, 1], [1, 0, 9], [9, 1, 0]], dtype=float)
    monkeypatch.setattr(network, "CYCLES", 3)
    assert network._margins(table, np.arange(3)).tolist() == [3, 3, 3]
    monkeypatch.setattr(network, "CYCLES", 2)
    assert network._margins(table, np.arange(3)).tolist() == [3, 3, 10]
    # Rounding may make an exchange look cheaper than the best; it is not.
    table[0, 1] = -1.5
    assert network._margins(table, np.arange(3)).tolist() == [0, 0, 10]


def near(time, costs, stretches=None, otherwise=100.0):
    """Links by join_near, with their margins; costs are written down."""
    time = np.array(time)

    def cost(rows, others):
        pairs = zip(rows.tolist(), others.tolist(), strict=True)
        return np.array([costs.get(pair, otherwise) for pair in pairs])

    found = join_near(linked(len(time)) if stretches is None else stretches, time, cost, ANYWHERE)
    assert found.left_out.tolist() == []
    return sorted(
        zip(found.rows.tolist(), found.others.tolist(), found.margin.round(9).tolist(), strict=True)
    )


ALONE = ANYWHERE - np.log(1e-3)
"""Cost of an end and a beginning that nobody foresaw."""


def test_stretches_near_in_time_are_joined_at_the_smallest_cost():
    # 0 and 1 end, 2 and 3 begin: straight 1 + 1, crossed 2 + 3.
    found = near([0, 0, 1, 2], {(0, 2): 1.0, (1, 3): 1.0, (0, 3): 2.0, (1, 2): 3.0})
    # Without one link the other remains, or both are exchanged: 2 + 3 - 1 - 1.
    assert found == [(0, 2, 3), (1, 3, 3)]
    found = near([0, 0, 1, 2], {(0, 2): 1.0, (1, 3): 1.0})
    assert found == [(0, 2, round(ALONE - 1, 9)), (1, 3, round(ALONE - 1, 9))]


def test_a_link_that_costs_as_much_as_none_is_none():
    assert near([0, 1], {(0, 1): ALONE}) == []
    assert near([0, 1], {(0, 1): ALONE - 0.5}) == [(0, 1, 0.5)]
    assert near([], {}) == []


def test_stretches_are_joined_from_their_last_to_their_first_detection():
    # 0-1 and 3-4 are stretches, 2 is alone.
    stretches = linked(5, (0, 1), (3, 4))
    every = {(row, other): 1.0 for row in range(5) for other in range(5)}
    found = near([0, 1, 2, 3, 4], every, stretches)
    assert [link[:2] for link in found] == [(1, 2), (2, 3)]


def test_links_that_share_no_end_are_chosen_apart():
    # Two scenes at the same time, in mixed order: 0, 2 to 4, 6 and 1, 3 to 5, 7.
    time = [0, 0, 0, 0, 1, 1, 1, 1]
    costs = {(0, 4): 5.0, (0, 6): 1.0, (2, 4): 2.0, (2, 6): 5.0, (1, 5): 1.0, (3, 7): 1.0}
    costs |= {(1, 7): 3.0, (3, 5): 4.0}
    assert near(time, costs) == [(0, 6, 7), (1, 5, 5), (2, 4, 7), (3, 7, 5)]


def test_an_end_has_one_beginning_and_a_beginning_one_end():
    assert near([0, 1, 1], {(0, 1): 2.0, (0, 2): 1.5}) == [(0, 2, 0.5)]
    assert near([0, 0, 1], {(0, 2): 2.0, (1, 2): 1.5}) == [(1, 2, 0.5)]


@pytest.mark.parametrize("seed", range(20))
def test_links_and_margins_are_those_of_all_ways_to_link(seed):
    draws = np.random.default_rng(seed)
    ends, starts = draws.integers(1, 4, 2)
    costs = {(i, ends + j): draws.uniform(0, ALONE) for i in range(ends) for j in range(starts)}
    best, without = INF, dict.fromkeys(costs, INF)
    for links in chain.from_iterable(combinations(costs, k) for k in range(4)):
        if len({i for i, _ in links}) == len({j for _, j in links}) == len(links):
            total = sum(costs[link] - ALONE for link in links)
            best = min(best, total)
            for link in set(costs) - set(links):
                without[link] = min(without[link], total)
    found = near([0] * ends + [1] * starts, costs)
    assert sum(costs[i, j] - ALONE for i, j, _ in found) == pytest.approx(best)
    for i, j, margin in found:
        assert margin == pytest.approx(without[i, j] - best)


def test_stretches_far_apart_are_not_joined():
    reach = 32
    assert [link[:2] for link in near([0, reach], {(0, 1): 1.0})] == [(0, 1)]
    assert near([0, reach + 1], {(0, 1): 1.0}) == []


def test_more_stretches_than_animals_are_explained_in_a_wider_window():
    # One animal, 0 … 3; a ghost, 4 - 5 at frames 1 and 2, begins and ends beside it. From frame 1
    # to 2 two stretches are there, so frames 0 - 1 and 2 - 3 alone are full.
    time = np.array([0, 1, 1, 2, 2, 3])
    stretches = linked(6, (0, 1), (1, 3), (3, 5), (2, 4))
    drop = ANYWHERE - np.log(0.03) + 4.0 * (2 - 1)
    assert drop < ANYWHERE - np.log(0.03) + 4.0 * (4 - 1)

    def cost(rows, others):
        return np.where(time[others] > time[rows], 1.0, network.IMPOSSIBLE)

    found = solve(stretches, time, cost, 1, ANYWHERE)
    assert found.left_out.tolist() == [2]
    assert (found.rows.tolist(), found.others.tolist()) == ([], [])


def test_leaving_out_a_stretch_costs_more_the_longer_it_is():
    # One animal. 0, 3 are a stretch in frames 0 and 2; 1, 2, 4 one in 0, 1 and 2; 5 comes after.
    time, stretches = np.array([0, 0, 1, 2, 2, 3]), linked(6, (0, 3), (1, 2), (2, 4))

    def solved(short):
        def cost(rows, others):
            found = np.where((rows == 3) & (others == 5), short, 0.0)
            return np.where(time[others] > time[rows], found, network.IMPOSSIBLE)

        return solve(stretches, time, cost, 1, ANYWHERE)

    # Leaving out the long one costs 4 more: it is real, unless the short one leads on for less.
    for short, left_out, link in ((-3.9, 0, (4, 5)), (-4.1, 1, (3, 5))):
        found = solved(short)
        assert found.left_out.tolist() == [left_out]
        assert list(zip(found.rows, found.others, strict=True)) == [link]
        assert found.margin.tolist() == pytest.approx([0.1])


def test_a_false_detection_that_fills_the_place_of_an_animal_is_seen_in_a_wider_window():
    # One animal: 0-1 in frames 0 and 1, 3-5 in frames 2 and 3. A ghost, 2-4, in frames 1 and 2, so
    # that one stretch crosses each moment; but nothing leads from 1 to 2 or from 4 to 3.
    time, stretches = np.array([0, 1, 1, 2, 2, 3]), linked(6, (0, 1), (2, 4), (3, 5))

    def cost(rows, others):
        return np.where(time[others] > time[rows], 1.0, network.IMPOSSIBLE)

    assert len(windows_of(stretches, time, 1)) == 4
    found = solve(stretches, time, cost, 1, ANYWHERE)
    assert (found.rows.tolist(), found.others.tolist()) == ([1], [3])
    assert found.left_out.tolist() == [2]


@pytest.mark.parametrize(("more", "left_out"), [(-0.1, 0), (0.1, 1)])
def test_a_single_detection_is_left_out_where_a_link_costs_more_than_a_ghost(more, left_out):
    # A ghost costs a place anywhere, and 3 of 100 frames have one.
    ghost = ANYWHERE - np.log(0.03)
    found = solve(
        linked(2),
        np.array([0, 1]),
        lambda rows, others: ghost + more * (others > rows),
        1,
        ANYWHERE,
    )
    assert len(found.left_out) == left_out
    assert found.margin.tolist() == pytest.approx([0.1] * (1 - left_out))


def test_a_detection_that_has_a_place_in_a_stretch_is_not_joined():
    stretches = linked(3, (0, 2))
    assert near([0, 0, 1], {(1, 2): 1.0}, stretches) == []
    stretches = linked(4, (0, 2), (2, 3))
    assert near([0, 1, 1, 2], {(0, 1): 1.0, (1, 3): 1.0, (2, 1): 1.0}, stretches) == []


def test_where_fewer_are_seen_than_elsewhere_nobody_else_is_meant():
    # In frame 2 only row 3 is seen; 0 and 4 are too far apart.
    assert near([0, 1, 1, 2, 50], {(0, 4): 1.0}) == []
