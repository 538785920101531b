"""Bodies laid on poses: known bodies are put somewhere, and found there."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking import bodies
from sleap_lab.tracking.bodies import Bodies, describe_bodies

NAN = np.nan
GAP = complex(NAN, NAN)
TRIANGLE = np.array([3 + 0j, 0 + 1j, -3 - 1j])


def px(plane):
    """Points of the plane as coordinates."""
    plane = np.asarray(plane)
    return np.stack([plane.real, plane.imag], axis=-1)


def poses_of(plane, frame=0):
    """Poses of complex points, (n, nodes)."""
    plane = np.asarray(plane, dtype=complex)
    names = tuple(f"n{node}" for node in range(plane.shape[1]))
    return make_poses(Skeleton(names), px(plane), frame=frame)


def test_the_distance_of_two_bodies_is_that_of_their_places_and_turned_nodes():
    found = Bodies(
        10.0,
        np.array([0, 3, 5]),
        np.array([1, 1j, GAP]),
        np.array([[1], [2], [3]]),
        body=np.array([0.5]),
        weight=np.ones(1),
    )
    apart = found.apart(np.array([0, 0, 1]), np.array([1, 2, 1]))
    # Directions 1 and i are sqrt(2) apart, so nodes at 0.5 from the centre move by 0.5 · sqrt(2);
    # a direction that is unknown counts as the same.
    assert apart == pytest.approx([np.sqrt(9 + 0.25 * 2), 5, 0])
    some = found.of(np.array([2, 1]))
    assert some.center.tolist() == [5, 3]
    assert some.points.tolist() == [[3], [2]]
    assert np.isnan(some.heading[0])
    assert some.heading[1] == 1j
    assert (some.length, some.radius) == (10, 0.5)


def test_points_are_in_body_lengths():
    assert bodies._plane(np.array([[[6, 8], [2, 0]]]), 2.0).tolist() == [[3 + 4j, 1]]


def test_the_body_length_is_the_median_extent(monkeypatch):
    poses = [[0, 3 + 4j], [1, 7 + 8j], [1j, 30 + 41j], [5, GAP], [GAP, GAP]]  # 5, 10 and 50
    assert bodies._body_length(px(poses)) == 10
    monkeypatch.setattr(bodies, "AT_ONCE", 2)
    assert bodies._body_length(px(poses)) == 10
    assert bodies._body_length(px([[1, GAP]])) == 1  # one node has no extent
    assert bodies._body_length(px([[2, 2]])) == 1  # two at the same place neither


def test_the_sample_is_that_of_whole_frames(monkeypatch):
    monkeypatch.setattr(bodies, "SAMPLE", 4)
    frame = np.repeat([0, 2, 4, 6, 8, 10], 2)
    poses = poses_of(np.zeros((12, 2)), frame)
    # Twelve poses are three times too many: the first and the fourth frame.
    assert bodies._sample(poses).tolist() == [0, 1, 6, 7]
    few = poses_of(np.zeros((12, 2)), np.repeat([0, 1], 6))
    assert bodies._sample(few).tolist() == list(range(12))  # fewer frames than that
    three = poses_of(np.zeros((12, 2)), np.repeat([0, 1, 2], 4))
    assert bodies._sample(three).tolist() == list(range(12))
    monkeypatch.setattr(bodies, "SAMPLE", 13)
    assert bodies._sample(poses).tolist() == list(range(12))


def test_places_agree_with_the_distances_between_nodes():
    turns = np.exp(1j * np.array([0.3, 2.0, 4.0]))
    body = bodies._scaled(turns[:, None] * TRIANGLE + np.array([[5], [2j], [1 + 1j]]))
    assert abs(body[0] - body[1]) == pytest.approx(np.sqrt(10))
    assert abs(body[0] - body[2]) == pytest.approx(np.sqrt(37))
    assert abs(body[1] - body[2]) == pytest.approx(np.sqrt(13))
    assert abs(body.sum()) == pytest.approx(0, abs=1e-9)
    # The longer axis is the first.
    assert np.abs(body.real).max() > np.abs(body.imag).max()


def test_distances_are_medians_and_one_that_was_never_seen_is_the_mean_of_all():
    # Two nodes 3, 5 and 100 apart: 5.
    body = bodies._scaled(np.array([[0, 3], [0, 5], [0, 100], [0, GAP]]))
    assert abs(body[0] - body[1]) == pytest.approx(5)
    # 0 and 1 are 4 apart, 1 and 2 as well; 0 and 2 never seen together. The distances of the table
    # are 4 four times and 0 three times, on its diagonal: 16 / 7 is their mean.
    body = bodies._scaled(np.array([[0, 4, GAP], [GAP, 0, 4]]))
    assert abs(body[0] - body[1]) == pytest.approx(4, rel=1e-6)
    assert abs(body[1] - body[2]) == pytest.approx(4, rel=1e-6)
    assert abs(body[0] - body[2]) == pytest.approx(16 / 7, rel=1e-6)


def test_a_body_is_laid_where_it_was_put():
    weight = np.array([0.5, 0.3, 0.2])
    body = TRIANGLE - np.sum(weight * TRIANGLE)
    heading, center = np.exp(1j * np.array([0.5, 3.0])), np.array([2 - 1j, -4j])
    points = center[:, None] + heading[:, None] * body
    points[1, 2] = GAP  # two nodes do as well
    found, turned = bodies._place(points, body, weight)
    assert found == pytest.approx(center)
    assert turned == pytest.approx(heading)


def test_a_body_is_laid_by_weighted_least_squares():
    weight, random = np.array([0.5, 0.3, 0.2]), np.random.default_rng(0)
    body = TRIANGLE - np.sum(weight * TRIANGLE)
    points = 2 + 1j + np.exp(0.7j) * body + random.normal(size=3) + 1j * random.normal(size=3)
    for there in ([0, 1, 2], [0, 2]):
        seen = np.full(3, GAP)
        seen[there] = points[there]
        (center,), (heading,) = bodies._place(seen[None], body, weight)

        def misfit(way, there=there):
            laid = way[0] + 1j * way[1] + np.exp(1j * way[2]) * body
            return np.sum(weight[there] * np.abs(points[there] - laid[there]) ** 2)

        best = minimize(misfit, [2, 1, 0.7], tol=1e-12).x
        assert center == pytest.approx(best[0] + 1j * best[1], abs=1e-5)
        assert heading == pytest.approx(np.exp(1j * best[2]), abs=1e-5)


def test_nodes_that_span_too_little_tell_no_direction():
    weight = np.array([0.25, 0.25, 0.25, 0.25])
    body = np.array([-3, 3, 0.3j, -0.3j])
    # The spread of all is (9 + 9 + 0.09 + 0.09) / 4; of the last two 0.09 · 2 / 4, which is less
    # than a twentieth of it; of the first and the third (2.25 + 0.0225) · 2 / 4, which is more.
    points = np.array(
        [[GAP, GAP, 4, 4 + 2j], [1, GAP, 4, GAP], [GAP, 5j, GAP, GAP], [GAP, GAP, GAP, GAP]]
    )
    with np.errstate(invalid="ignore"):
        center, heading = bodies._place(points, body, weight)
    assert center[0] == 4 + 1j  # the mean of what is there
    assert center[2] == 5j
    assert np.isnan(heading[[0, 2, 3]]).all()
    assert np.isnan(center[3])
    # What leads by 3 + 0.3i on the body leads by 3 in the picture.
    assert heading[1] == pytest.approx(abs(3 + 0.3j) / (3 + 0.3j))


def test_how_much_must_be_spanned():
    # Two nodes `apart`, the third 6 from the middle of both: the spread is apart² / 6 + 2 · 6² / 9,
    # that of the two apart² / 6. A twentieth is reached at apart² = 0.05 / 0.95 · 48 = 1.5894².
    weight = np.full(3, 1 / 3)
    for apart, told in ((1.60, True), (1.58, False)):
        body = np.array([0, apart, apart / 2 + 6j])
        _, heading = bodies._place(np.array([[0, apart, GAP]]), body - body.mean(), weight)
        assert np.isnan(heading[0]) != told


def test_points_in_one_place_tell_no_direction():
    center, heading = bodies._place(np.array([[2, 2, 2.0 + 0j]]), TRIANGLE, np.full(3, 1 / 3))
    assert np.isnan(heading[0])
    assert center[0] == pytest.approx(2)


def test_what_tells_no_direction_raises_no_warning():
    # Neither a pose without a node, nor one whose extent rounding has lost.
    points = np.array([[GAP, GAP, GAP], [1e-170, 0, GAP], [2, 2 + 1e-160j, 2.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        center, heading = bodies._place(points, TRIANGLE, np.full(3, 1 / 3))
    assert np.isnan(heading).all()
    assert np.isnan(center).tolist() == [True, False, False]
    assert center[1:] == pytest.approx([0, 2])


def test_the_misfit_is_the_sum_of_what_nodes_are_off():
    weight = np.full(3, 1 / 3)
    body = TRIANGLE - TRIANGLE.mean()
    points = np.array([5 + 1j * body, 2j - body, 1 + body])
    assert bodies._misfit(points, body, weight) == pytest.approx(0, abs=1e-9)
    # The middle of the body of two nodes stays, each is half of what they are too far apart off.
    assert bodies._misfit(
        np.array([[0, 4], [0, 2], [0, GAP]]), np.array([-1, 1]), np.full(2, 0.5)
    ) == (pytest.approx(2))


def random_poses(n, seed=0, noise=(0.1, 0.1, 0.3)):
    """The triangle put anywhere, its last node the least steady."""
    random = np.random.default_rng(seed)
    off = random.normal(size=(n, 3)) + 1j * random.normal(size=(n, 3))
    turn = np.exp(1j * random.uniform(0, 6, n))
    points = turn[:, None] * (TRIANGLE + noise * off)
    points[np.arange(n) % 3 == 0, random.integers(0, 3)] = GAP
    return points + (random.normal(size=n) + 1j * random.normal(size=n))[:, None] * 20


def test_the_typical_body_is_that_of_all_poses_and_not_its_mirror_image():
    turn = np.exp(1j * np.array([0, 1, 2, 3.5]))
    for figure in (TRIANGLE, np.conj(TRIANGLE)):
        body, weight = bodies._typical_body(turn[:, None] * figure + np.arange(4)[:, None])
        assert weight == pytest.approx(np.full(3, 1 / 3))
        own = figure - figure.mean()
        assert body / body[0] == pytest.approx(own / own[0])
        assert np.abs(body) == pytest.approx(np.abs(own))


def test_poses_and_body_are_fitted_in_turn():
    points = random_poses(60)
    body, weight = bodies._scaled(points), np.full(3, 1 / 3)
    if bodies._misfit(points, np.conj(body), weight) < bodies._misfit(points, body, weight):
        body = np.conj(body)
    for _ in range(4):
        center, heading = bodies._place(points, body, weight)
        seen = (points - center[:, None]) / heading[:, None]
        there = [column[~np.isnan(column)] for column in seen.T]
        body = np.array([np.median(one.real) + 1j * np.median(one.imag) for one in there])
        spread = np.array(
            [np.median(np.abs(one - own) ** 2) for one, own in zip(there, body, strict=True)]
        )
        weight = 1 / (spread + np.median(spread))
        weight = weight / weight.sum()
        body = body - np.sum(weight * body)
    found, steady = bodies._typical_body(points)
    assert found == pytest.approx(body, rel=1e-9)
    assert steady == pytest.approx(weight, rel=1e-9)
    assert weight[2] < weight[:2].min()


def test_a_node_that_was_never_found_has_no_weight():
    points = np.append(random_poses(20), np.full((20, 1), GAP), axis=1)
    body, weight = bodies._typical_body(points)
    assert weight[3] == 0
    assert weight.sum() == pytest.approx(1)
    assert np.isfinite(body).all()
    apart, _ = bodies._typical_body(np.array([[1, GAP], [GAP, 2]]))  # never seen together
    assert apart.tolist() == [0, 0]


def test_bodies_are_found_in_all_poses(monkeypatch):
    turn = np.exp(1j * np.array([0, 1, 2, 3.5, 5]))
    place = np.array([0, 20, 40j, 7, 1 - 9j])
    own = TRIANGLE - TRIANGLE.mean()
    points = turn[:, None] * own + place[:, None]
    points[4, 1:] = GAP
    low, high = (side(px(points[:4]), axis=1) for side in (np.min, np.max))
    length = np.median(np.hypot(*(high - low).T))
    found = describe_bodies(poses_of(points))
    assert found.length == pytest.approx(length)
    assert found.center[:4] == pytest.approx(place[:4] / length)
    assert found.center[4] == pytest.approx(points[4, 0] / length)
    assert found.heading[:4] / found.heading[0] == pytest.approx(turn[:4])
    assert np.isnan(found.heading[4])
    seen = own / length / found.heading[0]
    assert found.shapes()[:4] == pytest.approx(np.tile(seen, (4, 1)), abs=1e-6)
    assert found.shapes().dtype == np.complex64
    assert found.radius == pytest.approx(np.sqrt(np.mean(np.abs(own) ** 2)) / length)
    monkeypatch.setattr(bodies, "AT_ONCE", 2)
    again = describe_bodies(poses_of(points))
    assert again.center == pytest.approx(found.center)
    assert np.array_equal(again.shapes(), found.shapes(), equal_nan=True)


def test_two_nodes_have_a_direction():
    found = describe_bodies(poses_of([[0, 4], [1, 1 + 4j], [3j, -4 + 3j]]))
    assert found.length == 4
    assert found.center == pytest.approx(np.array([2, 1 + 2j, -2 + 3j]) / 4)
    assert found.heading / found.heading[0] == pytest.approx([1, 1j, -1])
    assert found.radius == pytest.approx(2 / 4)


def test_single_nodes_have_a_place_and_nothing_else():
    found = describe_bodies(poses_of([[3 + 4j], [6 + 8j]]))
    assert (found.length, found.radius) == (1, 0)
    assert found.center.tolist() == [3 + 4j, 6 + 8j]
    assert np.isnan(found.heading).all()
