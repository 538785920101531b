"""Halves of poses: known bodies are cut in two, and found to be one."""

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking.bodies import describe_bodies
from sleap_lab.tracking.halves import join_halves

GAP = complex(np.nan, np.nan)
FISH = np.array([60 + 0j, 30 + 12j, 20 - 12j, 0 + 0j, -60 + 0j])
NONE = np.zeros(0, dtype=int)


def fish(place, turn=0.0, nodes=(0, 1, 2, 3, 4)):
    """A pose of which some nodes are found."""
    pose = FISH * np.exp(1j * turn) + place
    return [pose[node] if node in nodes else GAP for node in range(5)]


def described(poses, noise=1.0):
    """Bodies of poses, which err by some px, beside many whole ones that tell what is usual."""
    rng = np.random.default_rng(0)
    usual = [fish(rng.uniform(0, 900), rng.uniform(0, 6)) for _ in range(40)]
    points = np.array([*poses, *usual])
    points = points + noise * (rng.normal(size=points.shape) + 1j * rng.normal(size=points.shape))
    names = tuple(f"n{node}" for node in range(5))
    plane = np.stack([points.real, points.imag], axis=-1)
    return describe_bodies(make_poses(Skeleton(names), plane, frame=0))


def halves(poses, time=None, worth=None, whole=()):
    """Bodies and the rows of other halves; all but these poses are alone in their frames."""
    bodies = described(poses)
    n, k = len(bodies.center), len(poses)
    times = np.arange(n) + 100
    times[:k] = 0 if time is None else time
    score = np.ones(n)
    score[:k] = 1.0 if worth is None else worth
    bodies, rest = join_halves(bodies, times, score, np.isin(np.arange(n), whole))
    return bodies, rest.nonzero()[0].tolist()


def test_two_halves_are_the_body_that_was_cut():
    whole = described([fish(100, 0.5), fish(100, 0.5)])
    bodies, rest = halves([fish(100, 0.5, nodes=(0, 1)), fish(100, 0.5, nodes=(2, 3, 4))])
    assert rest == [0]
    assert not np.isnan(bodies.points[1]).any()
    assert np.abs(bodies.center[1] - whole.center[1]) < 0.05
    assert np.abs(bodies.heading[1] - whole.heading[1]) < 0.05


def test_what_was_given_stays_as_it_was():
    given = described([fish(100, nodes=(0, 1)), fish(100, nodes=(2, 3, 4))])
    before = replace(given, points=given.points.copy(), center=given.center.copy())
    time = np.concatenate([[0, 0], np.arange(40) + 1])
    join_halves(given, time, np.ones(42), np.zeros(42, dtype=bool))
    assert np.array_equal(given.points, before.points, equal_nan=True)
    assert np.array_equal(given.center, before.center)


def test_of_halves_with_as_many_nodes_the_better_one_stands_for_both():
    poses = [fish(0, nodes=(0, 1)), fish(0, nodes=(3, 4))]
    assert halves(poses, worth=[0.9, 0.4])[1] == [1]
    assert halves(poses, worth=[0.4, 0.9])[1] == [0]


@pytest.mark.parametrize(
    "poses",
    [
        # The head of one animal, and the tail of another beside it, or turned the other way.
        [fish(0, nodes=(0, 1)), fish(50j, nodes=(2, 3, 4))],
        [fish(0, nodes=(0, 1)), fish(0, np.pi, nodes=(2, 3, 4))],
        # Both have a node.
        [fish(0, nodes=(0, 1, 2)), fish(0, nodes=(2, 3, 4))],
        [fish(0, nodes=(0, 1)), fish(0)],
    ],
)
def test_two_animals_are_not_joined(poses):
    assert halves(poses)[1] == []


