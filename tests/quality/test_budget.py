from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.budget import BESIDE, RATE, SHAPE, Proofread, most_left, promise
from sleap_lab.quality.kinds import KINDS
from sleap_lab.quality.neighbours import in_order
from sleap_lab.quality.signs import whole
from sleap_lab.quality.suspects import suspects


@pytest.fixture
def quality():
    """Return a function that makes a quality of 300 frames from (frame, kind, chance)."""

    def make(*findings):
        poses = make_poses(
            Skeleton(("a",)), np.zeros((300, 1, 2)), frame=np.arange(300), frames=None
        )
        found = {}
        for kind in KINDS:
            own = [(frame, chance) for frame, name, chance in findings if name == kind]
            rows, chances = np.array(own, dtype=float).reshape(-1, 2).T
            found[kind] = whole(rows.astype(int), chances)
        return Quality(in_order(poses), found, {0: 1}, 1.0, {})

    return make


def alike(quality, tracks=2):
    """The same with so many tracks, one after the other."""
    order = quality.order
    return replace(quality, order=order._replace(animal=np.arange(len(order.animal)) % tracks))


def checked(frames, switches=()):
    """Proofread frames of 300, and the switches there."""
    return Proofread(np.isin(np.arange(300), list(frames)), np.array(switches, dtype=int))


def test_nothing_doubtful_leaves_nothing(quality):
    assert promise(alike(quality()), [], 0.01).most == 0
    found = alike(quality((50, "jump", 3.0)))
    assert promise(found, suspects(found), 0).most == 0


def test_what_was_looked_at_no_longer_counts(quality):
    found = alike(
        quality((50, "swap", 0.9), (52, "doubt", 0.3), (200, "swap", 0.8), (260, "doubt", 0.2))
    )
    moments = suspects(found)
    assert [moment.frame for moment in moments] == [50, 200, 260]
    for looks, expected in ((0, 2.2), (1, 1.0), (2, 0.2)):
        made = promise(found, moments, looks / 300)
        assert made.moments == moments[:looks]
        assert made.most == most_left(expected)
    assert promise(found, moments, 1).most == 0


def test_a_switch_may_lie_beyond_a_look_that_ends_at_its_sign(quality):
    frames = [42 * i + offset for i in range(7) for offset in (0, 20)]
    found = alike(quality(*((frame, "swap", 0.9) for frame in frames)))
    moments = suspects(found)
    assert [moment.frame % 42 for moment in moments] == [10] * 7
    assert promise(found, moments, 1).most == most_left(BESIDE * 0.9 * 14) > 0
    nearer = alike(quality(*((50 + offset, "swap", 0.9) for offset in (0, 18))))
    assert promise(nearer, suspects(nearer), 1).most == 0


def test_a_number_is_the_quantile_of_a_mixture_of_poisson_distributions():
    rng = np.random.default_rng(0)
    # 10 switches of pairs, which say as much as 5, for 6 that were expected, which count as 3.
    for found, before, shape, rate in ((0, 0.0, SHAPE, RATE), (10, 6.0, SHAPE + 5, RATE + 3)):
        drawn = rng.poisson(4.0 * rng.gamma(shape, 1 / rate, 400_000))
        assert most_left(4.0, found, before) == np.quantile(drawn, 0.95)


def test_proofread_frames_lower_and_raise_what_remains(quality):
    signs = [(20 * i, "doubt", 0.5) for i in range(15)]
    found = alike(quality(*signs))
    moments = suspects(found)
    known = range(0, 150)  # 8 signs, 4 switches expected; 7 signs elsewhere
    none = promise(found, moments, 0, checked(known))
    many = promise(found, moments, 0, checked(known, [20, 20, 60, 60, 100, 100, 140, 140]))
    assert none.most == most_left(3.5, 0, 4.0)
    assert many.most == most_left(3.5, 8, 4.0)
    assert none.most < most_left(3.5) < many.most


def test_proofread_frames_need_no_look_and_count_as_looked_at_where_they_are_as_doubtful(quality):
    found = alike(
        quality((20, "swap", 0.9), (80, "doubt", 0.3), (200, "swap", 0.8), (260, "doubt", 0.2))
    )
    made = promise(found, suspects(found), 0.001, checked(range(100), [20, 21, 80]))
    assert [moment.frame for moment in made.moments] == [200]
    assert made.most == most_left(0.2, 1, 0.3)
    assert made.words == (
        "once the listed moments are corrected (1 in 200 frames), the number of identity switches "
        "that remain is at most 1, with 95% confidence; this rests on 100 proofread frames "
        "(switches where nobody would have looked: 1, expected: 0.3) and, as these are few, "
        "on simulated scenes"
    )


def test_much_that_was_proofread_speaks_for_itself(quality):
    found = alike(quality(*((20 * i, "doubt", 0.6) for i in range(15))))
    made = promise(found, suspects(found), 0, checked(range(150)))
    assert made.words.endswith("(switches where nobody would have looked: 0, expected: 4.8)")


def test_the_number_holds_where_the_chances_are_right(quality):
    rng = np.random.default_rng(0)
    chances = rng.uniform(0.05, 0.99, 14)
    found = alike(quality(*((21 * i, "swap", chance) for i, chance in enumerate(chances))))
    made = promise(found, suspects(found), 4 / 300)
    open_ = [c for i, c in enumerate(chances) if 21 * i not in {m.frame for m in made.moments}]
    assert len(open_) == 10
    remaining = (rng.random((2000, len(open_))) < open_).sum(axis=1)
    assert (remaining <= made.most).mean() >= 0.95


@pytest.mark.parametrize(
    ("share", "looks"),
    [(0.005, 2), (0.0001, 1), (0, 0), (1, 7)],  # 300 frames, 7 moments
)
def test_a_budget_is_a_share_of_the_frames(quality, share, looks):
    found = quality(*((40 * i, "swap", 0.9) for i in range(7)))
    moments = suspects(found)
    assert promise(found, moments, share).moments == moments[:looks]


def test_a_promise_is_made_where_there_are_identities(quality):
    found = quality((50, "swap", 0.9))
    made = promise(found, suspects(found), 0.01)
    assert (made.most, len(made.moments)) == (None, 1)
    assert made.words == "no promise about identities: no video has two animals with tracks"
    assert promise(alike(found), suspects(found), 0.01).words == (
        "once the listed moments are corrected (1 in 300 frames), the number of identity switches "
        "that remain is at most 0, with 95% confidence; this rests on simulated scenes, not on "
        "proofread frames of yours"
    )


def test_there_are_no_identities_where_each_video_has_one_animal(quality):
    each = quality()
    video = (np.arange(300) >= 150).astype(np.int32)
    order = each.order._replace(
        poses=replace(each.order.poses, video=video), animal=video.astype(int)
    )
    assert promise(replace(each, order=order), [], 0.01).most is None


def test_a_promise_says_what_it_leaves_out(quality):
    found = quality()
    animal = np.where(np.arange(300) < 20, -1, np.arange(300) % 2)
    some = replace(found, order=found.order._replace(animal=animal))
    assert "; 20 poses without a track are not judged; " in promise(some, [], 0.01).words
