from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.errors import ConfigError
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import named_apart, track

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)
SKELETON = Skeleton(("a", "b", "c", "d"))


def squares(*xs, **columns):
    """One square of side 10 px for each x."""
    return make_poses(SKELETON, [SQUARE + np.array([x, 0]) for x in xs], **columns)


def named(poses):
    """Return (frame, x of the first node, track name) of every instance."""
    names = [None if index < 0 else poses.track_names[index] for index in poses.tracks]
    return list(zip(poses.frame.tolist(), poses.points[:, 0, 0].tolist(), names, strict=True))


def test_tracks_and_scores_are_replaced():
    poses = squares(
        0, 1, frame=[0, 1], tracks=[1, 0], track_scores=0.5, track_names=["old", "older"]
    )
    tracked = track(poses, TrackerConfig())
    assert tracked.track_names == ("track_0",)
    assert tracked.tracks.tolist() == [0, 0]
    np.testing.assert_allclose(tracked.track_scores, [1, np.exp(-1 / 0.5)])
    assert poses.tracks.tolist() == [1, 0]  # the input stays as it was


def test_frames_are_tracked_in_order_and_kept():
    poses = squares(20, 0, 10, frame=[2, 0, 1], frames=[[0, 2], [0, 5], [0, 0], [0, 1]])
    tracked = track(poses, TrackerConfig(features="centroids", scoring_method="euclidean_dist"))
    assert named(tracked) == [(0, 0, "track_0"), (1, 10, "track_0"), (2, 20, "track_0")]
    assert tracked.track_scores.tolist() == [1, -10, -15]
    assert tracked.frames.tolist() == [[0, 0], [0, 1], [0, 2], [0, 5]]


def test_no_instances():
    tracked = track(squares(frames=[[0, 0]]), TrackerConfig())
    assert len(tracked) == 0
    assert tracked.frames.tolist() == [[0, 0]]
    assert len(track(squares(), TrackerConfig()).frames) == 0


def test_each_video_is_tracked_by_itself():
    tracked = track(squares(0, 50, 0, 50, 0, video=[0, 0, 1, 1, 2]), TrackerConfig())
    assert tracked.track_names == ("track_0", "track_1", "track_2", "track_3", "track_4")
    assert tracked.tracks.tolist() == [0, 1, 2, 3, 4]


def test_a_video_without_animals_does_not_let_the_next_one_begin_anew():
    tracked = track(
        squares(0, 50, 0, video=[0, 0, 2], frames=[(0, 0), (1, 0), (2, 0)]), TrackerConfig()
    )
    assert tracked.tracks.tolist() == [0, 1, 2]
    assert tracked.track_names == ("track_0", "track_1", "track_2")


def test_animals_beside_one_that_a_person_corrected_keep_their_tracks():
    poses = squares(
        0,
        50,
        51,
        1,
        1,
        frame=[0, 0, 1, 1, 2],
        user=[False, False, True, False, False],
        tracks=[-1, -1, -1, 0, -1],
        track_names=["old"],
    )
    tracked = track(poses, TrackerConfig())
    assert named(tracked) == [
        (0, 0, "track_0"),
        (0, 50, "track_1"),
        (1, 51, "track_1"),
        (1, 1, "track_0"),
        (2, 1, "track_0"),
    ]
    assert tracked.track_names == ("track_0", "track_1")


@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
def test_what_a_person_labelled_stays_without_a_track(method):
    config = TrackerConfig(max_tracks=1, candidates_method=method)
    tracked = track(
        squares(
            0, 0, 50, frame=[0, 1, 1], user=[False, False, True], tracks=0, track_names=["old"]
        ),
        config,
    )
    assert named(tracked) == [(0, 0, "track_0"), (1, 0, "track_0"), (1, 50, None)]
    assert np.isnan(tracked.track_scores[2])
    assert len(track(squares(0, 0, 50, frame=[0, 1, 1]), config)) == 2  # a guess does not stay


def test_new_names_avoid_those_that_stay_beside_them():
    tracked = track(squares(0, 50), TrackerConfig())
    assert named_apart(tracked, ["track_1", "track_2"]).track_names == ("track_0", "track_3")
    assert named_apart(tracked, ["mouse"]) is tracked


def test_pre_cull():
    poses = squares(
        0, 50, 1, 51, 90, frame=[0, 0, 1, 1, 1], instance_scores=[0.5, 0.5, 0.4, 0.3, 0.9]
    )
    config = TrackerConfig(tracking_target_instance_count=2, tracking_pre_cull_to_target=1)
    assert named(track(poses, config)) == [
        (0, 0, "track_0"),
        (0, 50, "track_1"),
        (1, 1, "track_0"),
        (1, 90, "track_1"),
    ]


