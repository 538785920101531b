"""Which frames a page holds."""

import numpy as np

from sleap_lab.report.review.chosen import AROUND, choose
from sleap_lab.report.review.film import GROUP

COST = 10.0


def places(*lengths):
    return np.array([(video, i) for video, n in enumerate(lengths) for i in range(n)])


def chosen(places, moments, frames):
    return np.flatnonzero(choose(places, moments, np.full(len(places), COST), frames * COST))


def test_everything_where_it_fits():
    assert len(chosen(places(100, 20), [], 120)) == 120


def test_the_most_doubtful_moments_come_first(make_moment):
    every = places(1000)
    moments = [make_moment(600), make_moment(300)]
    held = chosen(every, moments, 2 * AROUND + GROUP)
    assert set(range(600 - AROUND + GROUP, 600 + AROUND - GROUP)) <= set(held.tolist())
    assert 300 not in held
    both = chosen(every, moments, 4 * AROUND + 4 * GROUP)
    assert {600, 300} <= set(both.tolist())


def test_then_what_is_nearest(make_moment):
    held = chosen(places(1000), [make_moment(500)], 600)
    assert len(held) > 600 - GROUP
    assert held[0] > 150  # it grows to both sides
    assert held[-1] < 850
    assert (np.diff(held) == 1).all()


def test_without_moments_the_beginning():
    assert chosen(places(1000), [], 120).tolist() == list(range(120))


def test_groups_are_whole_and_end_with_their_video(make_moment):
    every = places(30, 30)  # groups of 12, 12, 6 in each
    held = chosen(every, [make_moment(29, video=1)], 6)
    assert held.tolist() == list(range(54, 60))


def test_a_page_is_never_empty():
    assert chosen(places(100), [], 1).tolist() == list(range(GROUP))
