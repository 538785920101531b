import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.check_tracker import check_tracker
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import track
from sleap_lab.tracking.absence import AbsenceLinker, _free, detection_scores, shifts, typical_area
from sleap_lab.tracking.similarity import scoring

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
    linker = AbsenceLinker(poses, check_tracker(TrackerConfig(**{"method": "ocsort", **options})))
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


# --- step by step -----------------------------------------------------------------------

PLACE, SPEED = BODY / 20, BODY / 160
"""Noise of a step: a twentieth of a body, and a 160th per frame."""
MIDDLE = np.array([5.0, 5.0])
"""Centroid of the square at (0, 0)."""
DOWN, RIGHT = np.add(SQUARE, [0, 2]), np.add(SQUARE, [2, 0])


def filtered(places, follow=True):
    """Mean and covariance of a filter that saw an animal at places, one per frame; nan for none.

    After an absence it runs again along the straight way, if it follows.
    """
    step = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1.0]])
    process = np.diag([PLACE, SPEED, PLACE, SPEED]) ** 2
    seen = np.array([[1, 0, 0, 0], [0, 0, 1.0, 0]])

    def one(mean, covariance, place=None):
        mean, covariance = step @ mean, step @ covariance @ step.T + process
        if place is None:
            return mean, covariance
        gain = (
            covariance @ seen.T @ np.linalg.inv(seen @ covariance @ seen.T + PLACE**2 * np.eye(2))
        )
        mean = mean + gain @ (place - seen @ mean)
        return mean, (np.eye(4) - gain @ seen) @ covariance

    mean = np.array([places[0][0], 0, places[0][1], 0])
    covariance = np.diag([2 * PLACE, BODY / 16, 2 * PLACE, BODY / 16]) ** 2
    last, since, before = np.array(places[0]), 0, (mean, covariance)
    for place in places[1:]:
        since += 1
        if place is None:
            mean, covariance = one(mean, covariance)
            continue
        place = np.array(place)
        if since > 1 and follow:
            mean, covariance = before
            for t in range(1, since):
                mean, covariance = one(mean, covariance, last + (place - last) * t / since)
        mean, covariance = one(mean, covariance, place)
        last, since, before = place, 0, (mean, covariance)
    return mean, covariance


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gap", [0, 1, 3])
def test_the_filter_of_a_track_is_that_of_its_places(method, gap):
    frames = [[(0, 0)], [(2, 1)], [(3, 3)], *[[]] * gap, [(9, 6)], [(10, 8)]]
    linker = linker_after(frames, method=method)
    assert linker.opened == 1
    places = [None if not frame else MIDDLE + frame[0] for frame in frames]
    mean, covariance = filtered(places, follow=method == "ocsort")
    own = linker.tracks
    np.testing.assert_allclose(own.mean[0], mean)
    np.testing.assert_allclose(own.covariance[0], covariance)
    np.testing.assert_allclose(own.seen_mean[0], mean)
    np.testing.assert_allclose(own.seen_covariance[0], covariance)
    assert (own.row.tolist(), own.unseen.tolist(), own.id.tolist()) == ([4], [0], [0])
    # The last places, as many steps as momentum is measured over.
    expected = [MIDDLE + at for at in ((0, 0), (2, 1), (3, 3), (9, 6), (10, 8))]
    np.testing.assert_allclose(own.way[0], expected[-1 - linker.config.momentum_span :])


def test_a_track_that_is_away_is_where_its_speed_leads():
    linker = linker_after([[0], [2], [4], [], []])
    mean, covariance = filtered([(5, 5), (7, 5), (9, 5), None, None])
    np.testing.assert_allclose(linker.tracks.mean[0], mean)
    np.testing.assert_allclose(linker.tracks.covariance[0], covariance)
    assert linker.tracks.unseen.tolist() == [2]
    assert not np.allclose(linker.tracks.seen_mean[0], mean)


def test_new_tracks_have_a_place_and_no_speed():
    linker = linker_after([[0, 40], []], momentum_span=2)
    new = linker._new(np.array([1, 0]))
    assert new.id.tolist() == [2, 3]
    assert linker.opened == 4
    assert new.row.tolist() == [1, 0]
    assert new.unseen.tolist() == [0, 0]
    np.testing.assert_allclose(new.mean, [[45, 0, 5, 0], [5, 0, 5, 0]])
    np.testing.assert_allclose(new.seen_mean, new.mean)
    spread = np.diag([2 * PLACE, BODY / 16, 2 * PLACE, BODY / 16]) ** 2
    np.testing.assert_allclose(new.covariance, [spread, spread])
    np.testing.assert_allclose(new.seen_covariance, [spread, spread])
    assert new.way.shape == (2, 3, 2)
    assert np.isnan(new.way[:, :2]).all()
    assert new.way[:, 2].tolist() == [[45, 5], [5, 5]]
    both = (new + linker.tracks)[np.array([True, False, True, False])]
    assert both.id.tolist() == [2, 0]
    assert both.way[:, -1].tolist() == [[45, 5], [5, 5]]


