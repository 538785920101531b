import re
from types import SimpleNamespace

import numpy as np
import pytest

from sleap_lab.evaluation import evaluate
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig, FiltersConfig, TrackerConfig
from sleap_lab.tune.outcome import Difference, Outcome, Setting, conclude, differences, pareto_front
from sleap_lab.tune.settings import find_metric

IDF1, SWITCHES = find_metric("identity/idf1"), find_metric("identity/switches")


def setting(searched, held_out, trial=None):
    """A setting that is known by its scores only."""
    scores = [
        SimpleNamespace(value=value, frames_per_second=100.0, evaluation=None)
        for value in (searched, held_out)
    ]
    return Setting(TrackerConfig(), FiltersConfig(), *scores, trial)


def outcome(default, best, difference=None, *, metric=IDF1, n_blocks=6):
    change = (
        Difference(best.held_out.value - default.held_out.value, *(difference or ()))
        if best
        else None
    )
    return Outcome(metric, default, best, {metric.name: change} if change else {}, n_blocks)


# --- which setting to use ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "recommended", "said"),
    [
        (
            outcome(setting(0.8, 0.8), None),
            "default",
            "Keep the default setting: none that was tried has a better identity/idf1",
        ),
        (
            outcome(setting(0.8, 0.8), setting(0.9, 0.7)),
            "default",
            r"Keep the default setting: .* where it was searched \(0.9 against 0.8\), "
            r"but not on the 6 held-out blocks \(0.7 against 0.8\)",
        ),
        # Equal is not better.
        (outcome(setting(0.8, 0.8), setting(0.9, 0.8)), "default", "Keep the default setting"),
        (
            outcome(setting(0.8, 0.8), setting(0.9, float("nan"))),
            "default",
            "Keep the default setting",
        ),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9), (0.1, 0.3)),
            "best",
            r"is 0.9, .* 0.7; the difference is 0.2, 95 % interval 0.1 to 0.3\.$",
        ),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9), (-0.1, 0.3)),
            "best",
            "interval -0.1 to 0.3, so it may be chance",
        ),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9), n_blocks=1),
            "best",
            r"1 held-out block .* no interval \(fewer than 5 blocks\)",
        ),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9)),
            "best",
            r"no interval \(identity/idf1 is not formed from single blocks\)",
        ),
        (
            outcome(setting(9, 9), setting(2, 3), (-8, -2), metric=SWITCHES),
            "best",
            r"is 3, .* 9; .* interval -8 to -2\.$",
        ),
        (
            outcome(setting(9, 9), setting(2, 10), metric=SWITCHES),
            "default",
            "Keep the default setting",
        ),
    ],
)
def test_verdict(found, recommended, said):
    assert found.recommended is getattr(found, recommended)
    assert re.search(said, found.verdict())


# --- differences ------------------------------------------------------------------------

SKELETON = Skeleton(("a", "b"))


def blocks(tracks_of_second):
    """Return an evaluation of as many blocks, each with two animals in six frames.

    The second animal has these predicted tracks.
    """
    n = len(tracks_of_second)
    places = np.tile([[[0, 0], [10, 10]], [[1000, 0], [1010, 10]]], (6 * n, 1, 1))
    made = {"video": np.repeat(range(n), 12), "frame": np.tile(np.repeat(range(6), 2), n)}
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
        truth, poses, EvaluatorConfig(identity=True), videos={i: i for i in range(n)}, details=False
    )


KEPT, LOST = [1] * 6, [1, 1, 1, 2, 2, 2]


def test_a_block_that_is_better_by_as_much_as_every_other_leaves_no_doubt():
    found = differences(blocks([LOST] * 5), blocks([KEPT] * 5), n_blocks=5)
    assert found["identity/switches"] == Difference(-5, -5, -5)
    assert found["identity/idf1"] == pytest.approx((1 - 9 / 12,) * 3)
    assert found["coco/ap"] == Difference(0, 0, 0)


def test_one_good_block_among_equal_ones_may_be_chance():
    found = differences(blocks([LOST] + [KEPT] * 5), blocks([KEPT] * 6), n_blocks=6)
    value, low, high = found["identity/switches"]
    assert (value, high) == (-1, 0)  # the block is not drawn at all in a third of the draws
    assert low <= -2


def test_few_blocks_have_no_interval():
    found = differences(blocks([LOST] * 4), blocks([KEPT] * 4), n_blocks=4)["identity/switches"]
    assert found.value == -4
    assert np.isnan([found.low, found.high]).all()


def test_nothing_is_compared_without_a_better_setting():
    assert conclude(IDF1, setting(0.8, 0.8), None, 6).differences == {}


# --- quality and speed ------------------------------------------------------------------


def test_on_the_front_nobody_is_better_and_faster():
    #          slow and best, fast and poor, beaten by the first, unknown, between
    values = [0.9, 0.5, 0.8, float("nan"), 0.7]
    speeds = [10, 100, 5, 1000, 50]
    assert pareto_front(IDF1, values, speeds) == [1, 4, 0]
    assert pareto_front(SWITCHES, [9, 1, 5], [10, 10, 50]) == [2, 1]


def test_of_equally_fast_settings_the_best_is_on_the_front():
    assert pareto_front(IDF1, [0.1, 0.2], [7, 7]) == [1]
