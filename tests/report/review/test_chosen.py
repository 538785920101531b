"""Which frames a page holds."""

import numpy as np

from sleap_lab.report.review.chosen import choose
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
    held = chosen(every, moments, 4 * GROUP)  # frames 564 to 636 lie in groups 23 to 26
    assert held.tolist() == list(range(23 * GROUP, 27 * GROUP))
    both = chosen(every, moments, 8 * GROUP)
    assert {600, 300} <= set(both.tolist())


def test_near_a_moment_its_own_distance_counts(make_moment):
    moments = [make_moment(50), make_moment(5)]  # both within reach of the first group
    assert chosen(places(60), moments, 24).tolist() == list(range(2 * GROUP, 60))


def test_then_what_is_nearest(make_moment):
    held = chosen(places(1000), [make_moment(500)], 600)
    assert len(held) > 600 - GROUP
    assert held[0] > 150  # it grows to both sides
    assert held[-1] < 850
    assert (np.diff(held) == 1).all()


def test_without_moments_the_beginning():
    assert chosen(places(1000), [], 130).tolist() == list(range(5 * GROUP))


def test_groups_are_whole_and_end_with_their_video(make_moment):
    every = places(GROUP + 6, GROUP + 6)
    held = chosen(every, [make_moment(GROUP + 5, video=1)], 6)
    assert held.tolist() == list(range(2 * GROUP + 6, 2 * GROUP + 12))


def test_a_page_is_never_empty():
    assert chosen(places(100), [], 1).tolist() == list(range(GROUP))
