"""Frames to label next."""

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import assess
from sleap_lab.quality.suggestions import suggest
from sleap_lab.quality.suspects import Suspect

SKELETON = Skeleton(("nose", "neck", "tail"))
STRAIGHT = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
BENT = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])


def scene(shapes, scores, video=0, frame=None):
    """An animal per frame, of a shape and with the confidence of its nodes."""
    shapes = np.asarray(shapes, dtype=float)
    return make_poses(
        SKELETON,
        shapes,
        video=video,
        frame=np.arange(len(shapes)) if frame is None else frame,
        point_scores=np.repeat(np.asarray(scores, dtype=float)[:, None], 3, axis=1),
        tracks=0,
        track_names=("a",),
    )


def chosen(poses, count, known=(), moments=()):
    found = suggest(assess(poses), moments, count, known)
    return [(one.video, one.frame) for one in found]


def test_the_least_sure_frame_comes_first_then_one_that_looks_otherwise():
    # Frames 0 to 99: sure and straight, but 20, 60 and 80. 60 is less sure than 80, and looks as
    # the first one does; 80 is bent.
    shapes, scores = np.repeat(STRAIGHT[None], 100, axis=0), np.full(100, 0.9)
    shapes[80] = BENT
    scores[[20, 60, 80]] = 0.3, 0.35, 0.5
    assert chosen(scene(shapes, scores), 2) == [(0, 20), (0, 80)]


def test_neighbours_of_a_chosen_frame_wait():
    scores = np.full(100, 0.9)
    scores[[50, 51, 52, 90]] = 0.1, 0.11, 0.12, 0.5
    shapes = np.repeat(STRAIGHT[None], 100, axis=0)
    shapes[51:53] = BENT
    shapes[90] = 2 * BENT
    assert chosen(scene(shapes, scores), 2) == [(0, 50), (0, 90)]


def test_of_few_frames_neighbours_do_not_wait_for_long():
    # A fifth of 50 frames is asked for; 10 to 19 are doubtful, and all frames look different.
    scores = np.full(50, 0.9)
    scores[10:20] = 0.1
    turn = np.linspace(0, np.pi, 50)
    shapes = np.stack([np.outer([0, 10, 20], [np.cos(t), np.sin(t)]) for t in turn])
    inside = [frame for _, frame in chosen(scene(shapes, scores), 10) if 10 <= frame < 20]
    assert len(inside) >= 3


def test_frames_in_which_animals_are_missing_are_not_taken_for_alike():
    shapes = np.repeat(STRAIGHT[None], 100, axis=0)
    shapes[[5, 65]] = BENT, 2 * BENT
    scores = np.full(100, 0.9)
    scores[[5, 65]] = 0.6
    full = scene(shapes, scores)
    poses = full[~np.isin(full.frame, [20, 50, 80])]
    assert {frame for _, frame in chosen(poses, 3)} == {20, 50, 80}


def test_frames_of_a_single_node_are_spread_all_the_same():
    # A pose of one node has no shape, so that all look alike.
    scores = np.full(100, 0.9)
    scores[[40, 60, 61, 80]] = 0.1, 0.2, 0.21, 0.3
    poses = make_poses(
        Skeleton(("body",)),
        np.column_stack([np.arange(100.0), np.zeros(100)])[:, None],
        frame=np.arange(100),
        point_scores=scores[:, None],
    )
    assert chosen(poses, 3) == [(0, 40), (0, 60), (0, 80)]


def test_where_nothing_is_doubtful_frames_lie_apart_and_it_is_said():
    # All frames are as sure and look the same: 5 of 100, and each waits for 100 / (4 * 5) frames.
    found = suggest(
        assess(scene(np.repeat(STRAIGHT[None], 100, axis=0), np.full(100, 0.9))), [], 5, ()
    )
    frames = sorted(one.frame for one in found)
    assert min(np.diff(frames)) > 5
    assert {one.reason for one in found} == {"nothing; it only looks unlike the others"}


@pytest.mark.parametrize("score", [np.nan, 0.0])
def test_poses_without_confidence_are_doubtful_where_nodes_are_missing(score):
    poses = scene(np.repeat(STRAIGHT[None], 100, axis=0), np.full(100, score))
    poses.points[30, 2] = np.nan
    first, second = suggest(assess(poses), [], 2, ())
    assert (first.frame, first.reason) == (30, "share of nodes found 0.67, usual is 1.00")
    assert first.value == pytest.approx(1 / 3)
    assert second.value == 0


