"""The places of identity switches, drawn by hand."""

import numpy as np

from sleap_lab.evaluation.sequences import Neighbour, TrackSequence
from sleap_lab.evaluation.switches import Switch, clear_matches, identity_switches


def sequence(*frames, neighbours=None):
    """A sequence: per frame its number, true ids, predicted ids, and their similarities."""
    names = [f"animal {i}" for i in range(3)], [f"track {i}" for i in range(4)]
    return TrackSequence(
        2,
        1,
        [frame[0] for frame in frames],
        [np.array(frame[1], dtype=int) for frame in frames],
        [np.array(frame[2], dtype=int) for frame in frames],
        [np.reshape(np.array(frame[3], float), (len(frame[1]), len(frame[2]))) for frame in frames],
        neighbours or [[Neighbour("", np.nan)] * len(frame[1]) for frame in frames],
        *names,
    )


def matches(*frames):
    return list(clear_matches(sequence(*frames)))


def test_the_most_similar_are_matched():
    assert matches((0, [0, 1], [2, 3], [[0.6, 0.9], [0.7, 0.8]])) == [(0, {0: 3, 1: 2})]
    assert matches((0, [0], [1], [0.49])) == [(0, {})]
    assert matches((0, [0], [1], [0.5])) == [(0, {0: 1})]
    # As in TrackEval, what misses the threshold by rounding alone reaches it.
    assert matches((0, [0], [1], [np.nextafter(0.5, 0)])) == [(0, {0: 1})]


def test_pairs_of_the_frame_before_are_kept():
    first = (0, [0, 1], [0, 1], [[0.9, 0], [0, 0.9]])
    crossed = [[0.5, 0.9], [0.9, 0.5]]
    assert matches(first, (1, [0, 1], [0, 1], crossed))[1] == (1, {0: 0, 1: 1})
    # Not where they are no longer similar enough.
    crossed = [[0.4, 0.9], [0.9, 0.5]]
    assert matches(first, (1, [0, 1], [0, 1], crossed))[1] == (1, {1: 1})
    # Nor those of a frame before the last.
    between = (1, [0], [2], [0.9])
    assert matches(first, between, (2, [0, 1], [0, 1], [[0.5, 0.9], [0.9, 0.5]]))[2] == (
        2,
        {0: 1, 1: 0},
    )


def test_frames_without_instances_on_a_side_are_passed_over():
    found = matches(
        (0, [0], [0], [0.9]), (1, [0], [], []), (2, [], [0], []), (3, [0], [0, 1], [[0.5, 0.9]])
    )
    assert found == [(0, {0: 0}), (3, {0: 0})]


def test_a_switch_is_another_track_than_the_last_one():
    neighbours = [
        [Neighbour("animal 1", 5.0), Neighbour("animal 0", 5.0)],
        [Neighbour("", np.nan)],
        [Neighbour("animal 1", 7.0), Neighbour("animal 0", 8.0)],
    ]
    found = identity_switches(
        [
            sequence(
                (4, [0, 1], [0, 1], [[0.9, 0], [0, 0.9]]),
                (5, [1], [1], [0.9]),  # animal 0 is not seen
                (9, [1, 0], [1, 3], [[0.9, 0], [0, 0.9]]),
                neighbours=neighbours,
            )
        ]
    )
    assert found == [Switch(2, 1, 9, "animal 0", "track 0", "track 3", "animal 0", 8.0)]


def test_going_back_is_another_switch():
    frames = [(t, [0], [track], [0.9]) for t, track in enumerate((0, 2, 2, 0))]
    found = identity_switches([sequence(*frames)])
    assert [(one.frame, one.from_track, one.to_track) for one in found] == [
        (1, "track 0", "track 2"),
        (3, "track 2", "track 0"),
    ]
    # Sequences know nothing of each other.
    assert identity_switches([sequence(frames[0]), sequence(frames[1])]) == []
