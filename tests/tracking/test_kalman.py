import numpy as np
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.kalman import Kalman, _step

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)


def followed(xs, *, missing=(), shape=SQUARE, **settings):
    """Let the filter of one animal see squares at xs, one per frame, and advance it by one frame.

    None in xs is a frame without an observation.

    `missing` are (frame, node) pairs.
    """
    seen = [frame for frame, x in enumerate(xs) if x is not None]
    points = np.stack([shape + np.array([xs[frame], 0]) for frame in seen])
    for frame, node in missing:
        points[seen.index(frame), node] = np.nan
    kalman = Kalman(points, TrackerConfig(**settings))
    for frame in range(len(xs)):
        if frame:
            kalman.update(frame)
        rows = np.flatnonzero(np.array(seen) == frame)
        kalman.observe(frame, np.zeros(len(rows), dtype=int), rows)
    kalman.update(len(xs))
    return kalman


def predicted(kalman, frame):
    """Return how far the pose was moved in x, per node; None without a filter."""
    places, rows, poses = kalman.predict(np.array([0]), frame)
    return (poses[0] - kalman.points[rows[0]])[:, 0] if len(places) else None


BY_NODE = {"kf_track_features": "keypoints"}


@pytest.mark.parametrize("settings", [{}, BY_NODE])
def test_poses_move_half_of_the_predicted_way(settings):
    kalman = followed([3 * t for t in range(10)], **settings)
    np.testing.assert_allclose(predicted(kalman, 10), [3 / 2] * 4, atol=1e-4)
    np.testing.assert_allclose(predicted(kalman, 12), [3 * 3 / 2] * 4, atol=1e-4)


def test_there_is_no_filter_before_the_warm_up_is_over():
    assert predicted(followed([3 * t for t in range(9)]), 9) is None
    assert predicted(followed([3 * t for t in range(5)], kf_init_frame_count=5), 5) is not None


def test_the_first_fit_takes_what_three_frames_show_later_ones_wait_for_the_whole_count():
    assert predicted(followed([None] * 7 + [0, 3, 6, 9][:3]), 10) is not None
    assert predicted(followed([None] * 8 + [0, 3]), 10) is None
    late = [0] + [None] * 9 + [3 * t for t in range(9)]
    assert predicted(followed(late), len(late)) is None
    assert predicted(followed([*late, 27]), len(late) + 1) is not None


def test_a_filter_coasts_and_is_dropped_after_the_gap():
    xs = [3 * t for t in range(12)]
    np.testing.assert_allclose(
        predicted(followed([*xs, None, None]), 14), [3 * 3 / 2] * 4, atol=1e-4
    )
    assert predicted(followed([*xs, *[None] * 4], kf_reset_gap_size=5), 16) is not None
    assert predicted(followed([*xs, *[None] * 5], kf_reset_gap_size=5), 17) is None


def test_a_track_that_lost_its_filter_is_seen_for_the_whole_count_before_it_gets_another():
    # The animal is last seen in frame 11. Its filter is dropped in frame 17, when it is seen again,
    # and only the frames after that count.
    xs = [*(3 * t for t in range(12)), *[None] * 5, *(100 + 3 * t for t in range(11))]
    assert predicted(followed(xs[:-1], kf_reset_gap_size=5), 27) is None
    np.testing.assert_allclose(
        predicted(followed(xs, kf_reset_gap_size=5), 28), [1.5] * 4, atol=0.01
    )


def test_a_leap_is_not_believed():
    calm = followed([3 * t for t in range(12)] + [36 + 30])
    assert calm.filters.accepted.tolist() == [12]  # 30 px is within the smallest gate of 40 px
    leap = followed([3 * t for t in range(12)] + [36 + 50])
    assert leap.filters.accepted.tolist() == [11]
    np.testing.assert_allclose(predicted(leap, 13), [(39 - 86) / 2] * 4, atol=1e-3)


def test_the_leap_of_one_animal_is_none_of_the_other():
    frames = 13
    xs = np.array([[3 * t, 500 - 3 * t] for t in range(frames)])
    xs[-1, 1] += 60  # beyond the gate of 40 px
    points = np.stack([SQUARE + np.array([x, 0]) for x in xs.ravel()])
    kalman = Kalman(points, TrackerConfig())
    for frame in range(frames):
        kalman.update(frame)
        kalman.observe(frame, np.array([1, 0]), np.array([2 * frame + 1, 2 * frame]))
    kalman.update(frames)
    assert kalman.filters.track.tolist() == [0, 1]
    assert kalman.filters.accepted.tolist() == [frames - 1, frames - 2]
    places, rows, poses = kalman.predict(np.array([0, 1]), frames)
    assert places.tolist() == [0, 1]
    assert rows.tolist() == [24, 25]
    expected = [3 / 2, (500 - 3 * frames - xs[-1, 1]) / 2]
    np.testing.assert_allclose((poses - points[rows])[:, 0, 0], expected, atol=1e-3)


@pytest.mark.parametrize("settings", [{}, BY_NODE])
def test_a_pose_without_a_centroid_corrects_nothing_and_keeps_the_filter(settings):
    xs = [3 * t for t in range(18)]
    # One of four nodes is fewer than half.
    poor = [(frame, node) for frame in range(12, 18) for node in (0, 1, 2)]
    kalman = followed(xs, missing=poor, kf_reset_gap_size=5, **settings)
    assert kalman.filters.accepted.tolist() == [17]
    unseen = followed([*xs[:12], *[None] * 5], kf_reset_gap_size=5, **settings)
    # Without any observation for as long, the filter is dropped.
    assert unseen.filters.accepted.tolist() == []
    coasting = followed([*xs[:12], *[None] * 3], kf_reset_gap_size=5, **settings)
    both = followed(
        xs[:15], missing=[place for place in poor if place[0] < 15], kf_reset_gap_size=5, **settings
    )
    ahead = [
        k.filters.mean[:, 0::2] + k.filters.mean[:, 1::2] * (15 - k.filters.frame)[:, None]
        for k in (both, coasting)
    ]
    np.testing.assert_allclose(*ahead)