def test_videos_take_turns():
    # All frames of video 0 are less sure than those of video 1.
    shapes = np.repeat(STRAIGHT[None], 60, axis=0) + np.arange(60)[:, None, None]
    video, frame = np.repeat([0, 1], 30), np.tile(np.arange(30), 2)
    scores = np.where(video == 0, 0.2, 0.9)
    places = chosen(scene(shapes, scores, video, frame), 6)
    assert [video for video, _ in places] == [0, 1, 0, 1, 0, 1]
    assert len(set(places)) == 6


def test_labelled_frames_are_left_out_and_there_are_no_more_than_frames():
    poses = scene(np.repeat(STRAIGHT[None], 5, axis=0), [0.1, 0.9, 0.9, 0.9, 0.9])
    places = chosen(poses, 50, known={(0, 0), (0, 3)})
    assert sorted(places) == [(0, 1), (0, 2), (0, 4)]
    assert chosen(poses, 50, known={(0, frame) for frame in range(5)}) == []


def test_neighbours_of_a_labelled_frame_wait_as_if_it_had_been_chosen():
    # 40 to 60 are the most doubtful frames, and 50 is labelled. Two frames of 200 are asked for, so
    # those up to 200 // (4 (2 + 1)) = 16 away, but no more than 10, wait: only 80 is left.
    scores = np.full(200, 0.9)
    scores[40:61] = 0.1
    scores[80] = 0.5
    poses = scene(np.repeat(STRAIGHT[None], 200, axis=0), scores)
    assert chosen(poses, 1, known={(0, 50)}) == [(0, 80)]
    # Without the label, the burst comes first.
    assert 40 <= chosen(poses, 1)[0][1] <= 60


def test_a_label_in_another_video_lets_no_frame_wait():
    # The last frame of video 0 is labelled, and the first of video 1 is doubtful.
    shapes = np.repeat(STRAIGHT[None], 80, axis=0)
    video, frame = np.repeat([0, 1], 40), np.tile(np.arange(40), 2)
    scores = np.full(80, 0.9)
    scores[40] = 0.1
    first, second = chosen(scene(shapes, scores, video, frame), 2, known={(0, 39)})
    assert first == (1, 0)
    assert second[0] == 0
    assert second[1] < 39 - 80 // (4 * (2 + 1))


def test_where_all_free_frames_are_near_labelled_ones_they_are_suggested_all_the_same():
    # One frame between labelled ones is all that is free: 3 // (4 (1 + 2)) = 0 frames wait.
    poses = scene(np.repeat(STRAIGHT[None], 3, axis=0), [0.9, 0.1, 0.9])
    assert chosen(poses, 1, known={(0, 0), (0, 2)}) == [(0, 1)]


def test_a_moment_makes_a_frame_doubtful_and_gives_the_reason():
    poses = scene(np.repeat(STRAIGHT[None], 50, axis=0), np.full(50, 0.9))
    moment = Suspect(0, 33, 32, 34, ("a",), 0.8, "changes places with its mirror image")
    (first,) = suggest(assess(poses), [moment], 1, ())
    assert (first.frame, first.reason) == (33, moment.reason)
    assert first.value == pytest.approx(0.8)


def test_a_frame_without_animals_is_the_most_doubtful():
    full = scene(np.repeat(STRAIGHT[None], 50, axis=0), np.full(50, 0.9))
    poses = full[full.frame != 7]
    (first,) = suggest(assess(poses), [], 1, ())
    assert (first.frame, first.value, first.reason) == (7, 1.0, "0 of 1 animals")


def test_half_of_the_frames_at_most_are_from_where_no_animal_is_found_for_long():
    # The animal is there for 100 frames, which are all as sure, and then away for 200.
    shapes = np.repeat(STRAIGHT[None], 100, axis=0) * np.linspace(1, 2, 100)[:, None, None]
    places = np.stack([np.zeros(300, dtype=int), np.arange(300)], axis=1)
    poses = replace(scene(shapes, np.full(100, 0.9)), frames=places)
    found = suggest(assess(poses), [], 8, ())
    # Within ten frames of an animal it may be missed.
    assert sum(one.frame >= 110 for one in found) == 4


@pytest.mark.parametrize("length", [100, 50_000])
def test_where_nothing_is_found_frames_lie_all_over_the_recording(length):
    every = np.stack([np.zeros(length, dtype=int), np.arange(length)], axis=1)
    poses = replace(make_poses(SKELETON, np.zeros((0, 3, 2))), frames=every)
    found = suggest(assess(poses), [], 5, ())
    frames = sorted(one.frame for one in found)
    assert min(np.diff(frames)) >= length / 8
    assert frames[0] < 0.1 * length
    assert frames[-1] > 0.9 * length
    assert {one.reason for one in found} == {"no animal, as in all frames"}


def test_nothing_to_choose_from():
    assert suggest(assess(make_poses(SKELETON, [])), [], 5, ()) == []
