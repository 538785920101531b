"""Better by more than chance, and at what loss."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.intervals import Difference
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig, FiltersConfig, TrackerConfig
from sleap_lab.tune.evidence import Setting, differences, losses, n_blocks, why_no_interval

SKELETON = Skeleton(("a", "b"))


def blocks(tracks_of_second, first=0):
    """Return an evaluation of as many blocks, each with two animals in six frames.

    The second animal has these predicted tracks.
    """
    n = len(tracks_of_second)
    places = np.tile([[[0, 0], [10, 10]], [[1000, 0], [1010, 10]]], (6 * n, 1, 1))
    videos = range(first, first + n)
    made = {"video": np.repeat(videos, 12), "frame": np.tile(np.repeat(range(6), 2), n)}
    truth = make_poses(
        SKELETON,
        places,
        **made,
        tracks=np.tile([0, 1], 6 * n),
        user=True,
        instance_scores=np.nan,
        track_names="ab",
    )
    tracks = np.stack([np.zeros(6 * n), np.concatenate(tracks_of_second)], axis=1).ravel()
    poses = make_poses(SKELETON, places, **made, tracks=tracks, track_names="123")
    return evaluate(
        truth, poses, EvaluatorConfig(identity=True), videos={i: i for i in videos}, details=False
    )


INDEPENDENT = 6 * np.eye(60)  # blocks of six frames
KEPT, LOST = [1] * 6, [1, 1, 1, 2, 2, 2]
TWICE = [1, 1, 2, 2, 1, 1]


def setting(searched, held_out):
    """A setting that tracks blocks like this where it is searched, and where it is held out."""
    scores = [
        SimpleNamespace(evaluation=blocks(side, first))
        for side, first in ((searched, 0), (held_out, 50))
    ]
    return Setting(TrackerConfig(), FiltersConfig(), *scores)


def test_a_block_that_is_better_by_as_much_as_every_other_leaves_no_doubt():
    found = differences(
        setting([LOST] * 6, [LOST] * 4), setting([KEPT] * 6, [KEPT] * 4), INDEPENDENT
    )
    value, low, high, chance = found["identity/switches"]
    assert (value, low, high, chance) == (-4, -4, -4, 2**-9)
    assert found["identity/idf1"][:3] == pytest.approx((1 - 9 / 12,) * 3)
    assert found["coco/ap"].value == 0
    assert np.isnan(found["coco/ap"].low)


def test_one_good_block_among_equal_ones_may_be_chance():
    kept = setting([KEPT] * 7, [KEPT] * 3)
    found = differences(setting([LOST] + [KEPT] * 6, [LOST, KEPT, KEPT]), kept, INDEPENDENT)
    value, low, high, _ = found["identity/switches"]
    assert value == -1
    assert low < -1 < 0 < high


def test_blocks_scatter_as_in_both_parts_together():
    searched, held_out = [TWICE, LOST, KEPT, LOST, KEPT, TWICE], [LOST, TWICE, LOST]
    first = setting(searched, held_out)
    found = differences(first, setting([KEPT] * 6, [KEPT] * 3), INDEPENDENT)["identity/switches"]
    switches = {id(KEPT): 0, id(LOST): 1, id(TWICE): 2}
    here, there = (np.array([-switches[id(b)] for b in side]) for side in (held_out, searched))
    scatter = ((here - here.mean()) ** 2).sum() + ((there - there.mean()) ** 2).sum()
    error = 3 * np.sqrt(scatter / (9 - 2) / 3)  # three times that of the mean of three
    assert found.value == -4
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.975, 7) * error, abs=1e-9)
    assert found.chance == pytest.approx(2 * stats.t.sf(4 / error, 7), abs=1e-9)


def test_without_judgement_there_are_differences_only():
    found = differences(setting([LOST], [LOST]), setting([KEPT], [KEPT]), INDEPENDENT, judge=False)
    assert found["identity/switches"] == pytest.approx(Difference(-1), nan_ok=True)


@pytest.mark.parametrize(
    ("held_out", "searched", "length", "time", "why"),
    [
        (2, 4, 20, 0, ""),
        (2, 4, 20, 10, ""),
        (2, 4, 20, 11, "blocks of 20 labelled frames are not independent .* over about 11"),
        (1, 9, 20, 0, "1 held-out and 9 searched blocks are too few: 2 and 6 in all are needed"),
        (2, 3, 20, 0, "2 held-out and 3 searched blocks are too few"),
    ],
)
def test_few_or_short_blocks_have_no_interval(held_out, searched, length, time, why):
    assert re.fullmatch(f"{why}.*", why_no_interval(held_out, searched, length, time))
    assert (why_no_interval(held_out, searched, length, time) == "") == (why == "")


def side(missed=(), misses=(), n_matched=1000):
    """A side with so many animals missed in each frame, and without a track in each block."""
    headline = {"eval/n_missed": float(sum(missed)), "eval/n_matched": float(n_matched)}
    return SimpleNamespace(
        evaluation=SimpleNamespace(
            headline=lambda: headline,
            table=SimpleNamespace(columns={"n_missed": np.array(missed, dtype=float)}),
            identity_by_video=tuple((i, {"misses": float(n)}) for i, n in enumerate(misses)),
        )
    )


@pytest.mark.parametrize(
    ("before", "after", "found", "said"),
    [
        # one in 500 of 2000 may be lost
        (side([0] * 9), side([1] * 4 + [0] * 5), {}, ()),
        (side([0] * 9), side([1] * 5 + [0] * 4), {}, ("loses 5 animals",)),
        (side([0] * 9), side([6] + [0] * 8), {}, ("loses 6 animals",)),  # all in one frame
        (side([1] * 9), side([0] * 9), {}, ()),  # finds more
        # other animals, and some more of them: that may be chance
        (side([5, 5, 0, 0]), side([0, 0, 10, 6]), {}, ()),
        (
            side([5, 5, 0, 0]),
            side([0, 0, 10, 6]),
            {"eval/n_missed": Difference(6, 1, 11, 0.01)},
            ("loses 6 animals",),
        ),
        (
            side([0], [0, 0, 0]),
            side([0], [3, 3, 0]),
            {},
            ("leaves 6 more animals without a track",),
        ),
        (side([0], [9, 0, 0]), side([0], [0, 9, 6]), {}, ()),
        (side(), side(), {"coco/ap": Difference(-0.004, chance=0.001)}, ()),
        (side(), side(), {"coco/ap": Difference(-0.02, chance=0.5)}, ()),
        (side(), side(), {"coco/ap": Difference(0.02, chance=0.01)}, ()),
        (
            side(),
            side(),
            {"coco/ap": Difference(-0.02, chance=0.01)},
            ("has a coco/ap that is lower by 0.02",),
        ),
        # nothing says that it is chance
        (side(), side(), {"coco/ap": Difference(-0.02)}, ("has a coco/ap that is lower by 0.02",)),
    ],
)
def test_what_a_setting_loses(before, after, found, said):
    rest = side([0] * 4, [0])
    default = Setting(TrackerConfig(), FiltersConfig(), rest, before)
    assert losses(default, Setting(TrackerConfig(), FiltersConfig(), rest, after), found) == said


def test_blocks_are_counted():
    assert n_blocks(blocks([KEPT] * 3)) == 3
