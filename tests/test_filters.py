import numpy as np
import pytest

from sleap_lab.filters import apply_filters, box_iou, overlap_oks
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import FiltersConfig

NAN = np.nan
SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)


def squares(*shifts, **columns):
    """One square of side 10 px for each shift to the right."""
    points = [SQUARE + np.array([shift, 0]) for shift in shifts]
    return make_poses(Skeleton(("a", "b", "c", "d")), points, **columns)


def with_visible(*counts, **columns):
    """One square for each count of visible nodes."""
    points = np.stack([SQUARE] * len(counts))
    for pose, count in zip(points, counts, strict=True):
        pose[count:] = NAN
    return make_poses(Skeleton(("a", "b", "c", "d")), points, **columns)


def shifts(poses):
    return poses.points[:, 0, 0].tolist()


def test_nothing_is_dropped_by_default():
    poses = with_visible(0, 4, 1, instance_scores=[-1, 0, NAN], point_scores=-1)
    assert apply_filters(poses, FiltersConfig()).visible.sum(axis=1).tolist() == [0, 4, 1]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"filter_min_visible_nodes": 2}, [2, 3, 4]),
        ({"filter_min_visible_node_fraction": 2 / 4}, [2, 3, 4]),
        ({"filter_min_visible_node_fraction": 0.51}, [3, 4]),
        ({"filter_min_visible_nodes": 5}, []),
    ],
)
def test_node_count(config, expected):
    kept = apply_filters(with_visible(0, 1, 2, 3, 4), FiltersConfig(**config))
    assert kept.visible.sum(axis=1).tolist() == expected


def test_mean_node_score_is_over_visible_nodes():
    # two visible nodes of score .6 and two missing ones stored with score 0: the mean is .6, not .3
    poses = with_visible(2, 0, point_scores=[[0.6, 0.6, 0, 0], [0.9, 0.9, 0.9, 0.9]])
    assert len(apply_filters(poses, FiltersConfig(filter_min_mean_node_score=0.6))) == 1
    assert len(apply_filters(poses, FiltersConfig(filter_min_mean_node_score=0.61))) == 0


def test_instance_score_on_the_threshold_stays():
    poses = squares(0, 1, 2, instance_scores=[0.4, 0.5, 0.6])
    assert shifts(apply_filters(poses, FiltersConfig(filter_min_instance_score=0.5))) == [1, 2]


def test_user_instances_are_not_judged_by_nodes_or_scores():
    poses = with_visible(1, 1, user=[True, False], instance_scores=[NAN, 0.1], point_scores=NAN)
    config = FiltersConfig(
        filter_min_visible_nodes=2, filter_min_mean_node_score=0.5, filter_min_instance_score=0.5
    )
    assert apply_filters(poses, config).user.tolist() == [True]


def test_processed_frames_stay():
    poses = squares(0, instance_scores=0.1, frames=[[0, 0], [0, 1]])
    kept = apply_filters(
        poses, FiltersConfig(filter_min_instance_score=0.5, filter_overlapping=True)
    )
    assert len(kept) == 0
    assert kept.frames.tolist() == [[0, 0], [0, 1]]


def test_overlap_drops_the_worse_of_a_frame_and_sorts_by_score():
    poses = squares(0, 40, 1, 0, frame=[0, 0, 0, 1], instance_scores=[0.5, 0.7, 0.9, 0.2])
    kept = apply_filters(poses, FiltersConfig(filter_overlapping=True))
    assert shifts(kept) == [1, 40, 0]
    assert kept.frame.tolist() == [0, 0, 1]


def test_overlap_of_exactly_the_threshold_stays():
    poses = squares(0, 1, instance_scores=[0.9, 0.5])
    assert (
        len(
            apply_filters(
                poses, FiltersConfig(filter_overlapping=True, filter_overlapping_threshold=90 / 110)
            )
        )
        == 2
    )
    assert (
        len(
            apply_filters(
                poses, FiltersConfig(filter_overlapping=True, filter_overlapping_threshold=0.81)
            )
        )
        == 1
    )


def test_a_dropped_instance_drops_no_other():
    # each overlaps its neighbour by 7/13 > 0.5, the outer ones by 4/16
    poses = squares(0, 3, 6, instance_scores=[0.9, 0.8, 0.7])
    kept = apply_filters(
        poses, FiltersConfig(filter_overlapping=True, filter_overlapping_threshold=0.5)
    )
    assert shifts(kept) == [0, 6]


def test_overlap_oks_counts_similar_poses():
    poses = squares(0, 1, instance_scores=[0.9, 0.5])
    for threshold, expected in [(0.6, 1), (0.61, 2)]:  # exp(-1 / 2) = 0.6065
        config = FiltersConfig(
            filter_overlapping=True,
            filter_overlapping_method="oks",
            filter_overlapping_threshold=threshold,
        )
        assert len(apply_filters(poses, config)) == expected


def test_equal_scores_later_first():
    poses = squares(0, 20, 40, instance_scores=1)
    assert shifts(apply_filters(poses, FiltersConfig(filter_overlapping=True))) == [40, 20, 0]


def test_user_instance_overlaps_with_score_1():
    poses = squares(
        0, 0, 20, 20, user=[True, False, True, False], instance_scores=[NAN, 0.9, NAN, 1.1]
    )
    kept = apply_filters(poses, FiltersConfig(filter_overlapping=True))
    assert list(zip(shifts(kept), kept.user.tolist(), strict=True)) == [(20, False), (0, True)]


def test_order_of_the_filters_depends_on_the_mode():
    # The better of two overlapping instances has too few nodes: judged first, it spares the other.
    poses = with_visible(3, 4, instance_scores=[0.9, 0.5])
    config = FiltersConfig(filter_overlapping=True, filter_min_visible_nodes=4)
    assert len(apply_filters(poses, config)) == 1
    assert len(apply_filters(poses, config, track_only=True)) == 0


def test_box_iou():
    points = squares(0, 1, 40).points
    np.testing.assert_allclose(box_iou(points), [[1, 90 / 110, 0], [90 / 110, 1, 0], [0, 0, 1]])


def test_box_iou_without_area_is_0():
    points = with_visible(1, 0, 4).points
    np.testing.assert_array_equal(box_iou(points), np.diag([0.0, 0.0, 1.0]))


def test_overlap_oks_is_scaled_by_the_first_pose():
    # the second pose is the first one twice as large: distances 0, 10, √200, 10; areas 100 and 400
    points = np.stack([SQUARE, 2 * SQUARE])
    small, large = 2 * 100 * 0.1**2, 2 * 400 * 0.1**2
    expected = [
        [1, (1 + 2 * np.exp(-100 / small) + np.exp(-200 / small)) / 4],
        [(1 + 2 * np.exp(-100 / large) + np.exp(-200 / large)) / 4, 1],
    ]
    np.testing.assert_allclose(overlap_oks(points), expected)


def test_overlap_oks_is_over_shared_nodes():
    full, half, one = SQUARE, SQUARE.copy(), SQUARE.copy()
    half[3] = NAN
    one[1:] = NAN
    half[0] += [0, -1]  # the box of `half` is 10 × 11
    similarity = overlap_oks(np.stack([full, half, one]))
    assert similarity[0, 1] == pytest.approx((np.exp(-1 / 2) + 1 + 1) / 3)
    assert similarity[1, 0] == pytest.approx((np.exp(-1 / 2.2) + 1 + 1) / 3)
    assert similarity[0, 2] == 1  # one shared node, in the same place
    assert similarity[2].tolist() == [0, 0, 0]  # a single node has no area
