"""Planted faults are found, and little else."""

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, concatenate, make_poses
from sleap_lab.quality import signs
from sleap_lab.quality.assess import assess
from sleap_lab.tracking.offline import identify


def places(quality, kind):
    """Frame and track of every place of a sign."""
    rows = quality.found[kind].rows
    poses = quality.order.poses
    return set(zip(poses.frame[rows].tolist(), poses.tracks[rows].tolist(), strict=True))


def row(poses, frame, track):
    return int(np.flatnonzero((poses.frame == frame) & (poses.tracks == track))[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_scene_has_nothing_to_look_at(scene, seed):
    quality = assess(scene(seed=seed))
    assert {kind: len(found.rows) for kind, found in quality.found.items()} == dict.fromkeys(
        quality.found, 0
    )
    assert (quality.length, quality.expected) == (pytest.approx(90, abs=12), {0: 3})


@pytest.mark.parametrize("scale", [0.01, 1, 30])
def test_an_animal_that_jumps_there_and_back(scene, changed, scale):
    poses = scene()
    at = row(poses, 100, 1)
    jumped = changed(poses, at, poses.points[at] + [60, 0])
    quality = assess(replace(jumped, points=jumped.points * scale))
    assert places(quality, "jump") == {(100, 1), (101, 1)}
    assert quality.metrics["quality/jumps_per_1000"] == pytest.approx(1000 * 2 / (299 * 3))
    values = quality.found["jump"].values[quality.found["jump"].nodes < 0]
    assert values == pytest.approx(60 / (quality.length / scale), rel=0.1)


def test_a_node_that_jumps_is_named(scene, changed):
    poses = scene()
    points = poses.points[[at := row(poses, 40, 2)]].copy()
    points[0, 5] += [0, 70]
    quality = assess(changed(poses, [at], points))
    found = quality.found["jump"]
    assert places(quality, "jump") == {(40, 2), (41, 2)}
    assert found.nodes.tolist() == [5, 5]


def test_tracks_that_change_places_jump(scene):
    poses = scene()
    later = poses.frame >= 200
    tracks = poses.tracks.copy()
    tracks[later] = np.array([1, 0, 2])[tracks[later]]
    assert places(assess(replace(poses, tracks=tracks)), "jump") == {(200, 0), (200, 1)}


def test_left_and_right_that_change_places(scene, changed):
    poses = scene()
    rows = np.flatnonzero((poses.tracks == 0) & (poses.frame >= 50) & (poses.frame < 60))
    quality = assess(changed(poses, rows, poses.points[rows][:, [0, 1, 3, 2, 4, 5]]))
    assert places(quality, "flip") == {(50, 0), (60, 0)}
    assert set(quality.found["flip"].nodes.tolist()) == {2}


def test_a_stretched_bone_is_named_by_its_end(scene, changed):
    poses = scene()
    points = poses.points[[at := row(poses, 10, 0)]].copy()
    points[0, 5] += (points[0, 5] - points[0, 4]) * 1.2
    quality = assess(changed(poses, [at], points))
    assert places(quality, "stretched") == {(10, 0)}
    assert quality.found["stretched"].nodes.tolist() == [5]
    assert quality.found["stretched"].values == pytest.approx([2.2], abs=0.2)


def test_an_animal_that_is_found_twice(scene):
    poses = scene()
    copy = replace(poses[[row(poses, 70, 1)]], frames=poses.frames[:0])
    copy = replace(
        copy, points=copy.points + 2, tracks=np.array([3]), instance_scores=np.array([0.4])
    )
    names = (*poses.track_names, "worm 3")
    quality = assess(concatenate([replace(part, track_names=names) for part in (poses, copy)]))
    assert places(quality, "double") == {(70, 3)}
    assert quality.metrics["quality/frames_with_more"] == pytest.approx(1 / 300)
    assert quality.metrics["quality/extra_tracks"] == 1


def test_a_pose_with_the_nodes_of_two_animals(scene, changed):
    poses = scene()
    one, other = (row(poses, 120, track) for track in (0, 1))
    points = poses.points[[one]].copy()
    points[0, 3:] = poses.points[other, 3:]
    quality = assess(changed(poses, [one], points))
    assert (120, 0) in places(quality, "mixed")
    assert places(quality, "mixed") <= {(120, 0), (121, 0), (121, 1)}


def test_an_animal_that_is_not_found_for_a_while(scene):
    poses = scene()
    away = (poses.tracks == 2) & (poses.frame >= 30) & (poses.frame < 37)
    quality = assess(poses[~away])
    assert places(quality, "gap") == {(37, 2)}
    assert quality.found["gap"].values.tolist() == [7]
    assert quality.metrics["quality/frames_with_fewer"] == pytest.approx(7 / 300)


def test_a_node_whose_confidence_drops(scene):
    poses = scene()
    scores = poses.point_scores.copy()
    scores[row(poses, 5, 1), 4] = 0.2
    quality = assess(replace(poses, point_scores=scores))
    assert places(quality, "drop") == {(5, 1)}
    assert quality.found["drop"].nodes.tolist() == [4]


def test_the_number_of_animals_may_be_given(scene):
    poses = scene()
    assert assess(poses, animals=4).metrics["quality/frames_with_fewer"] == 1
    assert assess(poses, animals=2).metrics["quality/frames_with_more"] == 1


def test_without_tracks_several_animals_are_not_followed(scene):
    poses = scene()
    quality = assess(replace(poses, tracks=np.full(len(poses), -1)))
    assert np.isnan(quality.metrics["quality/jumps_per_1000"])
    assert np.isnan(quality.metrics["quality/gaps"])
    assert quality.metrics["quality/stretched_per_1000"] == 0
    assert quality.not_looked_for == ("jump", "flip", "gap", "swap", "doubt")
    assert quality.notes == (
        "quality: jumps, flips and gaps are not looked for, since poses have no tracks",
    )


def test_one_animal_without_a_track_is_followed(scene, changed):
    poses = scene(n_animals=1)
    poses = replace(poses, tracks=np.full(len(poses), -1))
    quality = assess(changed(poses, [90], poses.points[90] + 80))
    assert places(quality, "jump") == {(90, -1), (91, -1)}
    assert not {"jump", "gap"} & set(quality.not_looked_for)
    assert quality.notes == ()


def test_a_single_node(scene, changed):
    poses = scene()
    point = Skeleton(("centre",))
    alone = make_poses(
        point,
        poses.points[:, 1],
        frame=poses.frame,
        tracks=poses.tracks,
        track_names=poses.track_names,
    )
    at = row(alone, 100, 1)
    quality = assess(changed(alone, at, alone.points[at] + 90))
    assert places(quality, "jump") == {(100, 1), (101, 1)}
    assert np.isnan(quality.metrics["quality/bone_spread"])


@pytest.mark.parametrize("n_frames", [0, 1])
def test_hardly_anything(scene, n_frames):
    poses = scene(n_frames=1)[: 3 * n_frames]
    quality = assess(poses)
    assert all(not len(found.rows) for found in quality.found.values())
    assert quality.metrics["quality/expected_animals"] == 3 * n_frames


def test_videos_are_looked_at_one_by_one(scene):
    poses = scene(n_frames=50)
    other = replace(scene(n_frames=50, n_animals=3, seed=1)[:0], frames=np.array([[1, 0]]))
    second = poses[poses.tracks == 0]
    second = replace(second, video=np.ones(50, np.int32), frames=np.add(second.frames[::3], [1, 0]))
    quality = assess(concatenate([poses, second, other]))
    assert quality.expected == {0: 3, 1: 1}
    assert not len(quality.found["jump"].rows)


@pytest.mark.parametrize(
    ("nodes", "pairs"),
    [
        (("left_ear", "right_ear", "nose"), ((0, 1),)),
        (("earL", "earR"), ((0, 1),)),
        (("wing_L", "wing_R", "L_leg", "R_leg"), ((0, 1), (2, 3))),
        (("Lear", "Rear"), ()),
        (("LEar", "REar"), ((0, 1),)),
        (("leftEye", "rightEye", "hindlegL1", "hindlegR1"), ((0, 1), (2, 3))),
        (("l_ear", "r_ear", "tail", "rail"), ((0, 1),)),
        (("head", "tail"), ()),
    ],
)
def test_left_and_right_are_told_from_names(nodes, pairs):
    assert signs.mirrored_nodes(Skeleton(nodes)) == pairs


def test_symmetries_come_before_names():
    skeleton = Skeleton(("left", "right", "c"), symmetries=((2, 0),))
    assert signs.mirrored_nodes(skeleton) == ((0, 2),)


def test_the_order_of_rows_says_nothing(scene, changed):
    poses = scene()
    poses = changed(poses, [33], poses.points[33] + 60)
    shuffled = poses[np.random.default_rng(0).permutation(len(poses))]
    assert dict(assess(shuffled).metrics) == dict(assess(poses).metrics)


def test_a_second_opinion_tells_where_tracks_change_animals(scene):
    poses = scene(n_frames=120)
    tracks = np.where(poses.frame >= 60, np.array([1, 0, 2])[poses.tracks], poses.tracks)
    quality = assess(replace(poses, tracks=tracks.astype(np.int32)), 3, identify)
    assert places(quality, "swap") == {(60, 0), (60, 1)}
    assert places(assess(poses, 3, identify), "swap") == set()
    assert not len(assess(replace(poses, tracks=tracks.astype(np.int32))).found["swap"].rows)


def test_poses_without_a_visible_node_have_no_second_opinion(scene):
    poses = scene(n_frames=20)
    quality = assess(replace(poses, points=np.full_like(poses.points, np.nan)), None, identify)
    assert not any(len(found.rows) for found in quality.found.values())
