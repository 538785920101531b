"""Identity metrics on drawn sequences.

A sequence has one line per animal and one character per frame: its track, `.` absent, `?` without a
track.
"""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.evaluation.identity import _misses_note, score_identity
from sleap_lab.evaluation.identity_counts import _trackeval_data, combine_identity, count_identity
from sleap_lab.evaluation.match import SIMILARITY_THRESHOLD, pair_frames
from sleap_lab.evaluation.oks import oks
from sleap_lab.evaluation.sequences import Neighbour, TrackSequence, tracks_once_per_frame
from sleap_lab.evaluation.switches import Switch, identity_switches
from sleap_lab.poses.record import Skeleton, concatenate, make_poses

SKELETON = Skeleton(("a", "b"))


def draw(*animals, frames=None, video=0, names="ABC123456", user=False, scores=None):
    """Animals far from each other, the one of the first line at the same place in every drawing."""
    frames = frames or range(len(animals[0]))
    cells = [
        (frame, i, character)
        for t, frame in enumerate(frames)
        for i, character in enumerate(line[t] for line in animals)
        if character != "."
    ]
    return make_poses(
        SKELETON,
        [[[1000 * i, 0], [1000 * i + 10, 10]] for _, i, _ in cells],
        video=video,
        frame=[frame for frame, _, _ in cells],
        tracks=[names.find(character) for _, _, character in cells],
        instance_scores=np.nan
        if user
        else 1.0
        if scores is None
        else [scores[i] for _, i, _ in cells],
        track_names=tuple(names),
        frames=[(video, frame) for frame in frames],
        user=user,
    )


def score(truth, poses, videos=None, user_labels_only=False):
    pairs = pair_frames(truth, poses, videos or {0: 0}, user_labels_only=user_labels_only)
    return score_identity(truth, poses, pairs, lambda a, b: oks(truth.points[a], poses.points[b]))


def assert_metrics(result, **expected):
    assert {name: result.metrics[name] for name in expected} == pytest.approx(expected)


def test_no_confusion():
    result = score(draw("AAAAA", "BBBBB"), draw("11111", "22222"))
    ones = dict.fromkeys(("hota", "deta", "assa", "idf1", "idp", "idr", "mota", "motp"), 1)
    zeros = dict.fromkeys(("switches", "fragmentations", "misses", "false_positives"), 0)
    assert_metrics(result, **ones, **zeros)
    assert set(result.metrics) == {*ones, *zeros}
    assert result.switches == ()
    assert result.notes == ()


def test_two_animals_exchange_their_tracks():
    result = score(draw("AAAAA", "BBBBB"), draw("11122", "22211"))
    # Each animal: 3 frames with one track (3 / (5 + 5 - 3) in common), 2 with the other
    # (2 / (5 + 5 - 2)).
    assa = (2 * 3 * 3 / 7 + 2 * 2 * 2 / 8) / 10
    assert_metrics(
        result, deta=1, assa=assa, hota=assa**0.5, idf1=6 / 10, mota=1 - 2 / 10, switches=2
    )
    assert result.switches == (
        Switch(0, 0, 3, "A", "1", "2", "B", 1000),
        Switch(0, 0, 3, "B", "2", "1", "A", 1000),
    )


def test_a_track_that_breaks():
    result = score(draw("AAAAA", "BBBBB"), draw("11133", "22222"))
    # A: 3 of 5 frames with a track of 3, 2 of 5 with a track of 2; B: all 5.
    assa = (3 * 3 / 5 + 2 * 2 / 5 + 5 * 5 / 5) / 10
    assert_metrics(result, assa=assa, idf1=8 / 10, mota=1 - 1 / 10, switches=1, fragmentations=0)
    assert result.switches == (Switch(0, 0, 3, "A", "1", "3", "B", 1000),)


