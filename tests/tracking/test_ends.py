"""What is known about detections as ends of links, worked out by hand."""

import numpy as np
import pytest

from sleap_lab.tracking import ends
from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.ends import ASTRAY, WINDOWS, compare, know

NAN = complex(np.nan, np.nan)
BODY = np.array([1, 0, -1], dtype=complex) / 2
EVERY = np.arange(100)


def bodies_of(points):
    points = np.array(points, dtype=np.complex64)
    center = np.nanmean(points, axis=1).astype(complex)
    heading = np.full(len(points), NAN)
    return Bodies(10.0, center, heading, points, BODY, np.full(3, 1 / 3))


def stretch(points, time=None):
    """What is known of the detections of one stretch."""
    n = len(points)
    rows = np.arange(n)
    time = rows if time is None else np.array(time)
    return know(bodies_of(points), time, rows - 1, np.where(rows < n - 1, rows + 1, -1), rows)


def test_missing_nodes_move_along_with_those_that_were_found():
    state = stretch([[1, 2, 3], [NAN, 2.5, 3.3], [NAN, NAN, 4.3]])
    # Nodes 2 and 3 move by 0.5 and 0.3, so node 1 by 0.4; then node 3 moves by 1.
    assert state.arriving.pose[1] == pytest.approx([1.4, 2.5, 3.3])
    assert state.arriving.pose[2] == pytest.approx([2.4, 3.5, 4.3])
    ways = np.array([0.4 + 1.0, 1.0, 0])
    assert state.arriving.trust[2] == pytest.approx(1 / (1 + (ways / ASTRAY) ** 2), rel=1e-4)
    # Nobody came after the last, nobody before the first.
    assert np.isnan(state.leaving.pose[2][:2]).all()
    assert state.arriving.pose[0] == pytest.approx([1, 2, 3])
    assert state.leaving.pose[0] == pytest.approx([1, 2, 3])


def test_velocities_are_measured_over_the_last_detections_in_the_direction_of_time():
    state = stretch([[0, 1, 2], [1, 2, NAN], [3, 4, 5], [7, 8, 9]], time=[0, 1, 2, 4])
    assert state.arriving.velocity[3].tolist() == pytest.approx([4 / 2, 6 / 3, 7 / 4, 7 / 4])
    assert state.leaving.velocity[0].tolist() == pytest.approx([1, 3 / 2, 7 / 4, 7 / 4])
    assert np.isnan(state.arriving.velocity[0]).all()
    assert len(WINDOWS) == state.arriving.velocity.shape[1]


def test_poses_without_a_shared_node_move_as_their_centres():
    state = stretch([[0, NAN, NAN], [NAN, NAN, 3]])
    assert state.arriving.velocity[1, 0] == 3
    assert state.arriving.pose[1, [0, 2]].tolist() == [3, 3]


def test_of_rows_that_are_not_asked_for_nothing_is_collected(monkeypatch):
    monkeypatch.setattr(ends, "AT_ONCE", 1)
    points = np.arange(12).reshape(4, 3)
    rows = np.arange(4)
    some = know(bodies_of(points), rows, rows - 1, np.append(rows[1:], -1), np.array([3, 1]))
    every = stretch(points)
    for found, expected in zip(some.arriving, every.arriving, strict=True):
        assert np.array_equal(found[[1, 3]], expected[[1, 3]], equal_nan=True)
    assert np.isnan(some.arriving.pose[[0, 2]]).all()


def compared(one, two):
    """Two detections that know of no other, two frames apart."""
    none = np.full(2, -1)
    state = know(bodies_of([one, two]), np.array([3, 5]), none, none, np.arange(2))
    return compare(state, np.array([0]), np.array([1]))


def test_ends_are_compared_by_the_nodes_that_both_have():
    seen = compared([0, 1, NAN], [0.5j, 1 + 0.5j, 7])
    assert seen.gap.tolist() == [2]
    assert seen.step == pytest.approx([0.5j])
    assert seen.turn == pytest.approx([1])
    assert seen.lie == pytest.approx([(0.25) ** 2])  # the mean of 0.5 and 0
    assert seen.noise == pytest.approx([2 / 2 - 2 / 3])
    # Two nodes 0.5 from their mean, both times: 8 / (4 * 0.25) - 8 / 0.5 is less than 0.
    assert seen.swing == pytest.approx([0])


@pytest.mark.parametrize("angle", [0.3, 1.5, 3.0])
def test_a_body_that_turns_has_the_cosine_of_its_turn(angle):
    seen = compared([1, 0, -1], np.exp(1j * angle) * np.array([1, 0, -1]) + 1)
    assert seen.turn == pytest.approx([np.cos(angle)], abs=1e-5)
    assert seen.step == pytest.approx([1])


def test_a_body_that_bends_counts_as_one_that_turns():
    # Only the last node turns, by a right angle: (1, 0, -1) becomes (1, 0, -1j), whose mean is
    # (1 - 1j) / 3. The product is 1 + 0 - 0 = 1, the squares are 2 and 2 - 2 / 3.
    seen = compared([1, 0, -1], [1, 0, -1j])
    assert seen.turn == pytest.approx([2 * 1 / (2 + 2 - 2 / 3)], abs=1e-6)


def test_a_single_node_tells_no_turn():
    seen = compared([1, NAN, NAN], [2, 3, 4])
    assert seen.step == pytest.approx([1])
    assert np.isnan(seen.turn).all()
    assert seen.noise == pytest.approx([2 - 2 / 3])


def test_without_a_shared_node_and_far_apart_centres_tell_the_step():
    seen = compared([1, NAN, NAN], [NAN, 2, 2])
    assert seen.step == pytest.approx([1])
    assert np.isnan(seen.turn).all()
    far = compared([0, 1, NAN], [10, 11, 12])
    assert far.step == pytest.approx([11 - 0.5])
    assert np.isnan(far.turn).all()
    assert far.noise == [0]


def test_nodes_that_moved_far_count_little():
    # The first node was seen before the others moved by 1, and is elsewhere afterwards.
    points = [[0, 1, 2], [NAN, 2, 3], [9, 2, 3]]
    state = stretch(points)
    alone = know(state.bodies, np.arange(3), *np.array([[-1, 0, -1], [1, -1, -1]]), np.arange(3))
    seen = compare(alone, np.array([1]), np.array([2]))
    share = 1 / (1 + (1 / ASTRAY) ** 2)
    assert seen.step == pytest.approx([8 * share / (2 + share)], rel=1e-3)


def test_speed_is_measured_over_up_to_eight_detections():
    at = np.arange(10.0) ** 2
    state = stretch(at[:, None] + [0, 1, 2])
    assert state.arriving.velocity[9].real == pytest.approx(
        [(81 - at[9 - window]) / window for window in (1, 2, 4, 8)]
    )


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_links_are_compared_each_by_itself(at_once, monkeypatch):
    state = stretch([[0, NAN, NAN], [NAN, 1.5, 2], [1, 2, NAN], [50, 51, 52]])
    links = [(0, 2), (1, 2), (0, 3), (0, 1), (2, 3)]
    alone = [compare(state, np.array([row]), np.array([other])) for row, other in links]
    monkeypatch.setattr(ends, "AT_ONCE", at_once)
    together = compare(state, *np.array(links).T)
    for column, found in zip(zip(*alone, strict=True), together, strict=True):
        np.testing.assert_array_equal(found, np.concatenate(column))
    assert together.step[1] != state.bodies.center[2] - state.bodies.center[1]