def test_pre_cull_spares_user_instances():
    config = TrackerConfig(tracking_target_instance_count=1, tracking_pre_cull_to_target=1)
    assert len(track(squares(0, 50, user=True), config)) == 2


def test_pre_cull_needs_its_switch():
    assert len(track(squares(0, 50), TrackerConfig(tracking_target_instance_count=1))) == 2


CENTROIDS = {"features": "centroids", "scoring_method": "euclidean_dist"}


def test_single_breaks_are_connected_on_request():
    # with a window of one frame the animal at 50 is forgotten while it is away
    poses = squares(0, 50, 0, 0, 50, frame=[0, 0, 1, 2, 2])
    config = {**CENTROIDS, "tracking_window_size": 1}
    assert named(track(poses, TrackerConfig(**config)))[-1] == (2, 50, "track_2")
    connected = track(
        poses,
        TrackerConfig(**config, post_connect_single_breaks=True, tracking_target_instance_count=2),
    )
    assert named(connected)[-1] == (2, 50, "track_1")
    assert connected.track_names == ("track_0", "track_1")


def test_clean_up_culls_and_connects():
    poses = squares(
        0,
        50,
        90,
        0,
        0,
        50,
        frame=[0, 0, 0, 1, 2, 2],
        instance_scores=[0.9, 0.9, 0.1, 0.9, 0.9, 0.9],
    )
    tracked = track(
        poses, TrackerConfig(**CENTROIDS, tracking_window_size=1, tracking_clean_instance_count=2)
    )
    assert named(tracked) == [
        (0, 0, "track_0"),
        (0, 50, "track_1"),
        (1, 0, "track_0"),
        (2, 0, "track_0"),
        (2, 50, "track_1"),
    ]
    assert tracked.track_names == ("track_0", "track_1")


def test_clean_up_does_not_count_user_instances():
    poses = squares(
        0, 50, 90, 130, user=[False, True, True, False], instance_scores=[0.5, np.nan, np.nan, 0.9]
    )
    tracked = track(poses, TrackerConfig(tracking_clean_instance_count=1))
    assert tracked.points[:, 0, 0].tolist() == [50, 90, 130]


def test_a_track_limit_holds_with_the_default_candidates():
    tracked = track(squares(0, 50, 90, 0, 50, frame=[0, 0, 0, 1, 1]), TrackerConfig(max_tracks=2))
    assert tracked.track_names == ("track_0", "track_1")
    assert len(tracked) == 4


def test_contradicting_settings_are_refused():
    with pytest.raises(ConfigError, match="cannot compare"):
        track(squares(0), TrackerConfig(features="bboxes"))


@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
def test_flow_finds_a_fast_animal(method):
    # two dots move by 12 px per frame, the first one almost to where the second one was
    def read_image(video, frame):
        y, x = np.mgrid[:64, :128]
        dots = sum(
            np.exp(-((x - left - 12 * frame) ** 2 + (y - top) ** 2) / 20)
            for left, top in [(30, 30), (40, 36)]
        )
        return np.clip(255 * dots, 0, 255).astype(np.uint8)[..., None]

    points = [
        [[30 + 12 * frame, 30]] if first else [[40 + 12 * frame, 36]]
        for frame in range(3)
        for first in (True, False)
    ]
    poses = make_poses(Skeleton(("dot",)), points, frame=[0, 0, 1, 1, 2, 2])
    config = {
        **CENTROIDS,
        "track_matching_method": "greedy",
        "tracking_window_size": 1,
        "candidates_method": method,
    }
    assert track(poses, TrackerConfig(**config)).tracks.tolist() != [0, 1] * 3
    tracked = track(poses, TrackerConfig(**config, use_flow=True), read_image)
    assert sorted(
        zip(
            tracked.frame.tolist(),
            tracked.points[:, 0, 1].tolist(),
            tracked.tracks.tolist(),
            strict=True,
        )
    ) == [(frame, y, index) for frame in range(3) for y, index in [(30, 0), (36, 1)]]
    np.testing.assert_allclose(tracked.track_scores[2:], 0, atol=0.01)


def test_images_are_read_for_flow_and_appearance_only():
    def read_image(video, frame):
        raise AssertionError("no image is needed")

    assert len(track(squares(0, 1, frame=[0, 1]), TrackerConfig(), read_image)) == 2
    for asked in ({"use_flow": True}, {"features": "image"}):
        with pytest.raises(ValueError, match="read_image"):
            track(squares(0, 1, frame=[0, 1]), TrackerConfig(**asked))


