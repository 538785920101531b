"""What speaks for a link adds up."""

import numpy as np
import pytest

from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.ends import compare, extent
from sleap_lab.tracking.evidence import learn
from sleap_lab.tracking.runs import joined

BODY = np.array([0.5, 0, -0.5], dtype=complex)


def video(n=60):
    """One animal that walks and turns about, and its run."""
    random = np.random.default_rng(0)
    heading = np.exp(1j * np.cumsum(random.normal(0, 0.1, n)))
    center = np.cumsum(0.1 * heading)
    points = center[:, None] + heading[:, None] * BODY
    points = points + 0.02 * (random.normal(size=(n, 3)) + 1j * random.normal(size=(n, 3)))
    points[random.random((n, 3)) < 0.1] = np.nan
    bodies = Bodies(10.0, center, heading, points.astype(np.complex64), BODY, np.full(3, 1 / 3))
    return bodies, np.arange(n), joined(n, np.arange(n - 1), np.arange(1, n))


def test_costs_are_those_of_place_turn_and_sight():
    evidence = learn(*video(), np.arange(60))
    rows, others = np.array([3, 10, 20]), np.array([4, 13, 50])
    seen = compare(evidence.state, rows, others)
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


def test_true_links_cost_less_than_others():
    evidence = learn(*video(), np.arange(60))
    rows = np.arange(10, 40)
    right, wrong = evidence.cost(rows, rows + 1), evidence.cost(rows, rows + 12)
    assert (right < wrong).all()
