"""What speaks for a link adds up."""

import numpy as np
import pytest

from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.ends import compare, extent
from sleap_lab.tracking.evidence import learn
from sleap_lab.tracking.stretches import joined

BODY = np.array([0.5, 0, -0.5], dtype=complex)


def video(n=60, body=BODY):
    """One animal that walks and turns about, and its stretch."""
    random, nodes = np.random.default_rng(0), len(body)
    heading = np.exp(1j * np.cumsum(random.normal(0, 0.1, n)))
    center = np.cumsum(0.1 * heading)
    points = center[:, None] + heading[:, None] * body
    points = points + 0.02 * (random.normal(size=(n, nodes)) + 1j * random.normal(size=(n, nodes)))
    points[random.random((n, nodes)) < 0.1 * (nodes > 2)] = np.nan  # each has one at least
    bodies = Bodies(
        10.0, center, heading, points.astype(np.complex64), body, np.full(nodes, 1 / nodes)
    )
    return bodies, np.arange(n), joined(n, np.arange(n - 1), np.arange(1, n))


def test_costs_are_those_of_place_turn_and_sight():
    evidence = learn(*video(), np.arange(60))
    rows = np.arange(40)
    others = rows + np.resize([1, 3, 12], 40)
    seen = compare(evidence.state, rows, others)
    assert seen.lie.max() > 0.01  # some are compared by nodes that lie on one side of the centre
    blur = seen.noise * evidence.jitter + 0.5 * seen.lie * evidence.turns.variance(seen.gap)
    expected = (
        evidence.motion.cost(evidence.state, rows, others, seen, blur)
        + evidence.turns.cost(seen.gap, seen.turn, evidence.jitter * seen.swing)
        + evidence.sight.cost(seen.gap, rows, others)
    )
    assert evidence.cost(rows, others) == pytest.approx(expected)
    assert evidence.anywhere == np.log(evidence.motion.area)


def test_the_noise_of_nodes_is_that_of_the_shortest_turns():
    evidence = learn(*video(), np.arange(60))
    variance = evidence.turns.variance(np.ones(1))[0]
    assert extent(evidence.state.bodies) == pytest.approx(0.5)
    assert evidence.jitter == pytest.approx(variance * 0.5 / (4 * 2))


@pytest.mark.parametrize("nodes", [1, 2])
def test_the_noise_of_few_nodes_is_known_too(nodes):
    evidence = learn(*video(body=BODY[:nodes]), np.arange(60))
    variance = evidence.turns.variance(np.ones(1))[0]
    expected = variance * extent(evidence.state.bodies) / (4 * 1)
    assert evidence.jitter == pytest.approx(expected)


def test_true_links_cost_less_than_others():
    evidence = learn(*video(), np.arange(60))
    rows = np.arange(10, 40)
    right, wrong = evidence.cost(rows, rows + 1), evidence.cost(rows, rows + 12)
    assert (right < wrong).all()
