import numpy as np
import pytest

from sleap_lab.evaluation.breakdown import breakdown, in_crowd
from sleap_lab.evaluation.match import Matches, labelled_frames
from sleap_lab.poses.record import Skeleton, make_poses

NAN = np.nan
NODES = Skeleton(("head", "tail"))
BODY = np.array([[0, 0], [10, 0]], dtype=float)


def off(head, tail):
    """The body with its nodes moved down."""
    return BODY + np.array([[0, head], [0, tail]])


# Matched in video 0 twice (tracks one and two), in video 1 once; missed in videos 1 and 2.
TRUTH = make_poses(
    NODES,
    [BODY] * 5,
    video=[0, 0, 1, 1, 2],
    frame=[0, 1, 0, 1, 0],
    tracks=[0, 1, 0, 0, -1],
    track_names=["one", "two"],
)
POSES = make_poses(NODES, [off(1, 3), off(5, NAN), off(20, 20)], video=[0, 0, 1], frame=[0, 1, 0])
MATCHES = Matches(np.arange(3), np.arange(3), np.ones(3), np.array([3, 4]), np.zeros(0, dtype=int))
FRAMES = labelled_frames(TRUTH, POSES, {0: 0, 1: 1, 2: 2}, user_labels_only=False)
ROWS = {
    (row.video, row.animal, row.node, row.stratum): row
    for row in breakdown(TRUTH, POSES, FRAMES, MATCHES, ["a.mp4", "b.mp4", "c.mp4"])
}


def test_every_part_has_a_row():
    parts = [(None, None), ("a.mp4", None), ("b.mp4", None), ("c.mp4", None)]
    assert {key[:2] for key in ROWS if key[2] is None and key[3] is None} == set(parts)
    animals = {("a.mp4", "one"), ("a.mp4", "two"), ("b.mp4", "one"), ("c.mp4", "")}
    assert {key for key in ROWS if key[1] is not None} == {
        (*animal, node, None) for animal in animals for node in NODES.nodes
    }
    assert [key[3] for key in ROWS][-2:] == ["crowded", "alone"]


@pytest.mark.parametrize(
    ("part", "n_matched", "n_missed", "n_distances", "average", "pck"),
    [
        ((None, None, None), 3, 2, 5, (1 + 3 + 5 + 20 + 20) / 5, (9 + 7 + 5) / 60),
        ((None, None, "head"), 3, 2, 3, (1 + 5 + 20) / 3, (9 + 5) / 30),
        (("a.mp4", None, None), 2, 0, 3, (1 + 3 + 5) / 3, (9 + 7 + 5) / 40),
        (("a.mp4", None, "tail"), 2, 0, 1, 3, 7 / 20),
        (("a.mp4", "two", "head"), 1, 0, 1, 5, 5 / 10),
        (("a.mp4", "two", "tail"), 1, 0, 0, NAN, 0),
        (("b.mp4", None, "tail"), 1, 1, 1, 20, 0),
        (("c.mp4", None, None), 0, 1, 0, NAN, NAN),  # missed altogether
    ],
)
def test_numbers_of_a_part(part, n_matched, n_missed, n_distances, average, pck):
    row = ROWS[(*part, None)]
    assert (row.n_matched, row.n_missed, row.n_distances) == (n_matched, n_missed, n_distances)
    assert (row.dist_avg, row.pck) == pytest.approx((average, pck), nan_ok=True)


def test_visibility_of_a_part():
    row = ROWS["a.mp4", None, "tail", None]
    assert (row.n_labelled, row.n_unlabelled, row.visibility_recall) == (2, 0, 1 / 2)


def test_counts_of_the_animals_add_up():
    for node in NODES.nodes:
        parts = [
            row for (_, animal, name, _), row in ROWS.items() if name == node and animal is not None
        ]
        for count in ("n_matched", "n_missed", "n_labelled", "n_distances"):
            assert sum(getattr(row, count) for row in parts) == getattr(
                ROWS[None, None, node, None], count
            )


def test_a_crowd_is_another_animal_within_a_body_length():
    places = [
        [0, 0],
        [9, 0],
        [19, 0],
        [30, 0],
    ]  # the third is exactly one body length, 10, from the second
    truth = make_poses(
        NODES, [*(BODY + np.array(place) for place in places), BODY], frame=[0, 0, 0, 0, 1]
    )
    frames = labelled_frames(truth, truth, {0: 0}, user_labels_only=False)
    assert in_crowd(truth, frames).tolist() == [True, True, False, False, False]


def test_animals_may_be_smaller_than_a_pixel():
    truth = make_poses(
        NODES, [BODY / 20, BODY / 20 + np.array([0.4, 0]), BODY / 20 + np.array([3, 0])]
    )  # body length 0.5
    assert in_crowd(
        truth, labelled_frames(truth, truth, {0: 0}, user_labels_only=False)
    ).tolist() == [True, True, False]


def test_without_extent_nobody_is_in_a_crowd():
    points = make_poses(NODES, [[[0, 0], [NAN, NAN]], [[1, 0], [NAN, NAN]]])
    assert not in_crowd(
        points, labelled_frames(points, points, {0: 0}, user_labels_only=False)
    ).any()


def test_a_single_node_has_no_row_for_crowds():
    single = Skeleton(("centre",))
    truth = make_poses(single, BODY[:, None], frame=[0, 1])
    matches = Matches(np.arange(2), np.arange(2), np.ones(2), *[np.zeros(0, dtype=int)] * 2)
    frames = labelled_frames(truth, truth, {0: 0}, user_labels_only=False)
    rows = breakdown(truth, truth, frames, matches, ["a.mp4"])
    assert {row.stratum for row in rows} == {None}


def test_single_nodes_have_no_crowd():
    point = Skeleton(("a",))
    truth = make_poses(point, [[[0, 0]], [[1, 0]]])
    poses = make_poses(point, [[[0, 0]], [[1, 0]]])
    both = np.arange(2)
    matches = Matches(both, both, np.ones(2), both[:0], both[:0])
    frames = labelled_frames(truth, poses, {0: 0}, user_labels_only=False)
    assert {row.stratum for row in breakdown(truth, poses, frames, matches)} == {None}