def test_poses_of_a_single_node_are_compared_by_distance_if_asked():
    poses = make_poses(
        Skeleton(("a",)), [[[0, 0]], [[50, 0]], [[48, 0]], [[3, 0]]], frame=[0, 0, 1, 1]
    )
    assert track(poses, TrackerConfig()).track_scores.tolist() == [1, 1, -2, -3]
    assert track(poses, TrackerConfig(one_node_distance=False)).track_scores.tolist() == [
        1,
        1,
        0,
        0,
    ]


def test_kalman_predicts_where_a_moving_animal_is():
    # The animal moves 3 px per frame. The candidate moves half of the predicted way, 1.5 px too
    # short: exp(-1.5² / 0.5). Plain tracking compares with the poses of the last frames, 3 px and
    # more away.
    poses = squares(*range(0, 36, 3), frame=range(12))
    config = TrackerConfig(use_kalman=True, tracking_target_instance_count=1)
    scores = track(poses, config).track_scores
    np.testing.assert_allclose(scores[10:], np.exp(-(1.5**2) / 0.5), rtol=1e-4)
    np.testing.assert_allclose(scores[9], np.mean(np.exp(-np.square([3, 6, 9, 12, 15]) / 0.5)))
    np.testing.assert_array_equal(scores[:10], track(poses, TrackerConfig()).track_scores[:10])


@pytest.mark.parametrize("kf_track_features", ["centroid", "keypoints"])
def test_kalman_keeps_animals_that_pass_each_other_apart(kf_track_features):
    # two animals run towards each other at 8 px per frame and pass within a node's width
    frames = np.arange(30)
    xs = np.stack([8 * frames, 240 - 8 * frames], axis=1)
    poses = make_poses(
        SKELETON,
        [SQUARE + np.array([x, 2 * i]) for row in xs for i, x in enumerate(row)],
        frame=np.repeat(frames, 2),
    )
    config = {"oks_stddev": 0.5, "candidates_method": "local_queues", "tracking_window_size": 2}
    plain = track(poses, TrackerConfig(**config)).tracks.reshape(-1, 2)
    kalman = TrackerConfig(
        **config,
        use_kalman=True,
        kf_track_features=kf_track_features,
        tracking_target_instance_count=2,
    )
    assert (plain[-1] == [1, 0]).all()
    assert (track(poses, kalman).tracks.reshape(-1, 2) == [0, 1]).all()


# Properties. Coordinates are multiples of 1/512 px, so that moving them by whole pixels is exact.
# All animals cover the place (70, 70), so that no pair has the score 0: where scores are equal the
# order does matter.

CONFIGS = [
    {"oks_stddev": 1.0},
    {"features": "bboxes", "scoring_method": "iou"},
    {"features": "centroids", "scoring_method": "euclidean_dist"},
    {"scoring_method": "euclidean_dist"},
    {"scoring_method": "euclidean_dist", "missing_nodes": "reference"},
]


