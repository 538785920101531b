import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking.choose import choose


def still(frames=4):
    """Two animals at rest, listed in turn."""
    points = [[[x, 0]] for _ in range(frames) for x in (0, 50)]
    frame = np.repeat(np.arange(frames), 2)
    return make_poses(Skeleton(("a",)), points, frame=frame, origin=7)


def by_place(poses, reverse):
    return with_tracks(poses, poses.points[:, 0, 0] // 50)


def by_frame(poses, reverse):
    """Sees a new pair of animals halfway, counted from where it begins."""
    late = poses.frame * 2 >= 4
    return with_tracks(poses, poses.points[:, 0, 0] // 50 + 2 * late)


def after_one_frame(poses, reverse):
    """Confuses the animals after the first frame it sees."""
    return with_tracks(poses, (poses.points[:, 0, 0] // 50 + (poses.frame > 0)) % 2)


def with_tracks(poses, tracks):
    return make_poses(
        poses.skeleton,
        poses.points,
        frame=poses.frame,
        tracks=tracks.astype(int),
        origin=poses.origin,
    )


@pytest.mark.parametrize(
    ("other", "says"),
    [
        # Backwards the first frame is the last: of 8 instances, 2 * 2 are on other tracks.
        (after_one_frame, "agree on 50.0%, 100.0% of the instances on 2 tracks"),
        # The same in both directions, but on twice as many tracks.
        (by_frame, "agree on 100.0%, 50.0% of the instances on 2 tracks"),
    ],
)
@pytest.mark.parametrize("good_first", [True, False])
def test_the_sounder_tracker_is_taken(other, says, good_first):
    trackers = {"good": by_place, "other": other}
    if not good_first:
        trackers = dict(reversed(trackers.items()))
    notes = []
    chosen = choose(still(), trackers, 2, notes)
    assert chosen.tracks.tolist() == [0, 1] * 4
    assert "takes good (" in notes[0]
    assert (f"other: forward and backward {says}" in notes[0]) == (not good_first)
    assert chosen.origin.tolist() == [7] * 8


def test_among_equals_the_first_is_taken():
    notes = []
    choose(still(), {"one": by_place, "two": by_place}, 2, notes)
    assert "takes one (" in notes[0]
    choose(still(), {"two": by_place, "one": by_place}, None, notes)
    assert "takes two (" in notes[1]


def test_trackers_after_one_that_nobody_can_beat_are_not_tried():
    tried, notes = [], []

    def watched(poses, reverse):
        tried.append(reverse)
        return by_place(poses, reverse)

    choose(still(), {"unsure": by_frame, "sure": by_place, "last": watched}, 2, notes)
    assert tried == []
    assert notes[0].endswith("on 2 tracks; not tried, since none can be sounder: last).")
    choose(still(), {"unsure": by_frame, "last": watched}, 2, notes)
    assert tried == [False, True]
    assert "not tried" not in notes[1]


def test_nothing_to_track():
    empty = make_poses(Skeleton(("a",)), [], frames=[[0, 3]])
    assert len(choose(empty, {"one": by_place, "two": by_frame}, None, None)) == 0
