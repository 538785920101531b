from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import track

FISH = np.array([[6, 0], [2, 1], [-6, 0]], dtype=float)
SKELETON = Skeleton(("head", "fin", "tail"))
GLOBAL = TrackerConfig(tracking=True, method="global")
THREE = TrackerConfig(tracking=True, method="global", tracking_target_instance_count=3)

# Three animals, eight frames. A swims right at y = 0. B swims left at y = 3; they pass each other
# between frames 3 and 4. C rests at (40, 60). Each row is frame, x, y, direction.
A = [(t, 10 * t, 0, 0.0) for t in range(8)]
B = [(t, 70 - 10 * t, 3, np.pi) for t in range(8)]
C = [(t, 40, 60, 1.5) for t in range(8)]


def scene(rows, **columns):
    """Poses at (frame, x, y, direction), in the order of the list."""
    points = []
    for _, x, y, turn in rows:
        c, s = np.cos(turn), np.sin(turn)
        points.append(FISH @ np.array([[c, s], [-s, c]]) + [x, y])
    return make_poses(SKELETON, points, frame=[row[0] for row in rows], **columns)


def mixed(*animals):
    """The rows of all animals by frame, in another order in every frame."""
    rows = []
    for frame in range(8):
        seen = [row for animal in animals for row in animal if row[0] == frame]
        shift = frame % max(len(seen), 1)
        rows += seen[shift:] + seen[:shift]
    return rows


def tracks_of(poses, rows):
    """The track of each row; -1 for a detection without, None for one that was left out."""
    found = {}
    for frame, pose, number in zip(poses.frame, poses.points, poses.tracks, strict=True):
        x, y = (pose[0] + pose[2]) / 2
        found[int(frame), round(x), round(y)] = int(number)
    return [found.get((frame, x, y)) for frame, x, y, _ in rows]


def one_track_each(poses, *animals):
    """Whether every animal has one track, and no two have the same."""
    tracks = [set(tracks_of(poses, animal)) for animal in animals]
    return all(len(own) == 1 for own in tracks) and len(set.union(*tracks)) == len(animals)


@pytest.mark.parametrize("config", [GLOBAL, THREE])
def test_animals_that_pass_each_other_keep_their_tracks(config):
    tracked = track(scene(mixed(A, B, C)), config)
    assert len(tracked) == 3 * 8
    assert one_track_each(tracked, A, B, C)
    assert tracked.track_names == ("track_0", "track_1", "track_2")


@pytest.mark.parametrize("config", [GLOBAL, THREE])
def test_an_animal_that_was_hidden_is_itself_again(config):
    hidden = [row for row in B if row[0] not in (3, 4)]  # while A passes
    tracked = track(scene(mixed(A, hidden, C)), config)
    assert len(tracked) == 3 * 8 - 2
    assert one_track_each(tracked, A, hidden, C)


def test_an_animal_that_is_lost_for_long_comes_back_as_itself_where_the_number_is_known():
    early, late = C[:2], [(t, 44, 62, 1.2) for t in (6, 7)]
    tracked = track(scene(mixed(A, B, early, late)), THREE)
    assert one_track_each(tracked, A, B, early + late)


@pytest.mark.parametrize("config", [GLOBAL, THREE])
def test_ghosts_are_left_out(config):
    tracked = track(scene(mixed(A, B, C, [(2, 300, -200, 0.0), (5, -90, 110, 2.0)])), config)
    assert one_track_each(tracked, A, B, C)
    assert len(tracked) == 3 * 8


def test_second_detections_are_left_out():
    rows = [*mixed(A, B, C), (2, 40, 61, 1.5), (5, 50, 1, 0.0)]
    scores = [0.9] * 24 + [0.4] * 2
    tracked = track(scene(rows, instance_scores=scores), THREE)
    assert one_track_each(tracked, A, B, C)
    assert tracked.instance_scores.tolist() == [0.9] * 24


def test_never_more_tracks_than_animals():
    far = [(t, 300, 10 * t, 0.0) for t in range(8)]
    tracked = track(scene(mixed(A, B, C, far)), THREE)
    assert len(tracked.track_names) == 3
    assert track(scene(mixed(A, B, C, far)), GLOBAL).track_names[3:] == ("track_3",)


def test_what_was_estimated_and_left_out_is_said():
    notes = []
    track(scene(mixed(A, B, C, [(2, 300, -200, 0.0)])), GLOBAL, notes=notes)
    assert notes[0].startswith("Tracking: 3 animals, estimated from the counts of the frames")
    assert notes[1].startswith("Tracking: 1 of 25 instances belong to no animal")
    notes = []
    track(scene(mixed(A, B, C)), THREE, notes=notes)
    assert notes == []


LINKED = TrackerConfig(tracking=True, link_tracklets=True, tracking_target_instance_count=3)


def test_tracklets_of_an_online_tracker_are_linked():
    hidden = [row for row in B if row[0] not in (3, 4)]
    poses = scene(mixed(A, hidden, C))
    online = track(poses, TrackerConfig(tracking=True, tracking_window_size=1))
    assert len(online.track_names) > 3  # steps of almost a body length: every OKS is 0
    assert one_track_each(track(poses, LINKED), A, hidden, C)


def test_what_an_online_tracker_leaves_without_a_track_stays_so():
    poses = scene([*mixed(A, B, C), (2, 300, -200, 0.0)], user=[False] * 24 + [True])
    poses.points[-1, 1:] = np.nan
    tracked = track(poses, replace(LINKED, min_new_track_points=1))
    assert tracked.tracks[tracked.user].tolist() == [-1]
    assert one_track_each(tracked[~tracked.user], A, B, C)