def test_a_missed_detection():
    result = score(draw("AAAAA", "BBBBB"), draw("11.11", "22222"))
    assert_metrics(
        result,
        mota=1 - 1 / 10,
        idr=9 / 10,
        idp=1,
        idf1=9 / (9 + 1 / 2),
        deta=9 / 10,
        fragmentations=1,
        misses=1,
        switches=0,
    )


def test_a_switch_across_a_gap():
    result = score(draw("AAAAA", "BBBBB"), draw("11.33", "22222"))
    assert_metrics(result, mota=1 - (1 + 1) / 10, switches=1, misses=1)
    assert result.switches == (Switch(0, 0, 3, "A", "1", "3", "B", 1000),)


def test_a_false_detection():
    result = score(draw("AAAAA", "BBBBB"), draw("11111", "22222", "333.."))
    assert_metrics(result, mota=1 - 3 / 10, idp=10 / 13, idr=1, deta=10 / 13, false_positives=3)


def test_videos_are_pooled_by_their_counts():
    truth = concatenate([draw("AAAAA", "BBBBB"), draw("CCCC", video=1)])
    poses = concatenate([draw("11122", "22211"), draw("3333", video=1)])
    result = score(truth, poses, {0: 0, 1: 1})
    assert_metrics(result, mota=1 - 2 / 14, idf1=(6 + 4) / 14)
    (first, by_first), (second, by_second) = result.by_video
    assert (first, by_first["mota"], by_first["idf1"], by_first["switches"]) == (
        0,
        pytest.approx(1 - 2 / 10),
        6 / 10,
        2,
    )
    assert (second, by_second["mota"], by_second["idf1"], by_second["switches"]) == (1, 1, 1, 0)
    assert combine_identity(result.counts) == result.metrics
    assert combine_identity([result.counts[0], *[result.counts[1]] * 2])["idf1"] == (6 + 2 * 4) / (
        10 + 2 * 4
    )


def test_five_planted_swaps_are_five_switches_at_their_frames():
    # the track of A changes at frames 2, 4, 7, 8 and 11; B goes on
    result = score(draw("A" * 13, "B" * 13), draw("1133444133311", "2" * 13))
    assert [
        (switch.frame, switch.truth_track, switch.from_track + switch.to_track)
        for switch in result.switches
    ] == [
        (2, "A", "13"),
        (4, "A", "34"),
        (7, "A", "41"),
        (8, "A", "13"),
        (11, "A", "31"),
    ]


def test_switches_tell_who_was_nearest():
    # Only animals of the same frame count: A is alone at frame 1, C is 2000 px away at frame 2, and
    # has no track at frame 3.
    truth = draw("AAAA", "B...", "C.C?")
    switches = score(truth, draw("1231", "4...", "5.56"[:4])).switches
    assert [switch[:6] for switch in switches] == [
        (0, 0, 1, "A", "1", "2"),
        (0, 0, 2, "A", "2", "3"),
        (0, 0, 3, "A", "3", "1"),
    ]
    assert np.isnan(switches[0].nearest_distance)
    assert [(switch.nearest_track, switch.nearest_distance) for switch in switches[1:]] == [
        ("C", 2000),
        ("", 2000),
    ]


def test_switches_name_the_video_of_the_truth():
    truth = concatenate([draw("AAAA"), draw("AAAA", "BBBB", video=1)])
    result = score(truth, draw("1122"), {0: 1})
    assert result.switches == (Switch(1, 0, 2, "A", "1", "2", "B", 1000),)


def test_frames_count_in_time_however_they_are_listed():
    truth = draw("AAAA", frames=[3, 1, 0, 2])
    result = score(truth, draw("1122"))
    assert [switch[:6] for switch in result.switches] == [(0, 0, 2, "A", "1", "2")]


