"""How much animals turn: as scipy has it, and by hand."""

import numpy as np
import pytest
from scipy import stats

from sleap_lab.tracking import turns
from sleap_lab.tracking.gaps import FEW, GAPS
from sleap_lab.tracking.turns import LEAST, Turns, learn_turns, mixed

NO_BLUR = np.zeros(1)


def test_with_one_degree_of_freedom_turns_are_a_wrapped_cauchy():
    angle, usual = np.linspace(0, 3.1, 9), 0.4
    half = np.tan(usual / 2)
    expected = stats.wrapcauchy((1 - half) / (1 + half)).pdf(angle) * 2 * np.pi
    assert turns._ratio(np.cos(angle), np.float64(usual), 1.0) == pytest.approx(expected)


@pytest.mark.parametrize("tail", turns.TAILS)
def test_densities_hold_all_turns_and_half_of_them_below_the_usual_one(tail):
    angle = (np.arange(20000) + 0.5) / 20000 * np.pi
    ratio = turns._ratio(np.cos(angle), np.float64(0.5), tail)
    assert ratio.mean() == pytest.approx(1, rel=1e-3)
    assert ratio[angle < 0.5].sum() / len(angle) == pytest.approx(0.5, rel=2e-3)


def test_the_cost_of_a_turn_is_against_directions_that_say_nothing():
    found = Turns(np.full(len(GAPS), 0.4), 1.0, 0.1)
    half = np.tan(0.2)
    ratio = stats.wrapcauchy((1 - half) / (1 + half)).pdf(0.3) * 2 * np.pi
    cost = found.cost(np.ones(1), np.cos([0.3]), NO_BLUR)
    assert cost == pytest.approx([-np.log(0.9 * ratio + 0.1)])
    assert found.cost(np.ones(1), np.array([np.nan]), NO_BLUR).tolist() == [0]
    # Uncertain poses make it tell less: in variances, 0.4 is 0.4 / 0.6745 squared.
    wide = Turns(np.full(len(GAPS), np.hypot(0.4, 0.6745 * 0.5)), 1.0, 0.1)
    blurred = found.cost(np.ones(1), np.cos([0.3]), np.full(1, 0.25))
    assert blurred == pytest.approx(wide.cost(np.ones(1), np.cos([0.3]), NO_BLUR))


def test_usual_turns_are_medians_and_grow_where_there_are_few():
    cosines = [np.cos(np.linspace(0, 0.8, FEW + 1)), np.ones(FEW), np.ones(FEW - 1)]
    cosines += [np.array([np.nan] * 50)] * 7
    found = learn_turns(cosines)
    assert found.usual[:3] == pytest.approx([0.4, LEAST, LEAST * 1.2])
    assert found.usual[3] == pytest.approx(LEAST * 1.2**2)
    assert learn_turns([np.zeros(0)] * len(GAPS)).usual[0] == pytest.approx(np.pi / 6)


def test_turns_are_never_wider_than_directions_that_say_nothing():
    # A median of a quarter turn is that of all directions, so a turn tells nothing then.
    anything = Turns(np.full(len(GAPS), 3.0), 1.0, 0.1)
    assert anything.cost(np.ones(1), np.cos([0.3]), NO_BLUR) == pytest.approx(0, abs=1e-12)
    found = learn_turns([np.cos(np.linspace(0, np.pi, FEW + 1))] + [np.zeros(0)] * 9)
    assert found.usual == pytest.approx(np.full(len(GAPS), np.pi / 2))


def test_one_direction_in_twenty_may_be_anything_before_any_is_seen():
    assert learn_turns([np.zeros(0)] * len(GAPS)).flip == pytest.approx(1 / 20)


@pytest.mark.parametrize("tail", [1.0, 4.0])
def test_the_tail_and_the_flips_are_those_of_what_was_seen(tail):
    random = np.random.default_rng(0)
    angle = 2 * np.arctan(0.1 * random.standard_t(tail, 4000))
    flipped = random.random(4000) < 0.05
    angle = np.where(flipped, random.uniform(-np.pi, np.pi, 4000), angle)
    found = learn_turns([np.cos(angle)] * len(GAPS))
    assert found.tail == tail
    assert found.flip == pytest.approx(0.05, abs=0.02)


def test_the_share_of_two_densities():
    # Seven places only the one explains, three only the other: 0.3, drawn towards 0.5 by ten.
    usual, other = np.repeat([1.0, 0.0], [7, 3]), np.repeat([0.0, 1.0], [7, 3])
    assert mixed(usual, other, 0.5, 1e-9) == pytest.approx(0.3)
    assert mixed(usual, other, 0.5, 10) == pytest.approx((3 + 5) / 20)