@pytest.mark.parametrize(("stddev", "spread"), [(None, 0.1), (0.05, 0.05)])
def test_oks_of_a_detection_and_an_expected_pose(stddev, spread):
    linker = linker_after([[0, (3, 4)]], scoring_method="oks", oks_stddev=stddev)
    expected = np.array([SQUARE, DOWN, np.full((4, 2), NAN)])
    found = linker._similarity(np.array([0, 1]), expected)
    # exp(-d² / (2 · area · (2 · stddev)²)) for all nodes alike, with the usual area of 100 px²
    by_hand = [
        [np.exp(-(d**2) / (2 * 100 * (2 * spread) ** 2)) for d in row]
        for row in ((0, 2), (5, np.hypot(3, 2)))
    ]
    np.testing.assert_allclose(found[:, :2], by_hand, rtol=1e-6)
    assert found[:, 2].tolist() == [0, 0]


def test_overlap_of_a_detection_and_an_expected_pose():
    linker = linker_after([[0, 5]], scoring_method="iou")
    found = linker._similarity(np.array([0, 1]), np.array([SQUARE, RIGHT]))
    # Boxes are 11 px wide, from the first to the last pixel.
    np.testing.assert_allclose(found, [[1, 9 / 13], [6 / 16, 8 / 14]])


def test_scores_of_links_are_similarities_and_of_openings_one():
    poses = poses_of([[0], [1, 90]])
    config = TrackerConfig(method="bytetrack", scoring_method="iou")
    linker = AbsenceLinker(poses, check_tracker(config))
    assert [part.tolist() for part in linker.link(0, np.array([0]))] == [[0], [0], [1]]
    rows, ids, scores = linker.link(1, np.array([2, 1]))
    assert (rows.tolist(), ids.tolist()) == ([2, 1], [1, 0])
    assert scores == pytest.approx([1, 10 / 12])


def free_of(**options):
    """The linker of one track at 0 and detections 1, 2, … px away, and what `_stage` is given."""
    poses = poses_of([[0], [1, 4]])
    linker = AbsenceLinker(
        poses, check_tracker(TrackerConfig(**{"method": "bytetrack", **options}))
    )
    linker.link(0, np.array([0]))
    return linker, np.array([1, 2]), np.full(2, -1), np.zeros(2)


def test_a_link_needs_as_much_similarity_as_is_asked_for():
    overlap = 10 / 12
    for least, linked in ((overlap - 1e-6, [0, -1]), (overlap + 1e-6, [-1, -1])):
        linker, rows, of, scores = free_of(scoring_method="iou")
        places = linker.points[linker.tracks.row]
        all_of = np.ones(2, dtype=bool)
        linker._stage(rows, of, scores, all_of, np.ones(1, dtype=bool), places, least)
        assert of.tolist() == linked
        assert scores == pytest.approx([overlap * (linked[0] == 0), 0])
    # Those that take no part, on either side, are not linked.
    for wanted, offered, linked in (
        ([False, True], [True], [-1, 0]),
        ([True, True], [False], [-1, -1]),
        ([False, False], [True], [-1, -1]),
    ):
        linker, rows, of, scores = free_of(scoring_method="iou")
        places = linker.points[linker.tracks.row]
        linker._stage(rows, of, scores, np.array(wanted), np.array(offered), places, 0.1)
        assert of.tolist() == linked


def test_what_is_linked_is_free_no_more():
    of, wanted = np.array([-1, 2, -1, -1]), np.array([True, True, False, True])
    which, tracks = _free(of, wanted, np.array([True, False, True, True]))
    assert (which.tolist(), tracks.tolist()) == ([0, 3], [0, 3])


def test_the_nearest_goes_on_as_far_as_three_bodies():
    # From where it is expected or was seen last, whichever is nearer.
    for x, linked in ((3 * BODY - 0.1, 0), (3 * BODY + 0.1, -1)):
        linker = linker_after([[0], [x], []])
        linker.tracks = linker._new(np.array([0]))
        last = linker.points[[0]]
        for moved, seen in ((last, last + 900), (last + 900, last)):
            of = np.full(1, -1)
            linker._nearest(np.array([1]), of, np.array([True]), moved, seen)
            assert of.tolist() == [linked]
        of = np.full(1, -1)
        linker._nearest(np.array([1]), of, np.array([False]), last, last)
        assert of.tolist() == [-1]


def test_once_all_animals_are_known_the_nearest_goes_on_from_anywhere():
    frames = [[0, 100], [0, 100], [0, 400]]
    assert tracks(frames, "bytetrack", max_tracks=2)[-1] == {0: 0, 400: 1}
    assert tracks(frames, "bytetrack", max_tracks=3)[-1] == {0: 0, 400: 2}


def test_a_frame_with_more_than_can_be_opened_opens_the_first():
    linker = linker_after([[0, 100, 200]], max_tracks=2)
    assert linker.opened == 2
    assert linker.tracks.row.tolist() == [0, 1]
    linker = linker_after([[0, 100], [0, 100, 200]], max_tracks=2)
    assert linker.opened == 2


