import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sleap_lab.errors import RunError
from sleap_lab.evaluation.match import (
    compared_at_once,
    greedy,
    labelled_frames,
    match_frames,
    on_ignored,
    pair_frames,
)
from sleap_lab.poses.record import Skeleton, make_poses

POINT = Skeleton(("a",))


def record(places, **columns):
    """One one-node instance per (video, frame) in `places`."""
    video, frame = zip(*places, strict=True) if places else ((), ())
    return make_poses(
        POINT, [[[10.0 * i, 0]] for i in range(len(places))], video=video, frame=frame, **columns
    )


def pairs_of(truth, poses, videos=None, user_labels_only=False):
    pairs = pair_frames(truth, poses, videos or {0: 0}, user_labels_only=user_labels_only)
    return [
        (p.truth_video, p.pose_video, p.frame, p.truth_rows.tolist(), p.pose_rows.tolist())
        for p in pairs
    ]


@pytest.mark.parametrize(
    ("similarity", "scores", "threshold", "expected"),
    [
        # truth at 0 and 20; predictions at 9 (score .9) and 0 (score .5): greedy, not optimal
        ([[0.1979, 1.0], [0.05, 0.0003]], [0.9, 0.5], 0, [(0, 0), (1, 1)]),
        (
            [[0.1979, 1.0], [0.05, 0.0003]],
            [0.5, 0.9],
            0,
            [(0, 1), (1, 0)],
        ),  # the better scored one chooses first
        ([[0.6], [0.6]], [1], 0, [(0, 0)]),  # the first of equals
        ([[0.6, 0.6]], [1, 1], 0, [(0, 0)]),  # equal scores keep their order
        ([[0.6, 0.6]], [np.nan, 0.1], 0, [(0, 1)]),  # a score of nan comes last
        (
            [[0.6, 0.4]],
            [1, 2],
            0.5,
            [(0, 0)],
        ),  # a prediction without a match leaves the truth to the next
        ([[0.6]], [1], 0.6, []),  # the threshold must be exceeded
        ([[0.0]], [1], 0, []),  # so that 0 discards exact zeros only
        ([[np.nan], [0.2]], [1], 0, [(1, 0)]),  # nan never matches
        (np.zeros((2, 0)), [], 0, []),  # no prediction
    ],
)
def test_greedy(similarity, scores, threshold, expected):
    rows, columns = greedy(
        np.array(similarity, dtype=float), np.array(scores, dtype=float), threshold
    )
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


tables = arrays(
    np.float64,
    st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda s: s[0] > 0),
    elements=st.floats(0, 1),
)


@settings(deadline=None)
@given(tables, st.floats(0, 0.9), st.randoms())
def test_greedy_is_one_to_one_and_leaves_no_possible_match(table, threshold, random):
    scores = np.array([random.random() for _ in range(table.shape[1])])
    rows, columns = greedy(table, scores, threshold)
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert (table[rows, columns] > threshold).all()
    left_over = np.delete(np.delete(table, rows, axis=0), columns, axis=1)
    assert (left_over <= threshold).all()


def test_frames_are_paired_by_index_in_the_order_of_the_truth():
    truth = record([(0, 7), (0, 2), (0, 5)])
    poses = record([(0, 2), (0, 7), (0, 9), (0, 2)])
    assert pairs_of(truth, poses) == [(0, 0, 7, [0], [1]), (0, 0, 2, [1], [0, 3])]


def test_pairs_come_in_the_order_of_the_predicted_videos():
    truth = record([(0, 1), (1, 1)])
    poses = record([(0, 1), (1, 1)])
    assert pairs_of(truth, poses, {1: 0, 0: 1}) == [(1, 0, 1, [1], [0]), (0, 1, 1, [0], [1])]


def test_an_absent_predicted_frame_is_no_pair_but_an_empty_one_is():
    truth = record([(0, 0), (0, 1), (0, 2)])
    poses = record([(0, 0)], frames=[(0, 0), (0, 2)])
    assert [(frame, pose_rows) for *_, frame, _, pose_rows in pairs_of(truth, poses)] == [
        (0, [0]),
        (2, []),
    ]


def test_only_human_labels_count_if_asked_for_and_frames_without_them_are_left_out():
    truth = record([(0, 0), (0, 0), (0, 1)], user=[True, False, False])
    poses = record([(0, 0), (0, 1)])
    assert pairs_of(truth, poses, user_labels_only=True) == [(0, 0, 0, [0], [0])]
    assert pairs_of(truth, poses, user_labels_only=False) == [
        (0, 0, 0, [0, 1], [0]),
        (0, 0, 1, [2], [1]),
    ]
    (pair,) = pair_frames(truth, poses, {0: 0}, user_labels_only=True)
    assert pair.all_truth_rows.tolist() == [0, 1]


@pytest.mark.parametrize(("user_labels_only", "expected"), [(True, [1]), (False, [0, 1])])
def test_true_frames_without_instances_count_where_all_instances_do(user_labels_only, expected):
    truth = record([(0, 1)], frames=[(0, 0), (0, 1)], user=True)
    found = pairs_of(truth, record([(0, 0), (0, 1)]), user_labels_only=user_labels_only)
    assert [frame for *_, frame, _, _ in found] == expected