def test_auto_takes_what_is_sounder_and_says_why():
    notes = []
    auto = replace(THREE, method="auto", scoring_method="oks", tracking_window_size=1)
    tracked = track(scene(mixed(A, B, C)), auto, notes=notes)
    assert one_track_each(tracked, A, B, C)
    assert notes[-1].startswith(
        "Tracking: tracker.method=auto takes global (global: forward and backward agree on 100.0%, "
        "100.0% of the instances on 3 tracks; bytetrack: "
    )


def test_user_labelled_instances_stay_even_where_they_belong_to_no_animal():
    rows = [*mixed(A, B, C), (2, 300, -200, 0.0)]
    tracked = track(scene(rows, user=[False] * 24 + [True]), THREE)
    assert tracks_of(tracked, rows[-1:]) == [-1]
    assert np.isnan(tracked.track_scores[tracked.user]).all()
    assert one_track_each(tracked, A, B, C)


def test_scores_are_probabilities_and_the_first_of_a_track_has_one():
    scores = track(scene(mixed(A, B, C)), THREE).track_scores
    assert ((scores > 0.35) & (scores <= 1)).all()
    assert scores[:3].tolist() == [1, 1, 1]


def test_videos_without_instances_and_with_a_single_one():
    empty = track(scene([], frames=[[0, 0], [0, 4]]), GLOBAL)
    assert len(empty) == 0
    assert empty.frames.tolist() == [[0, 0], [0, 4]]
    single = track(scene(A[:1]), GLOBAL)
    assert single.tracks.tolist() == [0]
    assert single.track_scores.tolist() == [1]


@pytest.mark.parametrize("count", [None, 1])
@pytest.mark.parametrize("missing", [(), (3,), (2, 3, 4)])
def test_a_single_animal_has_one_track(count, missing):
    config = replace(GLOBAL, tracking_target_instance_count=count)
    tracked = track(scene([row for row in A if row[0] not in missing]), config)
    assert tracked.tracks.tolist() == [0] * (8 - len(missing))


def test_poses_without_a_node_are_left_out():
    poses = scene(mixed(A, B, C))
    poses.points[5] = np.nan
    tracked = track(poses, THREE)
    assert len(tracked) == 23
    assert len(tracked.track_names) == 3


def test_every_other_frame():
    rows = [(15 * t, x, y, turn) for t, x, y, turn in mixed(A, B, C)]
    tracked = track(scene(rows), THREE)
    assert one_track_each(tracked, *([(15 * t, *rest) for t, *rest in own] for own in (A, B, C)))


def walkers(seed, animals, nodes):
    """Animals on random walks, a few detections missing, each with the row that it has."""
    rng = np.random.default_rng(seed)
    body = np.stack([np.linspace(-6, 6, nodes), np.arange(nodes) % 2.0], axis=1) * (nodes > 1)
    turn = np.cumsum(rng.normal(0, 0.2, (30, animals)), axis=0) + rng.uniform(0, 6, animals)
    step = 4 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    place = np.cumsum(step, axis=0) + rng.uniform(0, 60, (animals, 2))
    points, frames = [], []
    for frame, own in np.ndindex(30, animals):
        if rng.random() < 0.1:
            continue
        c, s = np.cos(turn[frame, own]), np.sin(turn[frame, own])
        pose = body @ np.array([[c, s], [-s, c]]) + place[frame, own]
        points.append(pose + rng.normal(0, 0.2, pose.shape))
        frames.append(frame)
    skeleton = Skeleton(tuple(f"n{node}" for node in range(nodes)))
    scores = rng.uniform(0.5, 1, len(points))
    return make_poses(
        skeleton, points, frame=frames, instance_scores=scores, origin=np.arange(len(points))
    )


def grouped(poses):
    """Which detections are one animal, whatever it is called."""
    return {frozenset(poses.origin[poses.tracks == track].tolist()) for track in set(poses.tracks)}


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 5),
    st.sampled_from([1, 2, 4]),
    st.booleans(),
    st.sampled_from(["order", "mirror", "scale", "shift", "turn", "again"]),
)
def test_the_answer_does_not_depend_on_how_the_scene_is_shown(seed, animals, nodes, known, change):
    poses = walkers(seed, animals, nodes)
    config = TrackerConfig(
        tracking=True,
        method="global",
        tracking_target_instance_count=animals if known else None,
    )
    other = poses
    if change == "order":
        other = poses[np.random.default_rng(seed).permutation(len(poses))]
    elif change != "again":
        points = poses.points.copy()
        if change == "mirror":
            points *= [-1, 1]
        elif change == "scale":
            points *= 4
        elif change == "shift":
            points += [512, -256]
        else:
            points = points[..., ::-1] * [1, -1]
        other = make_poses(
            poses.skeleton,
            points,
            frame=poses.frame,
            instance_scores=poses.instance_scores,
            origin=poses.origin,
        )
    first, second = track(poses, config), track(other, config)
    assert grouped(first) == grouped(second)
    np.testing.assert_allclose(
        first.track_scores[np.argsort(first.origin)],
        second.track_scores[np.argsort(second.origin)],
        atol=1e-6,
    )


@pytest.mark.parametrize("seed", range(5))
def test_fewer_tracks_than_animals_never_more(seed):
    poses = walkers(seed, 4, 3)
    config = TrackerConfig(tracking=True, method="global", tracking_target_instance_count=2)
    tracked = track(poses, config)
    assert len(tracked.track_names) == 2
    assert np.unique(np.stack([tracked.frame, tracked.tracks]), axis=1).shape[1] == len(tracked)