def test_a_new_track_needs_enough_nodes_and_a_score():
    poses = poses_of([[0, (100, 0, 0.5), (200, 0, 0.9), 300]])
    poses.points[3, 1:] = NAN
    config = TrackerConfig(method="bytetrack", new_track_threshold=0.9, min_new_track_points=1)
    linker = AbsenceLinker(poses, config)
    assert linker.may_open.tolist() == [True, False, True, False]
    config = TrackerConfig(method="bytetrack", track_high_threshold=0.9, track_low_threshold=0.5)
    linker = AbsenceLinker(poses, config)
    assert linker.sure.tolist() == [True, False, True, True]
    assert linker.unsure.tolist() == [False, False, False, False]
    config = TrackerConfig(method="bytetrack", track_high_threshold=0.9, track_low_threshold=0.4)
    assert AbsenceLinker(poses, config).unsure.tolist() == [False, True, False, False]


def test_unsure_detections_go_on_only_with_tracks_seen_in_the_frame_before():
    assert tracks([[0], [0], [(1, 0, 0.3)]], "bytetrack")[-1] == {1: 0}
    assert tracks([[0], [], [(1, 0, 0.3)]], "bytetrack")[-1] == {}


def test_directions_are_measured_over_the_last_steps():
    # Right for two steps, then up for three: over three steps it goes up, over five up and right.
    frames = [[(0, 0)], [(8, 0)], [(16, 0)], [(16, 8)], [(16, 16)], [(16, 24)]]
    poses = poses_of([[(16, 32), (24, 24)]])
    for span, angle in ((3, np.pi / 2), (5, np.arctan2(24, 16))):
        linker = linker_after(frames, momentum=0.3, momentum_span=span)
        linker.points = np.concatenate([linker.points, poses.points])
        linker.scores = np.array([1.0] * 6 + [0.5, 1.0])
        kept = linker._momentum(np.array([6, 7]), np.array([0]))[:, 0]
        up, right = 0.5 - (np.pi / 2 - angle) / np.pi, 0.5 - angle / np.pi
        np.testing.assert_allclose(kept, [0.3 * 0.5 * up, 0.3 * right])


def test_turning_round_counts_against_a_link():
    linker = linker_after([[0], [-5], [-10]], momentum=0.2)
    poses = poses_of([[0, (-10, 0), (-10, 0.5)]])
    linker.points, linker.scores = np.concatenate([linker.points, poses.points]), np.ones(6)
    kept = linker._momentum(np.array([3, 4, 5]), np.array([0]))[:, 0]
    # Back by 10 px: 0.2 · -1/2. No further than the noise of a place, a twentieth of a body: 0.
    np.testing.assert_allclose(kept, [-0.1, 0, 0], atol=1e-12)
    # Angles wrap: from 170 degrees to -170 it is 20.
    linker = linker_after([[(0, 0)], [(-5, 0.8816)]], momentum=0.2)
    poses = poses_of([[(-10, 0)]])
    linker.points, linker.scores = np.concatenate([linker.points, poses.points]), np.ones(3)
    turn = 2 * np.arctan2(0.8816, 5)
    kept = linker._momentum(np.array([2]), np.array([0]))
    np.testing.assert_allclose(kept, [[0.2 * (0.5 - turn / np.pi)]], rtol=1e-4)


def test_the_direction_decides_between_two_that_are_as_similar():
    # A track that moves right at 10; 13 and 7 are as near to where it is looked for.
    for observing, linked in ((True, [0, -1]), (False, [-1, -1])):
        linker = linker_after([[0], [5], [10]], scoring_method="oks")
        poses = poses_of([[13, 7]])
        linker.points = np.concatenate([linker.points, poses.points])
        linker.scores = np.ones(5)
        linker.score = scoring(linker.config, np.tile([100.0, 4], (5, 1)))
        of, every = np.full(2, -1), np.ones(2, dtype=bool)
        places = linker.points[linker.tracks.row]
        linker._stage(np.array([3, 4]), of, np.zeros(2), every, every[:1], places, 0.1, observing)
        assert of.tolist() == linked
        assert linker.parted == (0 if observing else 1)


def test_distances_weigh_little_where_poses_are_similar():
    # Tracks at 0 and 9, detections at 1 and -8: crossed links are 8 px each, the others 1 and 17.
    # But the OKS of 1 px is 0.88, which outweighs 2 px in bodies of 14 px by far.
    linker = linker_after([[0, 9]], scoring_method="oks")
    poses = poses_of([[1, -8]])
    linker.points = np.concatenate([linker.points, poses.points])
    linker.scores = np.ones(4)
    linker.score = scoring(linker.config, np.tile([100.0, 4], (4, 1)))
    of, scores, every = np.full(2, -1), np.zeros(2), np.ones(2, dtype=bool)
    linker._stage(np.array([2, 3]), of, scores, every, every, linker.points[:2], 0.0)
    assert of.tolist() == [0, 1]
    assert scores == pytest.approx([np.exp(-1 / 8), 0])


def test_where_no_node_has_a_score_no_detection_has_one():
    poses = make_poses(SKELETON, [SQUARE] * 3, point_scores=np.zeros((3, 4)))
    assert detection_scores(poses).tolist() == [0, 0, 0]
