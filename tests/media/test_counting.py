from dataclasses import replace

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.media.labels import (
    before_corrections,
    read_labels,
    save_labels,
    to_poses,
)
from sleap_lab.media.revising import revise_labels


def videos(*names):
    return [sio.Video(name) for name in names or ("v0.mp4", "v1.mp4")]


LINE = np.array([[0, 0], [5, 0], [10, 0]], dtype=float)


def guess(x, track=None, skeleton=None, score=0.5):
    return sio.PredictedInstance.from_numpy(
        LINE + np.array([x, 0]),
        skeleton=skeleton or sio.Skeleton(["a", "b", "c"]),
        score=score,
        track=track,
    )


def by_hand(x, skeleton=None, of=None):
    instance = sio.Instance.from_numpy(
        LINE + np.array([x, 0]), skeleton=skeleton or sio.Skeleton(["a", "b", "c"])
    )
    instance.from_predicted = of
    return instance


def entries(*frames, negative=()):
    """Labels of one video, each frame given as (frame index, instances)."""
    video = sio.Video("v.mp4")
    return sio.Labels(
        [
            sio.LabeledFrame(video, index, list(instances), is_negative=i in negative)
            for i, (index, instances) in enumerate(frames)
        ],
        videos=[video],
    )


def counted(labels):
    """Return (frame, x, whether a person placed it) of everything that counts, and what is said."""
    notes = []
    poses = to_poses(labels, notes)
    return list(
        zip(poses.frame.tolist(), poses.points[:, 0, 0].tolist(), poses.user.tolist(), strict=True)
    ), notes


def test_a_correction_hides_the_guess_it_came_from_and_no_other():
    first, second, third = guess(0), guess(20), guess(0)
    labels = entries((0, [first, second, by_hand(1, of=first)]), (1, [third, by_hand(0)]))
    assert counted(labels) == ([(0, 20, False), (0, 1, True), (1, 0, False), (1, 0, True)], [])


def test_a_correction_of_another_frame_hides_nothing():
    first = guess(0)
    assert len(counted(entries((0, [first]), (1, [by_hand(1, of=first)])))[0]) == 2


def test_a_frame_that_is_marked_as_empty_is_empty():
    labels = entries((0, [guess(0)]), (1, []), (2, [guess(0), by_hand(1)]), negative=(0, 1, 2))
    found, notes = counted(labels)
    assert found == [(2, 0, False), (2, 1, True)]  # what a person placed says more than the mark
    assert to_poses(labels).frames.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert notes == ["1 predictions are in frames that a person marked as empty, and do not count."]


COPY = guess(0)


