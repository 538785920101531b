import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.linker import Linker

NAN = np.nan
SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)


def pose(x, visible=4):
    """A square of side 10 px at x, of which only the first nodes are visible."""
    points = SQUARE + np.array([x, 0])
    points[visible:] = NAN
    return points


def link(frames, *, numbers=None, **settings):
    """Link frames of poses; a number stands for a square at that x.

    Returns one list per frame of (x of the first node, id, score).
    """
    numbers = numbers or range(len(frames))
    points = [pose(p) if np.isscalar(p) else p for frame in frames for p in frame]
    frame = [number for number, poses in zip(numbers, frames, strict=True) for _ in poses]
    poses = make_poses(Skeleton(("a", "b", "c", "d")), points, frame=frame)
    linker = Linker(poses, TrackerConfig(**settings))
    linked = []
    for number in numbers:
        rows, ids, scores = linker.link(number, np.flatnonzero(poses.frame == number))
        linked.append(
            list(zip(poses.points[rows, 0, 0].tolist(), ids.tolist(), scores.tolist(), strict=True))
        )
    return linked


def ids(frames, **settings):
    """Like `link`, but only {x: id} per frame."""
    return [{x: id for x, id, _ in frame} for frame in link(frames, **settings)]


CENTROIDS = {"features": "centroids", "scoring_method": "euclidean_dist"}


def test_detections_continue_the_nearest_track():
    assert ids([[0, 50], [51, 1], [2, 52]]) == [{0: 0, 50: 1}, {51: 1, 1: 0}, {2: 0, 52: 1}]


def test_scores():
    frames = link([[0], [1], [3]])
    assert frames[0] == [(0, 0, 1)]
    assert frames[1][0][2] == pytest.approx(np.exp(-1 / 0.5))
    # Mean over the window.
    assert frames[2][0][2] == pytest.approx((np.exp(-9 / 0.5) + np.exp(-4 / 0.5)) / 2)


def test_there_is_no_score_threshold():
    assert link([[0], [1000]], **CENTROIDS)[1] == [(1000, 0, -1000)]
    assert link([[0], [1000]])[1] == [(1000, 0, 0)]  # even where nothing is alike


@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
def test_surplus_detections_open_tracks(method):
    assert ids([[0], [40, 1, 80]], candidates_method=method) == [{0: 0}, {1: 0, 40: 1, 80: 2}]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("fixed_window", [{0: 0}, {}, {}, {0: 1}]),  # forgotten after two empty frames
        ("local_queues", [{0: 0}, {}, {}, {0: 0}]),  # bound again after any gap
    ],
)
def test_empty_frames(method, expected):
    assert ids([[0], [], [], [0]], tracking_window_size=2, candidates_method=method) == expected


def test_a_gap_in_frame_numbers_is_no_age():
    assert ids([[0], [1]], numbers=[0, 1000], tracking_window_size=1) == [{0: 0}, {1: 0}]


def test_a_gap_in_frame_numbers_ages_the_window_if_asked():
    asked = {"window_by_frame_number": True, "tracking_window_size": 3}
    assert ids([[0], [1]], numbers=[5, 8], **asked) == [{0: 0}, {1: 0}]
    assert ids([[0], [1]], numbers=[5, 9], **asked) == [{0: 0}, {1: 1}]
    assert ids([[0, 50], [0], [0, 50]], numbers=[0, 1, 4], **asked) == [
        {0: 0, 50: 1},
        {0: 0},
        {0: 0, 50: 2},
    ]


@pytest.mark.parametrize("scoring", ["euclidean_dist", "cosine_sim"])
def test_poses_with_missing_nodes_are_linked_over_the_nodes_both_have(scoring):
    assert ids([[0, 50], [pose(51, visible=2), pose(1, visible=3)]], scoring_method=scoring) == [
        {0: 0, 50: 1},
        {51: 1, 1: 0},
    ]


def test_fixed_window_forgets_a_track_that_is_missed():
    frames = [[0, 50], [0], [0], [0, 50]]
    assert ids(frames, tracking_window_size=2)[3] == {0: 0, 50: 2}
    assert ids(frames, tracking_window_size=3)[3] == {0: 0, 50: 1}


