"""Links of which there is no doubt: small tables of costs, and all of them tried by hand."""

import numpy as np
import pytest

from sleap_lab.tracking import tracklets
from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.evidence import learn
from sleap_lab.tracking.stretches import Stretches, joined, slots
from sleap_lab.tracking.tracklets import find_tracklets

INF = np.inf
SURE, SOON = 5.0, 12
"""What any other link must cost more, and for how many frames somebody who is lost counts."""


def table_cost(costs, otherwise=50.0):
    """A cost of links that is written down; all others cost as much."""

    def cost(rows, others):
        pairs = zip(np.ravel(rows).tolist(), np.ravel(others).tolist(), strict=True)
        return np.reshape([costs.get(pair, otherwise) for pair in pairs], np.shape(rows))

    return cost


def links(pairs):
    """Links as pairs, in order."""
    return sorted(zip(*(column.tolist() for column in pairs), strict=True))


def test_stretches_lead_from_each_detection_to_the_first_and_the_last():
    stretches = joined(6, np.array([0, 1, 3]), np.array([3, 2, 5]))
    assert stretches.before.tolist() == [-1, -1, 1, 0, -1, 3]
    assert stretches.after.tolist() == [3, 2, -1, 5, -1, -1]
    assert stretches.first().tolist() == [0, 1, 1, 0, 4, 0]
    assert stretches.last().tolist() == [5, 2, 2, 5, 4, 5]


def test_a_long_stretch_is_followed_to_its_end():
    rows = np.arange(99)
    stretches = joined(100, rows, rows + 1)
    assert (stretches.first() == 0).all()
    assert (stretches.last() == 99).all()


def test_moments_hold_their_rows():
    at, table = slots(np.array([4, 2, 4, 9, 4, 2]))
    assert at.tolist() == [2, 4, 9]
    assert table.tolist() == [[1, 5, -1], [0, 2, 4], [3, -1, -1]]
    at, table = slots(np.zeros(0, dtype=int))
    assert (at.shape, table.shape) == ((0,), (0, 0))


def test_the_smallest_of_the_others():
    costs = np.array([[[1, 5, 3], [2, 2, 9]]], dtype=float)
    assert tracklets._others(costs, 2).tolist() == [[[3, 1, 1], [2, 2, 2]]]
    assert tracklets._others(costs, 1).tolist() == [[[2, 2, 9], [1, 5, 3]]]
    assert tracklets._others(costs[:, :1], 1).tolist() == [[[INF] * 3]]


def test_the_smallest_of_many_others():
    costs = np.random.default_rng(0).permutation(400).reshape(1, 20, 20).astype(float)
    for axis in (1, 2):
        others = tracklets._others(costs, axis)
        for i, j in np.ndindex(20, 20):
            line = costs[0, :, j] if axis == 1 else costs[0, i]
            assert others[0, i, j] == np.delete(line, i if axis == 1 else j).min()


@pytest.mark.parametrize("at_once", [2_000_000, 4, 8, 1])
def test_links_are_mutually_best_by_a_margin(monkeypatch, at_once):
    monkeypatch.setattr(tracklets, "AT_ONCE", at_once)  # 8 are the pairs of two moments
    table = np.array([[0, 1], [2, 3], [4, -1], [5, 6]])
    cost = table_cost(
        {
            # Best for both by 3 and by 2: 0 to 3; then 1 to 2 by 6 and 3.
            (0, 2): 4, (0, 3): 1, (1, 2): 0.5, (1, 3): 6.5,
            (2, 4): 7, (3, 4): 7,  # as likely as each other
            (4, 5): 2, (4, 6): 3,
        }
    )  # fmt: skip
    assert links(tracklets._best(table, cost)) == [(0, 3), (1, 2), (4, 5)]
    assert links(tracklets._best(table, cost, 2.5)) == [(0, 3), (1, 2)]
    assert links(tracklets._best(table, cost, 3.0)) == [(1, 2)]
    assert links(tracklets._best(table, cost, 3.5)) == []  # 4 - 0.5 is not more
    # No link at all costs so much:
    assert links(tracklets._best(table, cost, 0.0, 1.0)) == [(1, 2)]
    assert links(tracklets._best(table, cost, 0.5, 1.75)) == [(0, 3), (1, 2)]


def test_links_without_a_cost_are_none():
    cost = table_cost({(0, 1): np.nan, (1, 2): 40.0})
    assert links(tracklets._best(np.array([[0], [1], [2]]), cost)) == [(1, 2)]
    for empty in (np.zeros((0, 0), dtype=int), np.array([[0]])):
        assert links(tracklets._best(empty, cost)) == []