@pytest.mark.parametrize(
    ("truth", "poses", "reason"),
    [
        (draw("????"), draw("1111"), "the ground truth has no tracks"),
        (draw("AAAA"), draw("????"), "the predictions have no tracks"),
        (draw("AAAA", frames=[0, 10, 20, 30]), draw("1" * 31), "sparse labels"),
        (draw("ABAB"), draw("1111"), "sparse labels"),  # never the same animal twice in a row
    ],
)
def test_left_out_where_it_would_mean_nothing(truth, poses, reason):
    result = score(truth, poses)
    assert result.metrics is None
    assert result.switches == ()
    assert len(result.notes) == 1
    assert reason in result.notes[0]


def test_a_sparse_video_is_left_out_beside_a_dense_one():
    truth = concatenate([draw("AAAA"), draw("BBB", frames=[0, 5, 9], video=1)])
    poses = concatenate([draw("1111"), draw("2.2", frames=[0, 5, 9], video=1)])
    result = score(truth, poses, {0: 0, 1: 1})
    assert_metrics(result, mota=1)
    assert "1 of 2 videos left out" in result.notes[0]


def test_true_instances_without_a_track_count_neither_way():
    result = score(draw("AAAA", "?B??"), draw("1111", "2222"))
    assert_metrics(result, mota=1, false_positives=0, misses=0)
    assert "3 true instances have no track" in result.notes[0]


def test_true_instances_that_nobody_labelled_count_neither_way():
    truth = concatenate([draw("AAAA", user=True), draw("....", "BBBB")])
    assert_metrics(
        score(truth, draw("1111", "2222"), user_labels_only=True), mota=1, false_positives=0
    )
    assert_metrics(score(truth, draw("1111", "...."), user_labels_only=True), mota=1, misses=0)
    assert_metrics(score(truth, draw("1111", "...."), user_labels_only=False), mota=1 - 4 / 8)


def test_a_copy_without_a_track_does_not_take_the_prediction_of_the_tracked_instance():
    truth = concatenate([draw("AAAA", user=True), draw("AAAA")])
    assert_metrics(score(truth, draw("1111"), user_labels_only=True), mota=1, misses=0)
    assert_metrics(score(truth, draw("1111"), user_labels_only=False), mota=1, misses=0)


def test_predictions_without_a_track_count_as_not_predicted():
    result = score(draw("AAAA", "BBBB"), draw("1111", "22??"))
    assert_metrics(result, mota=1 - 2 / 8, misses=2, false_positives=0)
    assert "2 predicted instances have no track" in result.notes[0]


def test_retracked_human_labels_count_as_predictions():
    assert_metrics(score(draw("AAAA"), draw("1111", user=True)), mota=1)


def test_a_frame_keeps_each_track_once_for_its_best_instance():
    poses = draw("1111", "11.1", "????", scores=[0.5, 0.9, 0.7])
    assert tracks_once_per_frame(poses).tolist() == [-1, 3, -1, -1, 3, -1, 3, -1, -1, 3, -1]
    both = concatenate([poses, draw("1...", user=True)])
    assert tracks_once_per_frame(both)[[0, 1, -1]].tolist() == [
        -1,
        -1,
        3,
    ]  # a human label goes first


def test_says_when_low_similarity_hides_identity():
    truth = draw("AAAA")
    poses = concatenate([draw("1111")])
    poses.points[:] += [5, 5]
    result = score(truth, poses)
    assert_metrics(result, misses=4)
    assert (
        "4 of 4 true instances have no prediction with a similarity of at least 0.5"
        in result.notes[0]
    )


