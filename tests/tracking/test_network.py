from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from sleap_lab.tracking import network
from sleap_lab.tracking.network import join_near, solve
from sleap_lab.tracking.tracklets import joined

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
    runs = joined(len(time), *np.zeros((2, 0), dtype=int))
    found = solve(runs, time, cost, 2, ANYWHERE)
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
    runs = joined(len(time), rows, others)
    assert len(network.windows(runs, time, 2)) > 1
    apart = solve(runs, time, cost, 2, ANYWHERE)
    monkeypatch.setattr(
        network,
        "windows",
        lambda runs, time, animals, uncertain: [
            network.Window(
                np.flatnonzero(runs.after < 0),
                np.flatnonzero(runs.before < 0),
                animals,
                animals,
                (-np.inf, np.inf),
            )
        ],
    )
    whole = solve(runs, time, cost, 2, ANYWHERE)
    assert set(zip(apart.rows, apart.others, strict=True)) == set(
        zip(whole.rows, whole.others, strict=True)
    )
    assert (line[apart.rows] == line[apart.others]).all()
    assert len(apart.rows) == 2


def test_runs_are_joined_across_short_gaps_only():
    time = np.array([0, 3, 3 + network.REACH + 1])
    runs = joined(3, *np.zeros((2, 0), dtype=int))
    found = join_near(runs, time, lambda rows, others: np.full(len(rows), -2.0), ANYWHERE)
    assert list(zip(found.rows, found.others, strict=True)) == [(0, 1)]
    # Without the link: an end and a beginning that nobody foresaw.
    assert found.margin.tolist() == pytest.approx([ANYWHERE - np.log(1e-3) + 2])
