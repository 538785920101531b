from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.quality.neighbours import in_order
from sleap_lab.quality.opinion import second_opinion

FRAMES, ANIMALS = 30, 3


def second(poses, animals, *, exchange=(), unsure=()):
    """Say that the tracks are right but for exchanges of two, and how sure some links are."""
    tracks, sure = poses.tracks.astype(int), np.ones(len(poses))
    for frame in exchange:
        later = poses.frame >= frame
        tracks = np.where(later & (tracks < 2), 1 - tracks, tracks)
    for row, value in unsure:
        sure[row] = value
    return tracks, sure


@pytest.fixture
def opinion(scene):
    """Return a function that asks a second tracker which knows what it says."""

    def ask(**said):
        poses = scene(n_frames=FRAMES, n_animals=ANIMALS)
        return second_opinion(in_order(poses), None, lambda p, n: second(p, n, **said))

    return ask


def test_a_second_tracker_that_agrees_leaves_its_own_doubts(opinion):
    swaps, doubts = opinion(unsure=[(10, 0.6), (20, 0.9), (30, 0.96)])
    assert len(swaps.rows) == 0
    assert doubts.rows.tolist() == [10, 20]
    assert doubts.values == pytest.approx([0.4, 0.1])


def test_links_that_two_different_trackers_chose_are_surer(opinion):
    swaps, doubts = opinion(exchange=[15], unsure=[(10, 0.6), (20, 0.9)])
    assert swaps.rows.tolist() == [ANIMALS * 15, ANIMALS * 15 + 1]
    assert swaps.values == pytest.approx([0.99, 0.99])
    part = 0.5 / (0.5 + 2 * 0.99)  # of all switches, seen or held possible, those not decided
    assert doubts.values == pytest.approx([0.4 * part, 0.1 * part])


@pytest.mark.parametrize("lonely", [0, 1])
def test_an_animal_alone_in_its_video_is_nobody_else(scene, lonely):
    worms = scene(n_frames=2 * FRAMES, n_animals=2)
    second_half = worms.frame >= FRAMES
    poses = replace(
        worms,
        video=second_half.astype(np.int32),
        frame=worms.frame % FRAMES,
        frames=np.stack(np.divmod(np.arange(2 * FRAMES), FRAMES), axis=1),
    )[(worms.tracks == 0) | (second_half != lonely)]

    def unsure_in_the_end(part, animals):
        last = part.frame == FRAMES - 1
        return part.tracks.astype(int), np.where(last, 0.6, 1.0)

    order = in_order(poses)
    _, doubts = second_opinion(order, 2, unsure_in_the_end)
    assert order.poses.video[doubts.rows].tolist() == [1 - lonely] * 2


def test_a_doubt_of_nearly_nothing_is_none(opinion):
    _, doubts = opinion(exchange=[5, 10, 15], unsure=[(10, 0.94)])
    assert len(doubts.rows) == 0
