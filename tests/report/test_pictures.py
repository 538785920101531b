from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sleap_lab.evaluation import Switch
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.report import still
from sleap_lab.report.pictures import (
    _legend,
    even_frames,
    pair_errors,
    switch_pictures,
    take_pictures,
    worst_pairs,
)


def test_pair_errors_are_means_over_the_nodes_compared(evaluation):
    assert pair_errors(evaluation) == pytest.approx([0, 0, 1, 1, 2, 2, 3])


def test_pair_errors_where_nothing_can_be_compared(evaluation):
    distances = {"dists": np.array([[1.0, np.nan, 3.0], [np.nan] * 3])}
    scored = replace(evaluation, metrics={"distance_metrics": distances})
    np.testing.assert_equal(pair_errors(scored), [(1 + 3) / 2, np.nan])


def test_worst_pairs_come_worst_first_and_one_per_frame(poses, evaluation):
    rows = evaluation.matches.pose_rows[worst_pairs(poses, evaluation)]
    assert poses.frame[rows].tolist() == [3, 2, 1, 0]
    assert len(worst_pairs(poses, evaluation, count=2)) == 2


@pytest.mark.parametrize(
    ("processed", "expected"),
    [
        (range(10, 20), [10, 13, 16, 19]),
        ([30, 10, 20], [10, 20, 30]),  # fewer than asked for, any order
        ([7], [7]),
        ([], []),
    ],
)
def test_even_frames_of_a_run_without_instances(processed, expected):
    poses = make_poses(Skeleton(("head",)), [], frames=[(2, frame) for frame in processed])
    assert even_frames(poses, count=4) == [(2, frame) for frame in expected]


def test_even_frames_hold_an_instance_where_any_does(poses):
    assert even_frames(poses, count=9) == [(0, frame) for frame in range(4)]


def test_legend_names_tracks_and_counts_the_others(poses, read_image):
    _, pictures, _ = take_pictures(poses[poses.frame == 2], None, None, read_image)
    names = [name for name, _ in pictures[0].legend]
    colors = [color for _, color in pictures[0].legend]
    assert names == ["a", "b", "instance 3"]
    assert len(set(colors)) == 3


def test_legend_of_a_part_names_the_animals_in_it():
    """Two animals 150 px apart, of which the part shows one; the tracks come in their order."""
    points = np.array([[[170.0, 10], [190, 10]], [[10, 10], [30, 10]], [[12, 14], [32, 14]]])
    poses = make_poses(
        Skeleton(("a", "b"), ()), points, tracks=[2, 1, 0], track_names=("x", "y", "z")
    )
    window = still.Window(0, 0, 96, 96)
    assert [name for name, _ in _legend(poses, window)] == ["x", "y"]
    assert [name for name, _ in _legend(poses, None)] == ["x", "y", "z"]


def test_the_video_is_named_where_there_are_several(poses, read_image):
    two = replace(poses, frames=np.concatenate([poses.frames, [[1, 0]]]))
    _, pictures, _ = take_pictures(two, None, None, read_image)
    assert pictures[0].title == "Video 0, frame 0"


def test_color_images(poses, truth, evaluation):
    worst, even, unreadable = take_pictures(
        poses, truth, evaluation, lambda video, frame: np.zeros((80, 100, 3), np.uint8)
    )
    assert (len(worst), len(even), unreadable) == (4, 4, [])


def test_one_picture_per_moment():
    """Errors of 3, 9, 8, 7 and 6 px in frames 0, 100, 101, 102 and 199: three moments."""
    frames = [0, 100, 101, 102, 199]
    poses = make_poses(
        Skeleton(("a",), ()), np.zeros((5, 1, 2)), frame=frames,
        frames=np.array([(0, frame) for frame in range(200)]),
    )  # fmt: skip
    evaluation = SimpleNamespace(
        metrics={"distance_metrics": {"dists": np.array([[3.0], [9], [8], [7], [6]])}},
        matches=SimpleNamespace(pose_rows=np.arange(5)),
    )
    assert worst_pairs(poses, evaluation) == [1, 4, 0]


def test_switches_are_shown_from_first_to_last_one_per_moment(poses, truth, evaluation):
    switches = tuple(
        Switch(0, 0, frame, "one", "a", "b", "two", 1.0) for frame in (0, 1, 40, 80, 120, 160, 170)
    )
    asked = []

    def read(video, frame):
        asked.append(frame)
        return np.zeros((80, 100, 1), np.uint8)

    switch_pictures(poses, truth, replace(evaluation, switches=switches), read)
    assert asked == [0, 40, 120, 160]


def test_a_switch_shows_the_animal_and_says_who_follows_it(poses, truth, evaluation, read_image):
    switch = Switch(0, 0, 2, "one", "a", "b", "two", 1.0)
    found = replace(evaluation, switches=(switch,))
    (picture,) = switch_pictures(poses, truth, found, read_image)
    assert picture.title == "Frame 2"
    assert picture.caption == "one is followed by b from here on, by a before"
    assert "b" in [name for name, _ in picture.legend]

    def torn(video, frame):
        raise ValueError("torn")

    assert switch_pictures(poses, truth, found, torn) == []