def test_prints_nothing(capsys):
    score(draw("AAAA"), draw("1111"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("empty", ["truth_ids", "pose_ids"])
def test_a_frame_without_truth_or_without_predictions_is_passed_over(empty):
    """What was assigned before it is kept, though another prediction is more alike afterwards."""
    both, nobody = np.array([0]), np.zeros(0, dtype=np.intp)
    ids = {"truth_ids": [both, both, both], "pose_ids": [both, both, np.array([0, 1])]}
    ids[empty][1] = nobody
    sequence = TrackSequence(
        video=0,
        pose_video=0,
        frames=[0, 1, 2],
        **ids,
        similarities=[
            np.array([[1.0]]),
            np.zeros((len(ids["truth_ids"][1]), len(ids["pose_ids"][1]))),
            np.array([[0.6, 0.9]]),
        ],
        neighbours=[[Neighbour("", float("nan"))] * len(own) for own in ids["truth_ids"]],
        truth_names=["A"],
        pose_names=["1", "2"],
    )
    assert identity_switches([sequence]) == []
    assert combine_identity([count_identity(sequence)])["switches"] == 0


def at_random(seed, n_frames=12, n_true=3, n_predicted=4, presence=0.7):
    """A sequence of ids that come and go, with similarities without any sense."""
    rng = np.random.default_rng(seed)

    def present(n):
        return [np.flatnonzero(rng.random(n) < presence) for _ in range(n_frames)]

    truth_ids, pose_ids = present(n_true), present(n_predicted)
    return TrackSequence(
        video=0,
        pose_video=0,
        frames=list(range(n_frames)),
        truth_ids=truth_ids,
        pose_ids=pose_ids,
        similarities=[
            rng.random((len(a), len(b))) for a, b in zip(truth_ids, pose_ids, strict=True)
        ],
        neighbours=[[Neighbour("", float("nan"))] * len(ids) for ids in truth_ids],
        truth_names=[f"true {i}" for i in range(n_true)],
        pose_names=[f"predicted {i}" for i in range(n_predicted)],
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_lists_as_many_switches_as_trackeval_counts(seed):
    sequence = at_random(seed)
    assert (
        len(identity_switches([sequence]))
        == combine_identity([count_identity(sequence)])["switches"]
    )


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.integers(1, 11),
    st.integers(1, 11),
    st.sampled_from([0.1, 0.7, 1.0]),
)
def test_counts_are_those_of_trackeval(seed, n_frames, n_true, n_predicted, presence):
    from trackeval.metrics import HOTA, Identity

    sequence = at_random(seed, n_frames, n_true, n_predicted, presence)
    counts, data = count_identity(sequence), _trackeval_data(sequence)
    quiet = {"PRINT_CONFIG": False, "THRESHOLD": SIMILARITY_THRESHOLD}
    with np.errstate(invalid="ignore"):  # of tracks that never occur
        reference = {
            "hota": HOTA().eval_sequence(data),
            "identity": Identity(quiet).eval_sequence(data),
        }
    for ours, theirs in ((counts[family], reference[family]) for family in reference):
        for name, values in ours.items():
            np.testing.assert_allclose(values, theirs[name], rtol=1e-12, err_msg=name)


def test_as_many_tracks_as_instances_cost_no_square():
    # 4,000 predicted tracks of one frame each: a table of all tracks by all tracks has 128 MB
    n = 4000
    one, nearest = np.zeros(1, dtype=np.intp), [Neighbour("", float("nan"))]
    sequence = TrackSequence(
        video=0,
        pose_video=0,
        frames=list(range(n)),
        truth_ids=[one] * n,
        pose_ids=[one + i for i in range(n)],
        similarities=[np.ones((1, 1))] * n,
        neighbours=[nearest] * n,
        truth_names=["A"],
        pose_names=[str(i) for i in range(n)],
    )
    tracemalloc.start()
    metrics = combine_identity([count_identity(sequence)])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # One instance is found by the track of its animal; every other belongs to a track of its own.
    assert (metrics["idr"], metrics["switches"]) == (1 / n, n - 1)
    assert most < 8 * n * n / 4


@pytest.mark.parametrize(("misses", "said"), [(2, False), (3, True)])
def test_where_most_animals_are_missed_it_is_said_what_to_change(misses, said):
    ids = [np.array([0, 1]), np.array([0, 1])]
    sequence = TrackSequence(0, 0, [0, 1], ids, [], [], [], [], [])
    notes = _misses_note(misses, [sequence])
    assert [note[:45] for note in notes] == ["identity: 3 of 4 true instances have no predi"] * said