@st.composite
def recordings(draw):
    """Draw four to ten frames of up to five animals, some nodes missing, and a random generator."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = draw(st.lists(st.integers(0, 5), min_size=4, max_size=10))
    n = sum(frames)
    points = rng.integers(0, 140 * 256, (n, 4, 2)) / 256
    points[:, :2] = points[:, :2] / 2 + [[0, 0], [70, 70]]
    points[:, 2:][rng.random((n, 2)) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
    frame = np.repeat(np.arange(len(frames)), frames)
    poses = make_poses(
        SKELETON,
        points,
        frame=frame,
        frames=[[0, index] for index in range(len(frames))],
        instance_scores=rng.random(n),
    )
    return poses, rng


def configs(draw_from=CONFIGS):
    return st.builds(
        lambda compared, rest: TrackerConfig(**compared, **rest),
        st.sampled_from(draw_from),
        st.fixed_dictionaries(
            {
                "candidates_method": st.sampled_from(["fixed_window", "local_queues"]),
                "scoring_reduction": st.sampled_from(["mean", "max", "robust_quantile"]),
                "robust_best_instance": st.sampled_from([0.5, 0.95]),
                "track_matching_method": st.sampled_from(["hungarian", "greedy"]),
                "tracking_window_size": st.integers(1, 4),
            }
        ),
    )


def identities(tracked, score):
    """Return the instances of each track as a set of (frame, score), whatever the track names."""
    members = {}
    for index, frame, value in zip(
        tracked.tracks.tolist(), tracked.frame.tolist(), score, strict=True
    ):
        members.setdefault(index, set()).add((frame, value))
    return set(map(frozenset, members.values()))


def assert_same_identities(a, b):
    assert identities(a, a.instance_scores.tolist()) == identities(b, b.instance_scores.tolist())


@settings(deadline=None)
@given(recordings(), configs())
def test_the_order_within_a_frame_does_not_matter(recording, config):
    poses, rng = recording
    assert_same_identities(track(poses, config), track(poses[rng.permutation(len(poses))], config))


@settings(deadline=None)
@given(recordings(), configs(), st.integers(-500, 500), st.integers(-500, 500))
def test_the_place_in_the_image_does_not_matter(recording, config, dx, dy):
    poses, _ = recording
    moved = make_poses(
        SKELETON,
        poses.points + np.array([dx, dy]),
        frame=poses.frame,
        frames=poses.frames,
        instance_scores=poses.instance_scores,
    )
    a, b = track(poses, config), track(moved, config)
    assert_same_identities(a, b)
    np.testing.assert_allclose(a.track_scores, b.track_scores)


@settings(deadline=None)
@given(recordings(), configs())
def test_the_tracks_before_do_not_matter(recording, config):
    poses, rng = recording
    old = make_poses(
        SKELETON,
        poses.points,
        frame=poses.frame,
        frames=poses.frames,
        instance_scores=poses.instance_scores,
        tracks=rng.integers(-1, 2, len(poses)),
        track_names=["track_1", "other"],
    )
    a, b = track(poses, config), track(old, config)
    assert a.tracks.tolist() == b.tracks.tolist()
    assert a.track_names == b.track_names


@settings(deadline=None)
@given(
    recordings(),
    configs([*CONFIGS, {"scoring_method": "cosine_sim"}]),
    st.fixed_dictionaries(
        {
            "min_new_track_points": st.integers(0, 3),
            "min_match_points": st.integers(0, 3),
            "max_tracks": st.none() | st.integers(1, 3),
            "tracking_clean_instance_count": st.integers(0, 2),
            "post_connect_single_breaks": st.booleans(),
            "tracking_target_instance_count": st.just(2),
            "tracking_pre_cull_to_target": st.integers(0, 1),
        }
    ),
    st.booleans(),
)
def test_invariants(recording, config, more, some_user):
    poses, rng = recording
    poses = make_poses(
        SKELETON,
        poses.points,
        frame=poses.frame,
        frames=poses.frames,
        user=(rng.random(len(poses)) < 0.3) & some_user,
        instance_scores=poses.instance_scores,
    )
    config = TrackerConfig(**{**vars(config), **more})
    tracked = track(poses, config)
    has_track = tracked.tracks >= 0
    pairs = list(
        zip(tracked.frame[has_track].tolist(), tracked.tracks[has_track].tolist(), strict=True)
    )
    assert len(set(pairs)) == len(pairs)  # a track has one instance per frame
    assert list(dict.fromkeys(tracked.tracks[has_track].tolist())) == list(
        range(len(tracked.track_names))
    )
    assert len(set(tracked.track_names)) == len(tracked.track_names)
    # An instance passed through beside user-labelled ones may get a track at a single break, and
    # then has no score.
    assert (
        np.isfinite(tracked.track_scores[has_track]).all()
        or config.min_new_track_points
        or config.max_tracks
        or some_user
    )
    if config.max_tracks:
        assert len(tracked.track_names) <= config.max_tracks
    inputs = {tuple(row) for row in np.column_stack([poses.frame, poses.instance_scores])}
    outputs = [tuple(row) for row in np.column_stack([tracked.frame, tracked.instance_scores])]
    assert len(set(outputs)) == len(outputs)
    assert set(outputs) <= inputs
    np.testing.assert_array_equal(tracked.frames, poses.frames)


CROWDED = st.sampled_from([1, 20, 140])  # poses on a grid of so many px: with 1 many are the same


@settings(deadline=None)
@given(
    recordings(),
    configs([*CONFIGS, {}, {"scoring_method": "cosine_sim"}]),
    st.fixed_dictionaries(
        {
            "max_tracks": st.none() | st.integers(1, 3),
            "min_new_track_points": st.integers(0, 3),
            "tracking_clean_instance_count": st.integers(0, 2),
            "tracking_target_instance_count": st.just(2),
            "tracking_pre_cull_to_target": st.integers(0, 2),
            "use_kalman": st.booleans(),
        }
    ),
    st.booleans(),
    CROWDED,
)
def test_the_order_of_detections_never_matters(recording, config, more, equal_scores, grid):
    poses, rng = recording
    scores = np.full(len(poses), 0.5) if equal_scores else poses.instance_scores
    points = np.round(poses.points / 140 * grid) * 140 / grid
    config = TrackerConfig(**{**vars(config), **more})
    answers = []
    for order in (np.arange(len(poses)), rng.permutation(len(poses))):
        shuffled = make_poses(
            SKELETON,
            points[order],
            frame=poses.frame[order],
            frames=poses.frames,
            instance_scores=scores[order],
        )
        tracked = track(shuffled, config)
        poses_of = np.nan_to_num(tracked.points.reshape(len(tracked), 8), nan=-1).tolist()
        scored = np.nan_to_num(tracked.track_scores.round(9), nan=-1).tolist()
        members = {track: [] for track in np.unique(tracked.tracks).tolist()}
        rows = zip(tracked.tracks.tolist(), tracked.frame.tolist(), poses_of, scored, strict=True)
        for name, *what in rows:
            members[name].append(what)
        answers.append((sorted(members.pop(-1, [])), sorted(map(sorted, members.values()))))
    assert answers[0] == answers[1]


def notes_of(before, after, **settings):
    """Return what is said about squares in two frames."""
    notes, frame = [], [0] * len(before) + [1] * len(after)
    track(squares(*before, *after, frame=frame), TrackerConfig(**settings), None, notes)
    return notes


def test_links_that_chance_decided_are_told():
    (note,) = notes_of([0, 900], [1200, 300], undecided="reference")
    assert note.startswith("Tracking: 2 links were decided by the order of the detections")
    assert notes_of([0, 900], [1200, 300]) == []
    (note,) = notes_of([0, 200], [100])
    assert note.startswith("Tracking: 1 detection, equally near to two animals")
    (note,) = notes_of([0, 200], [100], max_tracks=2)
    assert note.startswith("Tracking: 1 link is uncertain")


def told(poses, **settings):
    """What is told while poses are tracked, (done, total, step)."""
    found = []

    def watch(done, total, step=""):
        found.append((done, total, step))

    track(poses, TrackerConfig(tracking=True, **settings), watch=watch)
    return found


def walk():
    """Two animals in the first two frames of a video, one in the third frame of another one."""
    frames = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    return squares(0, 90, 1, 91, 0, video=[0] * 4 + [1], frame=[0, 0, 1, 1, 1], frames=frames)


@pytest.mark.parametrize("method", ["online", "bytetrack", "ocsort"])
def test_each_frame_of_all_videos_is_told(method):
    assert told(walk(), method=method) == [(done, 5, "") for done in range(1, 6)]


def test_steps_of_the_whole_are_told_with_their_video():
    found = told(walk(), method="global")
    steps = dict.fromkeys(step.split(" (")[0] for _, _, step in found)
    assert list(steps) == [
        f"video {video} of 2, step {step} of 3" for video in (1, 2) for step in (1, 2, 3)
    ]
    alone = squares(0, 1, frame=[0, 1])
    assert {step.split(" (")[0] for *_, step in told(alone, method="global")} == {
        f"step {step} of 3" for step in (1, 2, 3)
    }
    assert all(0 <= done < total for done, total, _ in found)
    # A terminal of 80 columns has a share and a time beside them.
    assert max(len(f"tracking, {step}") for *_, step in found) <= 60


def test_frames_whose_tracks_are_linked_later_are_no_more_than_a_step():
    first = squares(0, 90, 1, 91, frame=[0, 0, 1, 1])
    found = told(first, method="bytetrack", link_tracklets=True)
    assert found[:2] == [(1, 2, "frame by frame"), (2, 2, "frame by frame")]
    assert found[2][2].startswith("step 1 of 3")


def test_trials_are_told_by_tracker_and_direction(monkeypatch):
    def unsound(poses, *_):
        return replace(poses, tracks=np.arange(len(poses), dtype=np.int32))

    for name in ("track_globally", "link_tracklets"):
        monkeypatch.setattr(f"sleap_lab.tracking.offline.{name}", unsound)
    found = told(squares(0, 90, 1, 91, frame=[0, 0, 1, 1]), method="auto", max_tracks=2)
    trials = dict.fromkeys(step.split(",")[0] for *_, step in found)
    assert list(trials) == [
        name + direction
        for name in ("bytetrack", "ocsort", "online")
        for direction in ("", " in reverse")
    ]
    assert (2, 2, "online in reverse") in found