def test_poor_detections_open_no_track_and_are_left_out():
    frames = [[0, pose(50, visible=2)], [0, pose(50, visible=2)], [0, pose(50, visible=3)]]
    assert ids(frames, min_new_track_points=2) == [{0: 0}, {0: 0}, {0: 0, 50: 1}]


def test_a_poor_detection_may_continue_a_track():
    assert ids([[0], [pose(1, visible=2)]], min_new_track_points=3) == [{0: 0}, {1: 0}]


def test_poor_first_frames_are_not_remembered():
    assert ids([[pose(0, visible=1)], [0]], min_new_track_points=2) == [{}, {0: 0}]


def test_local_queues_leave_poor_detections_in_while_there_is_no_track():
    poor = pose(50, visible=1)
    frames = link(
        [[poor], [poor, 0], [0, poor]], min_new_track_points=2, candidates_method="local_queues"
    )
    assert frames[:2] == [[(50, -1, 1)], [(50, -1, 1), (0, 0, 1)]]
    assert frames[2] == [(0, 0, 1)]


def test_poor_candidates_are_not_compared():
    # The newest pose of the track has 3 visible nodes: alone it cannot be matched, but the complete
    # pose before it can.
    frames = [[0], [pose(0, visible=3)], [0]]
    assert [scored[0][1:] for scored in link(frames, min_match_points=3)] == [
        (0, 1),
        (0, 1),
        (0, 1),
    ]
    assert ids(frames, min_match_points=3, tracking_window_size=1) == [{0: 0}, {0: 0}, {0: 1}]


@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
def test_incomparable_detections_open_a_track_if_they_may(method):
    # as in sleap-nn: with cosine and euclidean a single missing node makes a pair incomparable
    settings = {
        "scoring_method": "euclidean_dist",
        "missing_nodes": "reference",
        "candidates_method": method,
    }
    frames = [[0], [pose(0, visible=3)]]
    assert link(frames, **settings)[1] == [(0, 1, 1)]
    assert link(frames, **settings, min_new_track_points=3)[1] == [(0, 0, -np.inf)]


def test_local_queues_order_matches_first():
    frames = [[0, 20], [90, 23, 1]]
    settings = {**CENTROIDS, "candidates_method": "local_queues"}
    # Matches by row, then the new track.
    assert link(frames, **settings)[1] == [(23, 1, -3), (1, 0, -1), (90, 2, 1)]
    # Matches by cost.
    assert link(frames, **settings, track_matching_method="greedy")[1] == [
        (1, 0, -1),
        (23, 1, -3),
        (90, 2, 1),
    ]
    assert link(frames, **CENTROIDS)[1] == [(90, 2, 1), (23, 1, -3), (1, 0, -1)]  # as it was


def test_track_limit():
    limited = {"candidates_method": "local_queues", "max_tracks": 2}
    assert ids([[0, 40, 80], [0, 40, 80]], **limited) == [{0: 0, 40: 1}, {0: 0, 40: 1}]
    assert ids([[0], [0, 40, 80]], **limited) == [{0: 0}, {0: 0, 40: 1}]


@pytest.mark.parametrize(
    ("max_tracks", "expected"), [(2, {(0, -np.inf), (1, 1)}), (3, {(1, 1), (2, 1)})]
)
def test_ids_are_reserved_for_detections_without_a_pair(max_tracks, expected):
    # Two incomparable detections, one track: the detection paired with the track opens its own only
    # if there is an id for both.
    settings = {
        "candidates_method": "local_queues",
        "scoring_method": "euclidean_dist",
        "missing_nodes": "reference",
        "max_tracks": max_tracks,
    }
    frame = link([[0], [pose(1, visible=3), pose(40, visible=3)]], **settings)[1]
    assert {(id, score) for _, id, score in frame} == expected


def test_bounding_boxes():
    frames = link([[0], [1]], features="bboxes", scoring_method="iou")
    assert frames[1][0][2] == pytest.approx(110 / 132)


