import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import track
from sleap_lab.tracking.absence import AbsenceLinker, detection_scores, shifts, typical_area

NAN = np.nan
SKELETON = Skeleton(("a", "b", "c", "d"))
SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)
BODY = np.hypot(10, 10)
METHODS = ("bytetrack", "ocsort")


def poses_of(frames):
    """Return squares: per frame their corners x, (x, y) or (x, y, score); the score is 1."""
    rows = [
        (number, *np.broadcast_to(at, 1), 0.0, 1.0)[:4]
        if np.isscalar(at)
        else (number, *at, 1.0)[:4]
        for number, frame in enumerate(frames)
        for at in frame
    ]
    return make_poses(
        SKELETON,
        [SQUARE + [float(x), float(y)] for _, x, y, _ in rows],  # noqa: RUF005
        frame=[number for number, *_ in rows],
        point_scores=np.array([[score] * 4 for *_, score in rows]).reshape(-1, 4),
        instance_scores=[score for *_, score in rows],
        frames=[[0, number] for number in range(len(frames))],
    )


def tracks(frames, method="bytetrack", **options):
    """Return per frame {x of the first node: track}."""
    tracked = track(poses_of(frames), TrackerConfig(method=method, **{"min_hits": 1, **options}))
    found = [{} for _ in frames]
    for frame, x, index in zip(
        tracked.frame.tolist(),
        tracked.points[:, 0, 0].tolist(),
        tracked.tracks.tolist(),
        strict=True,
    ):
        found[frame][x] = index
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scoring", ["oks", "iou"])
def test_three_animals_keep_their_tracks_while_they_are_away(method, scoring):
    frames = [
        [0, 100, 200],
        [202, 2, 98],
        [96, 4],  # the third is away
        [6, 94],
        [8, 210, 92],
        [208, 90],  # the first is away
        [88, 206],
        [204, 14, 86],
    ]
    assert tracks(frames, method, scoring_method=scoring) == [
        {0: 0, 100: 1, 200: 2},
        {202: 2, 2: 0, 98: 1},
        {96: 1, 4: 0},
        {6: 0, 94: 1},
        {8: 0, 210: 2, 92: 1},
        {208: 2, 90: 1},
        {88: 1, 206: 2},
        {204: 2, 14: 0, 86: 1},
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_track_outlives_the_frames_of_the_buffer_and_no_more(method):
    frames = [[0, 100], [0, 100], [100], [100], [0, 100]]
    assert tracks(frames, method, track_buffer=2)[-1] == {0: 0, 100: 1}
    assert tracks(frames, method, track_buffer=1)[-1] == {0: 2, 100: 1}


@pytest.mark.parametrize("method", METHODS)
def test_with_the_number_of_animals_no_track_is_forgotten_and_none_too_many_opened(method):
    frames = [[0, 100], [0, 100], [100], [100], [70, 101, 300], [71, 102, 300]]
    known = {"max_tracks": 2, "track_buffer": 0}
    assert tracks(frames, method, **known)[-2:] == [{70: 0, 101: 1}, {71: 0, 102: 1}]
    assert tracks(frames, method, tracking_target_instance_count=2)[-1] == {71: 0, 102: 1}


def test_unsure_detections_go_on_with_a_track_but_open_none():
    frames = [[0], [(1, 0, 0.3), (200, 0, 0.3)], [2], [(30, 0, 0.3)], [(3, 0, 0.05)]]
    # 30 px away an unsure detection is not similar enough, and 0.05 is too little for any.
    assert tracks(frames, "bytetrack") == [{0: 0}, {1: 0}, {2: 0}, {}, {}]
    assert tracks(frames, "ocsort") == [{0: 0}, {}, {2: 0}, {}, {}]  # takes sure ones only


def test_scores_are_shares_of_what_is_usual_in_the_video():
    scores = [0.5] * 9 + [0.25]
    poses = make_poses(SKELETON, [SQUARE] * 10, point_scores=np.repeat(scores, 4).reshape(-1, 4))
    np.testing.assert_allclose(detection_scores(poses), [1] * 9 + [0.25 / 0.5])
    half = SQUARE.copy()
    half[2:] = NAN
    by_hand = make_poses(
        SKELETON, [SQUARE, half], point_scores=[[0] * 4, [0.8, 0.4, 0, 0]], user=[True, False]
    )
    np.testing.assert_allclose(detection_scores(by_hand), [1, 1])  # 0.6 of 0.6


@pytest.mark.parametrize("method", METHODS)
def test_a_track_of_few_detections_is_left_out(method):
    frames = [[0], [1, 300], [2], [3]]
    assert tracks(frames, method, min_hits=2) == [{0: 0}, {1: 0}, {2: 0}, {3: 0}]
    assert tracks(frames, method, min_hits=1)[1] == {1: 0, 300: 1}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scoring", ["oks", "iou"])
def test_where_nothing_is_similar_the_nearest_go_on(method, scoring):
    step = 2 * BODY  # further than any box
    frames = [[(step * t, 0), (step * t, 900)][:: (-1) ** t] for t in range(6)]
    poses = poses_of(frames)
    tracked = track(poses, TrackerConfig(method=method, scoring_method=scoring))
    assert len(tracked) == 12
    for index in (0, 1):
        assert len(set(tracked.points[tracked.tracks == index][:, 0, 1])) == 1
    beyond = [[0], [4 * BODY]]  # further than three bodies: another animal
    assert tracks(beyond, method)[-1] == {4 * BODY: 1}


def linker_after(frames, **options):
    poses = poses_of(frames)
    linker = AbsenceLinker(poses, TrackerConfig(**{"method": "ocsort", **options}))
    for _, frame, rows in poses.by_frame():
        linker.link(frame, rows)
    return linker


@pytest.mark.parametrize("method", METHODS)
def test_a_detection_as_near_to_two_tracks_opens_its_own(method):
    linker = linker_after([[0, 40], [20]], method=method)
    assert (linker.opened, linker.parted, linker.doubts) == (3, 1, 0)
    linker = linker_after([[0, 40], [20]], method=method, max_tracks=2)
    assert (linker.opened, linker.parted, linker.doubts) == (2, 0, 1)


def test_the_filter_follows_the_straight_way_between_two_places():
    # The animal stands, is away for four frames, and comes back 20 px further: 4 px per frame.
    frames = [[0], [0], [0], [], [], [], [], [20]]
    found = {method: linker_after(frames, method=method).tracks for method in METHODS}
    assert 2.5 < found["ocsort"].mean[0, 1] < 4  # it also stood before
    # Places between the two count as seen, so the filter is surer of its speed.
    assert found["ocsort"].covariance[0, 1, 1] < found["bytetrack"].covariance[0, 1, 1]


def test_the_direction_of_the_last_steps_counts():
    # Both detections of the last frame lie 5 px from where the animal is expected.
    linker = linker_after([[0], [5], [10]], momentum=0.4)
    poses = poses_of([[20, 10, (15, 5), (15, -5)]])
    linker.points, linker.scores = np.concatenate([linker.points, poses.points]), np.ones(7)
    kept = linker._momentum(np.array([3, 5, 6]), np.array([0]))[:, 0]
    # On 20 - 10 px ahead, and at 45 degrees to either side.
    np.testing.assert_allclose(kept, 0.4 * np.array([1 / 2, 1 / 2 - 1 / 4, 1 / 2 - 1 / 4]))


def test_no_direction_where_nothing_moved():
    linker = linker_after([[0], [0]])
    assert linker._momentum(np.array([1]), np.array([0])).tolist() == [[0]]


def test_movements_are_those_of_shared_nodes():
    before = np.array([[0, 0], [10, 0], [NAN, NAN]])
    np.testing.assert_allclose(shifts(np.array([[2, 2], [NAN, NAN], [9, 9]]), before), [2, 2])
    # None is shared: (9, 9) against the middle of (0, 0) and (10, 0).
    np.testing.assert_allclose(shifts(np.array([[NAN, NAN], [NAN, NAN], [9, 9]]), before), [4, 9])


def test_the_area_does_not_depend_on_how_a_single_pose_lies():
    flat = SQUARE * [1, 0]
    assert typical_area(np.array([SQUARE, flat, 2 * SQUARE, SQUARE]), 14.0) == 100
    assert typical_area(np.array([flat]), 10.0) == 10**2 / 10


def test_a_single_animal_of_one_node_keeps_its_track():
    poses = make_poses(Skeleton(("a",)), [[0, 0], [50, 0], [90, 90]], frame=[0, 1, 2])
    for method in METHODS:
        assert track(poses, TrackerConfig(method=method)).tracks.tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(METHODS),
    st.sampled_from(["oks", "iou"]),
    st.sampled_from([None, 2]),
    st.sampled_from([2, 30]),
)
def test_the_order_of_detections_never_matters(seed, method, scoring, animals, grid):
    rng = np.random.default_rng(seed)
    frame = np.sort(rng.integers(0, 8, 20))
    points = SQUARE + np.round(rng.random((20, 1, 2)) * grid) * 60 / grid
    points[rng.random((20, 4)) < 0.2] = NAN
    scores = rng.choice([0.3, 0.9, 1.0], (20, 1)) * np.ones(4)
    answers = []
    for order in (np.arange(20), rng.permutation(20)):
        poses = make_poses(
            SKELETON,
            points[order],
            frame=frame[order],
            point_scores=scores[order],
            instance_scores=scores[order, 0],
        )
        config = TrackerConfig(method=method, scoring_method=scoring, max_tracks=animals)
        tracked = track(poses, config)
        members = [
            sorted(
                zip(
                    tracked.frame[tracked.tracks == index].tolist(),
                    np.nan_to_num(tracked.points[tracked.tracks == index], nan=-1)
                    .reshape(-1, 8)
                    .tolist(),
                    strict=True,
                )
            )
            for index in range(len(tracked.track_names))
        ]
        answers.append(sorted(members))
    assert answers[0] == answers[1]