def sticks(*beside):
    """Whether the head at 0 and the tail at -60 of moment 0 are one, by poses of other moments."""
    rng = np.random.default_rng(0)
    heads = 900 * rng.random((40, 2)) @ [1, 1j]
    usual = np.stack([heads, heads - 60 * np.exp(6j * rng.random(40))], axis=1)
    points = np.array([[0, GAP], [GAP, -60], *([head, tail] for _, head, tail in beside), *usual])
    points = points + rng.normal(size=points.shape) + 1j * rng.normal(size=points.shape)
    time = np.array([0, 0, *(moment for moment, *_ in beside), *range(100, 140)])
    plane = np.stack([points.real, points.imag], axis=-1)
    bodies = describe_bodies(make_poses(Skeleton(("head", "tail")), plane, frame=0))
    never = np.zeros(len(time), dtype=bool)
    return bool(join_halves(bodies, time, np.ones(len(time)), never)[1].any())


# Two animals stand a body apart, and a single one is there; some px moved on.
TWO, ONE = ((2, 62j), (-122, -62)), ((3, -57),)


def at(moment, animals):
    return [(moment, *animal) for animal in animals]


@pytest.mark.parametrize(
    ("beside", "one"),
    [
        ([], True),  # nothing says otherwise
        (at(1, TWO), False),
        (at(-1, TWO), False),
        (at(-1, TWO) + at(1, TWO), False),
        (at(1, ONE), True),
        (at(1, ONE) + at(2, TWO), True),  # the nearest moment counts
        (at(1, TWO) + at(2, ONE), False),
        (at(1, [(500, 560)]) + at(2, TWO), False),  # of which one says something
        (at(1, TWO[:1]) + at(2, TWO), False),
        (at(1, [(2, GAP), (GAP, -62)]) + at(2, TWO), False),  # halves themselves say nothing
        (at(-1, TWO) + at(1, ONE), True),  # both are said: no more than two animals are told
    ],
)
def test_other_moments_tell_two_animals_from_halves_of_one(beside, one):
    assert sticks(*beside) == one


def test_halves_of_different_moments_are_not_joined():
    assert halves([fish(0, nodes=(0, 1)), fish(0, nodes=(2, 3, 4))], time=[0, 1])[1] == []


def test_what_is_known_to_be_whole_is_not_joined():
    assert halves([fish(0, nodes=(0, 1)), fish(0, nodes=(2, 3, 4))], whole=[0])[1] == []


def test_of_two_animals_in_halves_each_gets_its_own():
    one, two = (5 + 0j, 0.0), (5 + 9j, 0.1)
    poses = [
        fish(*one, nodes=(0, 1, 2)),
        fish(*two, nodes=(0, 1, 2)),
        fish(*two, nodes=(3, 4)),
        fish(*one, nodes=(3, 4)),
    ]
    bodies, rest = halves(poses)
    assert rest == [2, 3]
    for row, other in ((0, 3), (1, 2)):
        own = described(poses).points[other, 3:]
        assert np.array_equal(bodies.points[row, 3:], own)


def test_single_nodes_and_nodes_that_are_never_found_are_no_trouble():
    single = describe_bodies(make_poses(Skeleton(("n",)), np.zeros((3, 1, 2)), frame=0))
    rest = join_halves(single, np.zeros(3, int), np.ones(3), np.zeros(3, dtype=bool))[1]
    assert not rest.any()
    apart = [[0, GAP, GAP], [GAP, 9, GAP], [30, GAP, GAP], [GAP, 39, GAP]]
    plane = np.stack([np.real(apart), np.imag(apart)], axis=-1)
    pairs = describe_bodies(make_poses(Skeleton(("a", "b", "c")), plane, frame=0))
    rest = join_halves(pairs, np.zeros(4, int), np.ones(4), np.zeros(4, dtype=bool))[1]
    assert not rest.any()


def test_without_detections_nothing_is_joined():
    none = described([]).of(NONE)
    assert len(join_halves(none, NONE, np.zeros(0), np.zeros(0, dtype=bool))[1]) == 0
