from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import poisson

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import KINDS, Quality
from sleap_lab.quality.budget import most_switches_left, promise_of, within_budget
from sleap_lab.quality.neighbours import in_order
from sleap_lab.quality.proxies import whole
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


def test_nothing_doubtful_leaves_nothing(quality):
    assert most_switches_left(quality(), []) == 0
    assert most_switches_left(quality((50, "jump", 3.0)), []) == 0


def test_what_was_looked_at_no_longer_counts(quality):
    found = quality((50, "swap", 0.9), (52, "doubt", 0.3), (200, "swap", 0.8), (260, "doubt", 0.2))
    moments = suspects(found)
    assert [moment.frame for moment in moments] == [50, 200, 260]
    for looked, mean in ((0, 2.2), (1, 1.0), (2, 0.2)):
        assert most_switches_left(found, moments[:looked]) == poisson.ppf(0.95, mean)
    assert most_switches_left(found, moments) == 0


def test_the_number_holds_where_the_chances_are_right(quality):
    rng = np.random.default_rng(0)
    chances = rng.uniform(0.05, 0.99, 14)
    found = quality(*((20 * i, "swap", chance) for i, chance in enumerate(chances)))
    moments = suspects(found)[:4]
    open_ = [c for i, c in enumerate(chances) if 20 * i not in {m.frame for m in moments}]
    most = most_switches_left(found, moments)
    remaining = (rng.random((2000, len(open_))) < open_).sum(axis=1)
    assert (remaining <= most).mean() >= 0.95
    assert most < len(open_)


@pytest.mark.parametrize(
    ("frames", "share", "looks"), [(1000, 0.005, 5), (10, 0.005, 1), (1000, 0, 0), (10, 1, 7)]
)
def test_a_budget_is_a_share_of_the_frames(quality, frames, share, looks):
    moments = suspects(quality(*((40 * i, "swap", 0.9) for i in range(7))))
    assert within_budget(moments, frames, share) == moments[:looks]


def test_a_promise_is_made_where_there_are_identities(quality):
    found = quality((50, "swap", 0.9))
    assert (
        promise_of(found, []) == "no promise about identities: fewer than two animals have tracks"
    )
    two = replace(found, order=found.order._replace(animal=np.arange(300) % 2))
    assert promise_of(two, suspects(two)) == (
        "after these 1 moments in 300 frames were corrected, at most 0 identity switches remain, "
        "with 95% confidence"
    )


def test_a_promise_says_what_it_leaves_out(quality):
    found = quality()
    animal = np.where(np.arange(300) < 20, -1, np.arange(300) % 2)
    some = replace(found, order=found.order._replace(animal=animal))
    assert promise_of(some, []).endswith("; 20 poses without a track are not judged")
