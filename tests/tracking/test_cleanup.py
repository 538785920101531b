import numpy as np
import pytest

from sleap_lab.tracking.cleanup import connect_single_breaks, cull


def boxes(*corners):
    """Two-node poses that span the boxes [xmin, ymin, xmax, ymax]."""
    return np.array(corners, dtype=float).reshape(-1, 2, 2)


APART = boxes([0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [60, 0, 69, 9])


@pytest.mark.parametrize(
    ("scores", "target", "expected"),
    [
        ([4, 1, 3, 2], 2, [0, 2]),
        ([4, 1, 3, 2], 4, [0, 1, 2, 3]),
        ([4, 1, 3, 2], 9, [0, 1, 2, 3]),
        ([4, 1, 3, 2], 0, []),
        ([1, 1, 1, 1], 2, [2, 3]),  # among equals the earlier ones go first
        ([1, 2, 1, 2], 3, [1, 2, 3]),
    ],
)
def test_cull_by_score(scores, target, expected):
    for iou_threshold in (0, 0.5):  # which changes nothing for boxes that lie apart
        assert (
            np.flatnonzero(
                cull(APART, np.array(scores, dtype=float), target, iou_threshold)
            ).tolist()
            == expected
        )


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0, [0, 1]),  # scores only
        (0.45, [0, 2]),  # 50 px of the second box's 100 px lie under the first
        (0.5, [0, 1]),  # not more than half
    ],
)
def test_cull_drops_covered_instances_first(threshold, expected):
    points = boxes([0, 0, 9, 9], [5, 0, 14, 9], [40, 0, 49, 9])
    assert (
        np.flatnonzero(cull(points, np.array([3.0, 2.0, 1.0]), 2, threshold)).tolist() == expected
    )


def test_cover_is_relative_to_the_worse_box():
    small, large, other = [0, 0, 4, 9], [0, 0, 9, 9], [40, 0, 49, 9]
    # a small better box covers half of the large one: 50 / 100, though it lies wholly inside
    assert cull(boxes(small, large, other), np.array([3.0, 2.0, 1.0]), 2, 0.6).tolist() == [
        True,
        True,
        False,
    ]
    assert cull(boxes(large, small, other), np.array([3.0, 2.0, 1.0]), 2, 0.6).tolist() == [
        True,
        False,
        True,
    ]


def test_cull_adds_the_best_covered_back():
    points = boxes([0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9], [1, 0, 9, 9])
    assert np.flatnonzero(cull(points, np.array([1.0, 4.0, 2.0, 3.0]), 3, 0.5)).tolist() == [
        1,
        2,
        3,
    ]


def test_a_covered_instance_covers_no_other():
    # each covers half of its right neighbour; the first suppresses the second only
    points = boxes([0, 0, 9, 9], [5, 0, 14, 9], [10, 0, 19, 9])
    assert np.flatnonzero(cull(points, np.array([3.0, 2.0, 1.0]), 2, 0.4)).tolist() == [0, 2]


def test_cull_of_an_instance_without_visible_node():
    points = np.concatenate([APART, np.full((1, 2, 2), np.nan)])
    assert np.flatnonzero(cull(points, np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 2, 0.5)).tolist() == [
        3,
        4,
    ]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([[0, 1], [0, 2], [0, 2]], [[0, 1], [0, 1], [0, 1]]),
        ([[0, 1], [0], [0, 2]], [[0, 1], [0], [0, 1]]),  # a frame with fewer tracks changes nothing
        # Two at once are not a single break.
        ([[0, 1], [2, 3], [2, 3], [2, 4]], [[0, 1], [2, 3], [2, 3], [2, 3]]),
        ([[0, 1], [0, 1, 2], [0, 3]], [[0, 1], [0, 1, 2], [0, 3]]),
        # The lost track is back, so the new one is an additional track.
        ([[0, 1], [2, 0], [1, 2, 0]], [[0, 1], [1, 0], [1, 2, 0]]),
        ([[0, 1], [0, -1]], [[0, 1], [0, 1]]),  # untracked counts as a track
        ([[0, 1], [0, -1, -1]], [[0, 1], [0, 1, -1]]),  # but a track gets one instance only
        ([[], [0], [1]], [[], [0], [0]]),
        ([], []),
    ],
)
def test_connect_single_breaks(frames, expected):
    before = [np.array(frame, dtype=np.int32) for frame in frames]
    joined = connect_single_breaks(before)
    assert [tracks.tolist() for tracks in joined] == expected
    assert all(tracks.dtype == np.int32 for tracks in joined)
    assert [tracks.tolist() for tracks in before] == frames  # the input stays as it was