TWICE = {
    "later predictions replace earlier ones": (
        [guess(0), guess(20)],
        [guess(1), guess(21)],
        [(1, False), (21, False)],
    ),
    "an entry without predictions replaces none": ([guess(0)], [], [(0, False)]),
    "what a person placed wins over guesses, before": (
        [by_hand(0), by_hand(20)],
        [guess(1), guess(21)],
        [(0, True), (20, True)],
    ),
    "what a person placed wins over guesses, after": (
        [guess(1), guess(21)],
        [by_hand(0), by_hand(20)],
        [(0, True), (20, True)],
    ),
    "with the guesses beside it": (
        [by_hand(0), guess(20)],
        [guess(1), guess(21)],
        [(0, True), (20, False)],
    ),
    "equal poses count once": (
        [by_hand(0), by_hand(20)],
        [by_hand(20), by_hand(40)],
        [(0, True), (20, True), (40, True)],
    ),
    "a guess like what a person placed counts once": (
        [by_hand(0)],
        [by_hand(20), guess(0)],
        [(0, True), (20, True)],
    ),
    "two people corrected one animal each": (
        [COPY, guess(20), by_hand(1, of=COPY)],
        [guess(0), by_hand(21)],
        [(1, True), (21, True)],
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_frame_that_is_there_twice_counts_once(name):
    first, second, expected = TWICE[name]
    labels = entries((3, first), (4, [guess(0)]), (3, second))
    found, (note,) = counted(labels)
    assert found == [(3, x, user) for x, user in expected] + [(4, 0, False)]
    assert to_poses(labels).frames.tolist() == [[0, 3], [0, 4]]
    # The guess is hidden by the correction.
    lost = len(first) + len(second) - len(expected) - (COPY in first)
    assert note.startswith(
        "1 frame is there more than once (frame 3): "
        "user instances win over predictions, equal poses count once"
    )
    were = "instance was" if lost == 1 else "instances were"
    assert note.endswith(f"; {lost} {were} left out.")


def test_of_equal_corrections_the_one_stays_that_knows_what_it_corrected():
    origin = guess(0)
    labels = entries((3, [by_hand(1)]), (3, [origin, guess(20), by_hand(1, of=origin)]))
    poses = to_poses(labels)
    assert (poses.origin.tolist(), poses.user.tolist()) == ([2, 3], [False, True])
    (frame,) = revise_labels(labels, poses, labels.videos, tracked=False)
    assert frame.instances[-1].from_predicted is frame.instances[0] is origin


def test_poses_come_back_into_a_frame_that_was_there_twice():
    first, second, _ = TWICE["two people corrected one animal each"]
    labels = entries((3, first), (3, second))
    labels[1].bboxes.append(sio.UserBoundingBox(x1=1, y1=2, x2=5, y2=9))
    poses = to_poses(labels)
    (frame,) = revise_labels(
        labels,
        replace(poses, tracks=np.array([0, 1]), track_names=("x", "y")),
        labels.videos,
        tracked=True,
    )
    assert [(own.numpy()[0, 0], own.track.name) for own in frame] == [(0, "x"), (1, "x"), (21, "y")]
    assert frame.instances[1].from_predicted is frame.instances[0]
    assert len(frame.bboxes) == 1


def test_a_guess_in_a_frame_that_is_marked_as_empty_has_a_track_no_more(tmp_path):
    old = sio.Track("track_0")
    labels = entries((0, [guess(0, old)]), (1, [guess(0, old)]), negative=(1,))
    poses = replace(to_poses(labels), track_names=("track_0",))
    revised = revise_labels(labels, poses, labels.videos, tracked=True)
    save_labels(revised, tmp_path / "a.slp")
    assert [
        [own.track and own.track.name for own in frame] for frame in read_labels(tmp_path / "a.slp")
    ] == [["track_0"], [None]]
    assert [track.name for track in revised.tracks] == ["track_0"]
    assert revised[1].is_negative


def test_before_corrections_there_were_guesses():
    first = guess(0, skeleton=sio.Skeleton(["c", "b", "a"]), score=0.25)
    labels = entries((0, [guess(20), first, by_hand(1, of=first), by_hand(40)]))
    poses = before_corrections(labels, to_poses(labels))
    assert poses.points[:, :, 0].tolist() == [[20, 25, 30], [10, 5, 0], [40, 45, 50]]
    assert poses.user.tolist() == [False, False, True]
    assert poses.instance_scores[:2].tolist() == [0.5, 0.25]


def test_the_skeleton_is_the_one_that_instances_use():
    labels = entries((0, [guess(0, skeleton=(used := sio.Skeleton(["a", "b", "c"])))]))
    labels.skeletons = [sio.Skeleton(["head", "body"]), used, sio.Skeleton([])]
    found, notes = counted(labels)
    assert found == [(0, 0, False)]
    assert notes == [
        "no instance uses the skeleton with nodes head, body: it was left out.",
        "no instance uses the skeleton with nodes none: it was left out.",
    ]


def test_skeletons_with_the_same_nodes_are_one():
    skeletons = (
        sio.Skeleton(["a", "b", "c"]),
        sio.Skeleton(["a", "b", "c"]),
        sio.Skeleton(["c", "a", "b"]),
    )
    labels = entries((0, [guess(0, skeleton=skeleton) for skeleton in skeletons]))
    poses = to_poses(labels)
    assert poses.skeleton.nodes == ("a", "b", "c")
    assert poses.points[:, :, 0].tolist() == [[0, 5, 10], [0, 5, 10], [5, 10, 0]]
    revised = revise_labels(labels, poses, labels.videos, tracked=False)
    assert len(revised.skeletons) == 1
    assert [own.numpy()[:, 0].tolist() for own in revised[0]] == poses.points[:, :, 0].tolist()
    assert {id(own.skeleton) for own in revised[0]} == {id(revised.skeleton)}


def test_without_instances_the_first_skeleton_with_nodes_is_used():
    labels = entries((0, []))
    labels.skeletons = [sio.Skeleton([]), sio.Skeleton(["a"]), sio.Skeleton(["b"])]
    assert to_poses(labels).skeleton.nodes == ("a",)