def test_the_gate_and_the_speed_limit_grow_with_the_speed():
    assert followed([3 * t for t in range(10)]).filters.gate.tolist() == [40]
    assert followed([10 * t for t in range(10)]).filters.gate == pytest.approx([8 * 10])


def test_velocities_stay_within_the_limit():
    kalman = followed([0.0] * 10 + [30.0])  # a leap of 30 px is within the gate of 40 px
    assert kalman.filters.limit.tolist() == [15]
    assert kalman.filters.mean[0, 1] == 15
    place = kalman.filters.mean[0, 0]
    # The last centroid is at 35.
    np.testing.assert_allclose(predicted(kalman, 11), [(place + 15 - 35) / 2] * 4)


def test_the_step_is_taken_over_the_frames_with_a_centroid():
    poor = [(frame, node) for frame in (3, 4) for node in (0, 1, 2)]
    kalman = followed([0, 8, 16, 16, 16], missing=poor, kf_init_frame_count=5)
    # Two frames from the first centroid to the last, not four.
    assert kalman.filters.gate == pytest.approx([8 * 16 / 2])
    assert kalman.filters.limit == pytest.approx([3 * 16 / 2])


def test_one_observation_is_no_motion():
    # A centroid in the last of ten frames only.
    most = [(frame, node) for frame in range(9) for node in (0, 1, 2)]
    assert predicted(followed([3 * t for t in range(10)], missing=most), 10) is None
    assert predicted(followed([3 * t for t in range(10)], missing=most[:-3]), 10) is not None
    # A node is seen in every frame.
    assert predicted(followed([3 * t for t in range(10)], missing=most, **BY_NODE), 10) is not None


def test_a_run_that_ended_longer_ago_than_the_gap_is_not_fitted():
    xs = [*range(6), *[None] * 4]  # last seen in frame 5, fitted in frame 10
    assert predicted(followed(xs, kf_reset_gap_size=4), 10) is None
    assert predicted(followed(xs, kf_reset_gap_size=5), 10) is not None


def test_a_node_that_was_never_seen_is_amid_those_that_were():
    kalman = followed([0] * 10, missing=[(t, 3) for t in range(10)], **BY_NODE)
    _, _, poses = kalman.predict(np.array([0]), 10)
    np.testing.assert_allclose(poses[0, 3], [20 / 3, 10 / 3])  # of (0, 0), (10, 0) and (10, 10)


def test_a_leap_is_judged_by_all_nodes():
    # The upper half of the square is seen. Its centroid is half a side away from the square's.
    half = [(12, 2), (12, 3)]
    near = followed([0] * 13, missing=half, shape=7 * SQUARE, **BY_NODE)
    far = followed([0] * 13, missing=half, shape=9 * SQUARE, **BY_NODE)
    assert near.filters.accepted.tolist() == [12]  # 35 px
    assert far.filters.accepted.tolist() == [11]  # 45 px


def test_missing_nodes_take_the_prediction_and_nodes_that_are_not_used_move_along():
    kalman = followed([3 * t for t in range(12)], missing=[(11, 1)], **BY_NODE)
    _, _, poses = kalman.predict(np.array([0]), 12)
    np.testing.assert_allclose(
        poses[0, :, 0], SQUARE[:, 0] + [33 + 1.5, 36, 33 + 1.5, 33 + 1.5], atol=0.01
    )
    some = followed([3 * t for t in range(12)], kf_node_indices=[0, 2], **BY_NODE)
    np.testing.assert_allclose(predicted(some, 12), [1.5] * 4, atol=1e-4)


def test_a_node_that_was_never_seen_does_no_harm():
    kalman = followed([3 * t for t in range(12)], missing=[(t, 1) for t in range(12)], **BY_NODE)
    np.testing.assert_allclose(predicted(kalman, 12)[[0, 2, 3]], [1.5] * 3, atol=0.01)


def test_a_poor_pose_is_left_where_it_is():
    xs, poor = [3 * t for t in range(12)], [(11, node) for node in (0, 1, 2)]
    for settings in ({}, BY_NODE):
        moved = predicted(followed(xs, missing=poor, **settings), 12)
        np.testing.assert_array_equal(moved, [np.nan] * 3 + [0])


def test_nodes_that_the_skeleton_lacks_are_refused():
    with pytest.raises(
        ConfigError, match=r"tracker\.kf_node_indices: there is no node 4; accepted: 0 to 3"
    ):
        Kalman(SQUARE[None], TrackerConfig(kf_node_indices=[0, 4]))


def test_the_step_of_each_run_is_taken_over_its_own_frames():
    nan = np.nan
    # The first moves 4 px in 2 frames and is lost; the second moves 9 px in 3 frames.
    x = np.array([[0, nan], [2, 0], [4, 3], [nan, 6], [nan, 9]])
    np.testing.assert_allclose(_step(np.stack([x, np.zeros_like(x)], axis=-1)), [4 / 2, 9 / 3])


def test_each_animal_has_a_step_of_its_own():
    gap = [np.nan, np.nan]
    one = [[0, 0], [3, 4], gap, [9, 12]]  # 15 px in three frames
    two = [gap, [1, 1], [1, 5], gap]  # 4 px in one
    three = [gap, gap, [7, 7], gap]  # seen once
    found = _step(np.array([one, two, three], dtype=float).transpose(1, 0, 2))
    assert found.tolist() == [5, 4, 0]