NOWHERE = np.full((4, 2), NAN)
FLAT = np.array([[0, 0], [10, 0], [20, 0], [30, 0]], dtype=float)  # its box has no area


@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
@pytest.mark.parametrize("matching", ["hungarian", "greedy"])
@pytest.mark.parametrize(
    ("step", "shape"), [(300, SQUARE), (1, FLAT)], ids=["far from the last pose", "no area"]
)
def test_the_nearest_goes_on_where_every_oks_is_zero(method, matching, step, shape):
    frames = [
        [shape + np.array([step * t, 900 * a]) for a in ((0, 1), (1, 0))[t % 2]] for t in range(4)
    ]
    settings = {"candidates_method": method, "track_matching_method": matching}
    linked = link(frames, **settings)
    assert [[score for *_, score in frame] for frame in linked[1:]] == [[0, 0]] * 3
    tracks = [sorted(id for _, id, _ in frame) for frame in linked]
    assert tracks == [[0, 1]] * 4
    assert [frame[0][1] for frame in linked] == [0, 1, 0, 1]


def test_the_order_of_the_list_decides_where_that_is_asked_for():
    frames = [[0, 900], [1200, 300]]
    assert ids(frames, undecided="reference") == [{0: 0, 900: 1}, {1200: 0, 300: 1}]
    assert ids(frames) == [{0: 0, 900: 1}, {1200: 1, 300: 0}]


def linker_after(frames, **settings):
    """Return the linker, and the ids of the last frame by x."""
    points = [pose(x) if np.isscalar(x) else x for frame in frames for x in frame]
    frame = [number for number, xs in enumerate(frames) for _ in xs]
    poses = make_poses(Skeleton(("a", "b", "c", "d")), points, frame=frame)
    linker = Linker(poses, TrackerConfig(**settings))
    for number in range(len(frames)):
        rows, found, _ = linker.link(number, np.flatnonzero(poses.frame == number))
    return linker, dict(zip(poses.points[rows, 0, 0].tolist(), found.tolist(), strict=True))


def test_a_detection_as_near_to_two_tracks_opens_its_own():
    linker, last = linker_after([[0, 200], [100]])
    assert last == {100: 2}
    assert (linker.doubts, linker.parted) == (0, 1)


def test_two_detections_as_near_to_one_track_open_their_own():
    linker, last = linker_after([[100], [0, 200]])
    assert last == {0: 1, 200: 2}
    assert (linker.doubts, linker.parted) == (0, 1)


def test_where_no_track_is_left_the_nearest_are_linked_and_the_doubt_is_counted():
    linker, last = linker_after([[0, 200], [100]], candidates_method="local_queues", max_tracks=2)
    assert set(last) == {100}
    assert (linker.doubts, linker.parted) == (1, 0)


def test_the_same_pose_twice_is_no_doubt():
    linker, last = linker_after([[0], [1, 1]])
    assert last == {1: 1}  # of the second one; the first goes on with track 0
    assert (linker.doubts, linker.parted) == (0, 0)


def test_doubts_of_the_reference_are_counted():
    linker, _ = linker_after([[0, 900], [1200, 300]], undecided="reference")
    assert linker.doubts == 2
    assert linker_after([[0, 900], [1, 901]], undecided="reference")[0].doubts == 0


@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
def test_a_pose_without_a_visible_node_is_nobodys(method):
    limited = {"candidates_method": method} | (
        {"max_tracks": 2} if method != "fixed_window" else {}
    )
    linked = link([[0, 900], [NOWHERE, 300]], **limited)
    assert [id for _, id, _ in linked[1]] == [0]


def test_without_shared_nodes_the_nearest_centroids_are_linked_when_no_track_is_left():
    front, back = pose(0, visible=2), pose(1)
    back[:2] = NAN
    far_back = back + np.array([500, 0])
    linked = link(
        [[front, pose(500, visible=2)], [far_back, back]],
        scoring_method="euclidean_dist",
        candidates_method="local_queues",
        max_tracks=2,
    )
    assert [(id, score) for _, id, score in linked[1]] == [(1, -np.inf), (0, -np.inf)]