# Somebody, 0, is seen in the first frame only; another, 1 … 5, in all of five frames.
TIME = np.array([0, 0, 1, 2, 3, 4])
ONE = (np.array([1, 2, 3, 4]), np.array([2, 3, 4, 5]))


def undisputed(time, pairs, costs):
    at, table = slots(time)
    return links(tracklets._undisputed(at, table, time, table_cost(costs), *pairs))


STEPS = {(1, 2): 1.0, (2, 3): 2.0, (3, 4): 3.0, (4, 5): 4.0}


@pytest.mark.parametrize(
    ("rival", "left"),
    [
        ({(0, 3): 2.0 + SURE - 0.1}, [(1, 2), (3, 4), (4, 5)]),
        ({(0, 3): 2.0 + SURE}, [(1, 2), (2, 3), (3, 4), (4, 5)]),
        ({(0, 5): 4.0}, [(1, 2), (2, 3), (3, 4)]),
        ({(0, 2): -9.0}, [(1, 2), (2, 3), (3, 4), (4, 5)]),  # the next frame is compared before
    ],
)
def test_who_was_lost_may_come_out_beside_another(rival, left):
    assert undisputed(TIME, ONE, STEPS | rival) == left


@pytest.mark.parametrize(
    ("rival", "left"),
    [
        ({(2, 5): 2.0 + SURE - 0.1}, [(0, 1), (1, 2), (3, 4)]),
        ({(2, 5): 2.0 + SURE}, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ({(0, 5): 4.0}, [(1, 2), (2, 3), (3, 4)]),
        ({(3, 5): -9.0}, [(0, 1), (1, 2), (2, 3), (3, 4)]),
    ],
)
def test_who_is_seen_again_may_have_been_beside_another(rival, left):
    # 0 … 4 are seen in five frames, 5 in the last one only.
    time, pairs = np.array([0, 1, 2, 3, 4, 4]), (np.arange(4), np.arange(1, 5))
    steps = {(0, 1): 4.0, (1, 2): 3.0, (2, 3): 2.0, (3, 4): 1.0}
    assert undisputed(time, pairs, steps | rival) == left


def test_a_stretch_that_began_after_somebody_was_lost_may_be_that_one():
    time = np.array([0, 1, 2, 3, 4])  # 0 is lost; 1 … 4 begin a frame later
    pairs = (np.array([1, 2, 3]), np.array([2, 3, 4]))
    costs = {(1, 2): 0.0, (2, 3): 0.0, (3, 4): 0.0, (0, 2): 0.0, (0, 4): 0.0}
    assert undisputed(time, pairs, costs) == [(1, 2), (2, 3), (3, 4)]
    # And the other way round: 4 begins after 0 … 3 have ended.
    pairs = (np.array([0, 1, 2]), np.array([1, 2, 3]))
    costs = {(0, 1): 0.0, (1, 2): 0.0, (2, 3): 0.0, (0, 4): 0.0, (2, 4): 0.0}
    assert undisputed(time, pairs, costs) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(("lag", "doubtful"), [(SOON, True), (SOON + 1, False)])
def test_somebody_who_was_lost_counts_for_a_while(lag, doubtful):
    time = np.concatenate([[0], np.arange(20)])  # row 1 + t is the other one at t
    pairs = (np.arange(1, 20), np.arange(2, 21))
    steps = dict.fromkeys(zip(*(side.tolist() for side in pairs), strict=True), 0.0)
    kept = undisputed(time, pairs, steps | {(0, 1 + lag): 1.0})
    assert ((lag, lag + 1) not in kept) == doubtful
    assert len(kept) == 19 - doubtful


def by_hand(time, cost, rows, others):
    """The links that nobody disputes, each looked at by itself."""
    n, stretches = len(time), joined(len(time), rows, others)
    first, last = stretches.first(), stretches.last()
    at = sorted(set(time.tolist()))
    place = [at.index(moment) for moment in time.tolist()]

    def worth(row, other):
        return float(cost(np.array([row]), np.array([other]))[0])

    kept = []
    for row, other in zip(rows.tolist(), others.tolist(), strict=True):
        rivals = [
            worth(lost, other)
            for lost in range(n)
            if stretches.after[lost] < 0
            and 2 <= place[other] - place[lost] <= SOON
            and time[first[other]] <= time[lost]
        ] + [
            worth(row, found)
            for found in range(n)
            if stretches.before[found] < 0
            and 2 <= place[found] - place[row] <= SOON
            and time[last[row]] >= time[found]
        ]
        if all(rival >= worth(row, other) + SURE for rival in rivals):
            kept.append((row, other))
    return kept


@pytest.mark.parametrize("seed", range(12))
def test_undisputed_links_are_those_that_are_found_one_by_one(seed):
    random = np.random.default_rng(seed)
    moments = np.sort(random.choice(30, 18, replace=False))
    time = np.repeat(moments, random.integers(1, 4, 18))
    costs = random.uniform(0, 30, (len(time), len(time)))
    at, table = slots(time)

    def cost(rows, others):
        return costs[rows, others]

    pairs = tracklets._best(table, cost)
    found = tracklets._undisputed(at, table, time, cost, *pairs)
    assert links(found) == sorted(by_hand(time, cost, *pairs))
    assert len(found[0]) < len(pairs[0])


def crossing():
    """Two animals that walk towards each other and pass, one below the other, by row."""
    random, n = np.random.default_rng(0), 40
    x = np.stack([np.linspace(-10, 10, n), np.linspace(10, -10, n)], axis=1)
    center = (x + 1j * np.array([0, 0.8]) + 0.05 * random.normal(size=(n, 2))).ravel()
    heading = np.tile([1, -1], n) * np.exp(0.1j * random.normal(size=2 * n))
    return at_places(center, heading), np.repeat(np.arange(n), 2)


def at_places(center, heading):
    """Bodies of two nodes, which span 0.8 body lengths."""
    body = np.array([0.4, -0.4], dtype=complex)
    points = center[:, None] + heading[:, None] * body
    return Bodies(10.0, center, heading, points, body, np.full(2, 0.5))


def test_tracklets_follow_animals_that_pass_each_other():
    bodies, time = crossing()
    stretches = find_tracklets(bodies, time)
    linked = stretches.before >= 0
    assert (stretches.before[linked] == np.flatnonzero(linked) - 2).all()
    assert linked.sum() > 60
    # What is learned is that of the links that are likely: here all of them.
    rows = np.arange(80)
    whole = Stretches(np.where(rows < 2, -1, rows - 2), np.where(rows < 78, rows + 2, -1))
    evidence = learn(bodies, time, whole, rows)
    # What is sure by the margin, and that nobody disputes, is what is kept.
    at, table = slots(time)
    sure = tracklets._best(table, evidence.cost, SURE, evidence.anywhere)
    kept = tracklets._undisputed(at, table, time, evidence.cost, *sure)
    assert links(kept) == links(
        (np.flatnonzero(stretches.after >= 0), stretches.after[stretches.after >= 0])
    )


def test_tracklets_are_found_with_the_motion_of_likely_links():
    # Two animals at 0.5 a frame meet on nearly one line: which is nearest misleads at first.
    random, n = np.random.default_rng(1), 41
    x = np.stack([np.linspace(-10, 10, n), np.linspace(10.2, -9.8, n)], axis=1)
    center = (x + 1j * np.array([0, 0.05]) + 0.02 * random.normal(size=(n, 2))).ravel()
    unturned = np.full(2 * n, np.nan) + 0j
    bodies = Bodies(10.0, center, unturned, center[:, None], np.zeros(1), np.ones(1))
    time = np.repeat(np.arange(n), 2)
    at, table = slots(time)
    likely, learned = joined(2 * n, *tracklets._best(table, bodies.apart)), []
    for _ in range(3):
        learned.append(learn(bodies, time, likely, np.arange(2 * n)))
        limit = learned[-1].anywhere - np.log(1e-3)
        likely = joined(2 * n, *tracklets._best(table, learned[-1].cost, 0.0, limit))
    assert not np.allclose(learned[0].motion.kept, learned[2].motion.kept)
    cost = learned[2].cost
    sure = tracklets._best(table, cost, SURE, learned[2].anywhere)
    expected = joined(2 * n, *tracklets._undisputed(at, table, time, cost, *sure))
    assert find_tracklets(bodies, time).before.tolist() == expected.before.tolist()


def test_a_leap_is_no_link():
    # An animal walks by 1 per frame; from frame 30 on one is seen elsewhere, turned round.
    early = np.arange(60) < 30
    center = np.arange(60) + np.where(early, 0, 4000j)
    bodies = at_places(center, np.where(early, 1, -1) + 0j)
    stretches = find_tracklets(bodies, np.arange(60))
    assert np.flatnonzero(stretches.before < 0).tolist() == [0, 30]
