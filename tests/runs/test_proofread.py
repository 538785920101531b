"""Frames whose tracks a person has proofread."""

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.neighbours import in_order
from sleap_lab.runs.proofread import HOW, proofread, read_proofread
from sleap_lab.runs.subject import of_labels

TRIANGLE = np.array([[0.0, 0], [20, 0], [0, 20]])


def tracked(exchanged_from, frames=range(60), video=0):
    """Two animals that rest 100 px apart; their tracks are exchanged from a frame on."""
    where = np.repeat(list(frames), 2)
    animal = np.tile([0, 1], len(frames))
    return make_poses(
        Skeleton(("a", "b", "c")),
        TRIANGLE + 100 * animal[:, None, None],
        video=video,
        frame=where,
        tracks=np.where(where < exchanged_from, animal, 1 - animal),
        track_names=("left", "right"),
    )


def test_switches_and_frames_are_found():
    found = proofread(in_order(tracked(30)), tracked(100, range(20, 50)))
    assert found.checked.tolist() == [20 <= i < 50 for i in range(60)]
    assert found.switches.tolist() == [30, 30]


def test_poses_that_a_person_placed_a_little_otherwise_are_the_same_animals():
    truth = tracked(100)
    truth = replace(truth, points=truth.points + 2)
    assert proofread(in_order(tracked(30)), truth).switches.tolist() == [30, 30]


def test_what_changes_between_proofread_stretches_is_no_switch_of_theirs():
    truth = tracked(100, [*range(0, 20), *range(40, 60)])
    found = proofread(in_order(tracked(30)), truth)
    assert found.checked.sum() == 40
    assert found.switches.tolist() == []


def test_frames_apart_show_no_switches_and_do_not_count():
    assert proofread(in_order(tracked(30)), tracked(100, range(0, 60, 5))) is None
    truth = tracked(100, [*range(0, 20), 55])
    assert proofread(in_order(tracked(30)), truth).checked.sum() == 20


def test_positions_are_those_of_all_videos():
    first, second = tracked(100), tracked(10, video=1)
    order = in_order(
        replace(
            first,
            **{
                name: np.concatenate([getattr(first, name), getattr(second, name)])
                for name in (
                    *("video", "frame", "points", "point_scores", "instance_scores", "tracks"),
                    *("track_scores", "user", "origin", "frames"),
                )
            },
        )
    )
    found = proofread(order, tracked(100, range(0, 30), video=1))
    assert found.switches.tolist() == [70, 70]
    assert np.flatnonzero(found.checked).tolist() == list(range(60, 90))


def test_frames_in_which_one_animal_was_corrected_are_not_proofread():
    truth = tracked(100)
    truth = replace(truth, user=(truth.frame < 20) | (truth.tracks == 0))
    of_people = replace(HOW, user_labels_only=True)
    assert proofread(in_order(tracked(30)), truth, of_people).checked.sum() == 20
    assert proofread(in_order(tracked(30)), truth, HOW).checked.all()


def test_who_an_animal_is_is_seen_by_the_nodes_that_both_have():
    fewer = tracked(100)
    fewer = make_poses(
        Skeleton(("b", "a")),
        fewer.points[:, [1, 0]],
        frame=fewer.frame,
        tracks=fewer.tracks,
        track_names=fewer.track_names,
    )
    assert proofread(in_order(tracked(30)), fewer).switches.tolist() == [30, 30]


def test_truth_without_tracks_or_of_other_frames_tells_nothing():
    untracked = replace(tracked(100), tracks=np.full(120, -1, np.int32))
    assert proofread(in_order(tracked(30)), untracked) is None
    assert proofread(in_order(tracked(30)), tracked(100, range(100, 120))) is None


@pytest.fixture
def subject(tmp_path, make_labels, video_path):
    labels = make_labels([video_path], predicted=[(0, i, TRIANGLE) for i in range(6)])
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    return of_labels(tmp_path / "poses.slp")


def test_a_file_without_tracks_is_refused(tmp_path, subject):
    with pytest.raises(ConfigError, match=r"poses.slp: no tracks of the videos of gray.mp4"):
        read_proofread(tmp_path / "poses.slp", None, subject)