def test_human_labels_and_instances_without_nodes_are_not_predictions():
    poses = make_poses(POINT, [[[0, 0]], [[np.nan, np.nan]], [[5, 0]]], user=[True, False, False])
    (pair,) = pair_frames(record([(0, 0)]), poses, {0: 0}, user_labels_only=False)
    assert pair.pose_rows.tolist() == [2]
    assert pair.all_pose_rows.tolist() == [0, 1, 2]


def test_no_common_frame_says_what_each_side_holds():
    truth, poses = record([(0, 3), (0, 8)]), record([(1, 5)])
    with pytest.raises(RunError, match="no frame in common") as error:
        pair_frames(truth, poses, {1: 0}, user_labels_only=False, video_names=["a.mp4"])
    assert "video 0 (a.mp4) with 2 frames from 3 to 8" in str(error.value)
    assert "video 1 with 1 frame from 5 to 5" in str(error.value)
    assert "1 = 0" in str(error.value)
    assert str(error.value).endswith("as in 'evaluator.video_map={0:0}'")


def test_no_human_label_at_all_names_the_setting():
    truth = record([(0, 0)])
    with pytest.raises(RunError, match="user_labels_only=false"):
        pair_frames(truth, truth, {0: 0}, user_labels_only=True)


def test_human_labels_on_other_frames_are_no_reason_to_count_all_instances():
    truth, poses = record([(0, 3)], user=[True]), record([(0, 5)])
    with pytest.raises(RunError, match="no frame in common"):
        pair_frames(truth, poses, {0: 0}, user_labels_only=True)


def test_what_is_left_over_is_missed_or_extra():
    truth, poses = record([(0, 0), (0, 0), (0, 1)]), record([(0, 0), (0, 1), (0, 1)])
    pairs = pair_frames(truth, poses, {0: 0}, user_labels_only=False)
    tables = {0: np.array([[0.0], [0.7]]), 1: np.array([[0.2, 0.9]])}
    matches = match_frames(
        pairs,
        lambda truth_rows, pose_rows: tables[int(truth.frame[truth_rows[0]])],
        lambda pair, table: greedy(table, poses.instance_scores[pair.pose_rows], 0.5),
    )
    assert matches.truth_rows.tolist() == [1, 2]
    assert matches.pose_rows.tolist() == [0, 2]
    assert matches.scores.tolist() == [0.7, 0.9]
    assert matches.false_negatives.tolist() == [0]
    assert matches.false_positives.tolist() == [1]


def test_scores_that_are_made_at_once_are_those_of_each_frame():
    # Two predicted videos are the same true one; a person placed one of the two predictions of
    # frame 1.
    truth = make_poses(POINT, [[[1, 0]], [[2, 0]], [[3, 0]], [[4, 0]]], frame=[0, 0, 1, 2])
    poses = make_poses(
        POINT,
        [[[10, 0]], [[20, 0]], [[30, 0]], [[40, 0]]],
        video=[0, 1, 1, 1],
        frame=[0, 0, 1, 1],
        user=[0, 0, 0, 1],
    )
    pairs = labelled_frames(truth, poses, {0: 0, 1: 0}, user_labels_only=False)
    calls = []

    def score(truth_rows, pose_rows):
        calls.append(len(truth_rows))
        return truth.points[truth_rows, 0, 0] + poses.points[pose_rows, 0, 0]

    look_up = compared_at_once([*pairs, *pairs], score, len(truth), len(poses))
    assert calls == [2 * 1 + 2 * 1 + 1 * 2]
    expected = {
        (0, 0): [[11], [12]],
        (0, 1): [[]],
        (0, 2): [[]],
        (1, 0): [[21], [22]],
        (1, 1): [[33, 43]],
        (1, 2): [[]],
    }
    assert {
        (pair.pose_video, pair.frame): look_up(pair.all_truth_rows, pair.all_pose_rows).tolist()
        for pair in pairs
    } == expected
    assert look_up(np.array([1]), np.array([1])).tolist() == [[22]]
    assert calls == [6]


def test_a_prediction_on_what_does_not_count_is_left_out_unless_it_is_needed():
    counted = np.array([[0.9, 0.6, 0.2, 0.1]])
    ignored = np.array([[0.0, 0.7, 0.8, 0.4], [0.9, 0.0, 0.0, 0.1]])
    # The first is needed for the one that counts, though it lies on an ignored one, too; the last
    # lies on none.
    assert on_ignored(counted, ignored).tolist() == [False, True, True, False]
    assert on_ignored(counted, ignored[:0]).tolist() == [False] * 4
    assert on_ignored(counted[:0], ignored).tolist() == [True, True, True, False]


def test_frames_that_a_person_emptied_are_pairs_where_that_is_asked_for():
    truth = record([(0, 1)], frames=[(0, 0), (0, 1)], user=True)
    poses = record([(0, 0), (0, 1)])
    pairs = pair_frames(truth, poses, {0: 0}, user_labels_only=True, emptied=True)
    assert [(pair.frame, len(pair.truth_rows), len(pair.pose_rows)) for pair in pairs] == [
        (0, 0, 1),
        (1, 1, 1),
    ]
