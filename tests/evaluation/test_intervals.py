"""Intervals of metrics and of their differences."""

import numpy as np
import pytest
from scipy import stats

from sleap_lab.evaluation.coco import Detections
from sleap_lab.evaluation.frames import FrameTable
from sleap_lab.evaluation.identity import IdentityResult
from sleap_lab.evaluation.influence import Parts, parts
from sleap_lab.evaluation.intervals import (
    basis,
    change_of,
    differences,
    intervals,
    judged,
    leave_one_out,
    limits,
    spread_of,
    time_of_errors,
    with_identity,
)
from sleap_lab.evaluation.serial import common_time
from sleap_lab.evaluation.spread import Spread


def table(found, *, videos=1, true=1):
    """Return a table of frames with so many animals found of so many, in videos of equal length."""
    n = len(found)
    columns = {"found_50": np.array(found), "n_true": np.full(n, true)}
    video = np.repeat(np.arange(videos), n // videos)
    frame = np.tile(np.arange(n // videos), videos)
    nobody = Detections(np.zeros(0, int), np.zeros(0), np.zeros((10, 0), bool), np.zeros(n, int))
    return FrameTable(video, frame, columns, np.zeros((0, 1)), nobody)


def test_interval_of_a_share():
    found = np.random.default_rng(0).random(400) < 0.9
    result = intervals(table(found))
    assert (result.n_frames, result.n_videos, result.level) == (400, 1, 0.95)
    assert result.note == "95% intervals from 400 labelled frames of one video, for this video only"
    low, high = result.values["coco/recall_50"]
    assert low < found.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.9 * 0.1 / 400), rel=0.4)
    assert high - found.mean() < found.mean() - low  # towards 1 there is less room


def test_alike_neighbours_widen_the_interval():
    random = np.random.default_rng(0)
    single = random.random(2000) < 0.8
    alike = np.repeat(random.random(200) < 0.8, 10)
    narrow, wide = (
        np.ptp(intervals(table(found)).values["coco/recall_50"]) for found in (single, alike)
    )
    assert wide == pytest.approx(np.sqrt(10) * narrow, rel=0.4)


@pytest.mark.parametrize(
    ("found", "videos", "note"),
    [
        ([1, 0] * 9, 1, "no intervals from fewer than 20 labelled frames"),
        ([1, 0] * 30, 3, "no intervals: 3 videos do not tell how much videos differ, 4 or more do"),
        (
            [1] * 50 + [0] * 50,
            1,
            "no intervals: in these 100 labelled frames neighbours are so alike that they show "
            "fewer than 25 independent moments",
        ),
    ],
)
def test_where_frames_tell_nothing_there_is_no_interval(found, videos, note):
    result = intervals(table(found, videos=videos))
    assert (result.values, result.note) == ({}, note)


def test_a_difference_of_videos_is_that_of_scipy():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 6, (2, 8, 25))
    found = differences(*(parts(table(f.ravel(), videos=8, true=5)) for f in (first, second)))
    value, low, high, chance = found["coco/recall_50"]
    means = (second - first).mean(axis=1) / 5
    test = stats.ttest_1samp(means, 0)
    expected = (means.mean(), *test.confidence_interval(0.95), test.pvalue)
    assert (value, low, high, chance) == pytest.approx(expected, rel=1e-6)


def test_what_makes_frames_hard_for_both_cancels_out():
    random = np.random.default_rng(0)
    hard, noise = random.integers(0, 50, 400), random.integers(0, 3, 400)
    both = [parts(table(found, true=100)) for found in (hard, hard + 10 + noise)]
    value, low, high, _ = differences(*both)["coco/recall_50"]
    assert low < 0.11 < high
    assert (
        high - low
        < 0.01
        < 0.1
        < np.ptp(intervals(table(hard, true=100)).values["coco/recall_50"]) * 10
    )
    assert value == pytest.approx(0.11, abs=0.005)


def test_a_difference_that_is_the_same_in_all_frames_leaves_no_doubt():
    hard = np.random.default_rng(0).integers(0, 50, 400)
    first, second = (parts(table(found, true=100)) for found in (hard, hard + 10))
    assert differences(first, second)["coco/recall_50"][:3] == pytest.approx((0.1,) * 3)
    same = differences(first, first)["coco/recall_50"]
    assert same.value == 0
    assert np.isnan(same[1:]).all()


def test_videos_that_are_all_alike_do_not_tell_how_others_differ():
    """One animal of thirty is missed in each of six videos: the next one may lose none, or two."""
    found = np.ones((6, 30), dtype=int)
    found[:, 7] = 0
    assert "coco/recall_50" not in intervals(table(found.ravel(), videos=6)).values
    found[0, 8] = 0
    low, high = intervals(table(found.ravel(), videos=6)).values["coco/recall_50"]
    assert low < 1 - 7 / 180 < high


@pytest.mark.parametrize(
    ("name", "value", "half", "expected"),
    [
        ("eval/dist_avg", 2.0, 0.5, (2 / np.exp(0.25), 2 * np.exp(0.25))),
        ("eval/n_missed", 4.0, 4.0, (4 / np.e, 4 * np.e)),
        ("eval/n_missed", 0.0, 1.0, None),  # none missed says little about how many may be
        ("coco/ap", 0.5, 0.25, (1 / (1 + np.e), np.e / (1 + np.e))),  # log odds 0 ± 1
        ("coco/ap", 1.0, 0.25, None),
        ("identity/mota", -0.5, 0.25, (-0.75, -0.25)),
        ("coco/ap", 0.5, np.nan, None),
        ("coco/ap", np.nan, 0.1, None),
        ("coco/ap", 0.5, 0.0, None),  # all frames or videos are alike
        ("identity/mota", -0.5, 0.0, None),
        ("eval/n_matched", 90.0, 5.0, None),  # cannot exceed the animals that there are
    ],
)
def test_limits_are_possible_values(name, value, half, expected):
    found = limits(name, value, half)
    assert found == (None if expected is None else pytest.approx(expected))


def test_the_steps_of_average_precisions_are_no_difference():
    frames, video = np.tile([1e-9, -1e-9], 200), np.zeros(400, dtype=int)
    first, second = (
        Parts({"coco/ap_50": value}, {"coco/ap_50": part}, video)
        for value, part in ((0.9505, np.zeros(400)), (0.9604, frames))
    )
    # One recall of 101 more is within the rounding of both, however alike their frames are.
    assert differences(first, second)["coco/ap_50"].chance > 0.01


# --- identity ---------------------------------------------------------------------------


def counts(switches):
    """Return counts of a video with so many switches."""
    fields = ["CLR_TP", "CLR_FN", "CLR_FP", "MT", "PT", "ML", "Frag", "CLR_Frames", "MOTP_sum"]
    clear = dict.fromkeys(fields, 10.0) | {"IDSW": float(switches)}
    hota = {f"HOTA_{name}": np.full(19, 10.0) for name in ("TP", "FN", "FP")}
    hota |= {name: np.full(19, 0.5) for name in ("AssA", "AssRe", "AssPr", "LocA")}
    return {
        "hota": hota,
        "identity": {"IDTP": 10.0, "IDFN": 1.0 + switches, "IDFP": 1.0},
        "clear": clear,
    }


def test_all_videos_but_one():
    switches = [row["switches"] for row in leave_one_out([counts(n) for n in (1, 2, 4)])]
    assert switches == [2 + 4, 1 + 4, 1 + 2]
    assert leave_one_out([counts(1)]) == []


def test_identity_has_intervals_over_videos():
    each = [counts(n) for n in (0, 1, 3, 2)]
    stated = {"switches": 6.0, "idf1": 0.9}
    identity = IdentityResult(stated, tuple((video, {}) for video in range(4)), tuple(each))
    shown = table([1, 0] * 20, videos=4)
    low, high = intervals(shown, identity).values["identity/switches"]
    error = 4 * np.std([0, 1, 3, 2], ddof=1) / 2
    reach = stats.t.ppf(0.975, 3) * error / 6
    assert (low, high) == pytest.approx((6 * np.exp(-reach), 6 * np.exp(reach)))
    assert "identity/idf1" in intervals(shown, identity).values
    three = IdentityResult(stated, identity.by_video[:3], tuple(each[:3]))
    assert "identity/switches" not in intervals(shown, three).values  # a video has none


def test_the_part_of_a_video_is_shared_by_its_frames():
    found = Parts({}, {}, np.array([0, 0, 0, 1]))
    without = {0: {"idf1": 0.5}, 1: {"idf1": 0.8}}
    part = with_identity(found, {"identity/idf1": 0.7}, without).influence["identity/idf1"]
    # 3/4 of the frames: (1 - 3/4) (0.7 - 0.5); 1/4: (1 - 1/4) (0.7 - 0.8); less the mean
    whole = np.array([0.05 / 3] * 3 + [-0.075])
    assert part == pytest.approx(whole - whole.mean())


# --- step by step -----------------------------------------------------------------------


def of_frames(values, influence, video=None):
    """Metrics of 40 frames of one video, by name."""
    columns = {name: np.array(part, dtype=float) for name, part in influence.items()}
    return Parts(values, columns, np.zeros(40, dtype=int) if video is None else video)


WAVE = np.tile([0.01, -0.01], 20)


def test_only_metrics_of_both_results_are_compared():
    first = of_frames({"a": 0.5, "coco/ar": 0.25, "b": 1.0}, {"coco/ar": WAVE, "b": WAVE})
    second = of_frames({"coco/ar": 0.75, "c": 0.5, "b": 3.0}, {"coco/ar": 2 * WAVE, "c": WAVE})
    found = differences(first, second)
    assert list(found) == ["coco/ar", "b"]
    assert found["coco/ar"].value == 0.5
    # Of b the second result has no parts: a difference without an interval.
    assert found["b"].value == 2
    assert np.isnan(found["b"][1:]).all()
    assert change_of(first, second).keys() == {"coco/ar"}
    assert change_of(first, second)["coco/ar"] == pytest.approx(WAVE)


def test_limits_lie_half_a_width_to_either_side():
    found = judged({"x": 2.0, "y": -1.0}, Spread(np.array([0.5, 0.25]), np.array([9.0, 9.0]), 10))
    reach = stats.t.ppf(0.975, 9)
    assert found["x"] == pytest.approx((2, 2 - 0.5 * reach, 2 + 0.5 * reach, 2 * stats.t.sf(4, 9)))
    assert found["y"][:3] == pytest.approx((-1, -1 - 0.25 * reach, -1 + 0.25 * reach))
    assert list(found) == ["x", "y"]


def test_steps_of_average_precisions_add_to_the_error():
    # The standard deviation of a difference of two rounded numbers is sqrt(2 / 12) of the step.
    step = np.sqrt(2 / 12) / 101
    parts_of = dict.fromkeys(("coco/ar", "coco/ap_50", "coco/ap_75", "coco/ap"), WAVE)
    plain, at_50, at_75, mean = spread_of(parts_of, np.zeros(40)).error
    assert plain > 0
    assert at_50 == at_75 == pytest.approx(np.hypot(plain, step))
    assert mean == pytest.approx(np.hypot(plain, step / np.sqrt(10)))
    still = spread_of({"coco/ap": np.zeros(40)}, np.zeros(40))
    assert still.error.tolist() == [0]
    assert spread_of({}, np.zeros(40)).error.shape == (0,)


def test_the_time_of_errors_is_that_of_the_parts_of_frames():
    # Errors that last for ten frames, around means of their own in two videos.
    random = np.random.default_rng(0)
    found = np.repeat(random.integers(0, 5, 60), 10) + np.repeat([0, 40], 300)
    result = table(found, videos=2, true=100)
    each = parts(result).influence
    centred = np.stack(
        [part - np.repeat([part[:300].mean(), part[300:].mean()], 300) for part in each.values()], 1
    )
    assert time_of_errors(result) == pytest.approx(common_time(centred))
    assert 3 < time_of_errors(result) < 20
    alone = table(found[:300], true=100)
    assert time_of_errors(alone) == pytest.approx(
        common_time(np.stack(list(parts(alone).influence.values()), 1))
    )


def test_counts_of_a_video_are_made_up_for_by_the_others():
    # Six switches: two in the first video, half of the frames, and four in the second.
    found = Parts({}, {}, np.array([0, 0, 1, 1]))
    part = with_identity(
        found, {"identity/switches": 6.0}, {0: {"switches": 4.0}, 1: {"switches": 2.0}}
    )
    # Without the first, 4 in half of the frames are 8 in all: (1 - 1/2) (6 - 8) / 2 for each frame.
    assert part.influence["identity/switches"].tolist() == [-0.5, -0.5, 0.5, 0.5]
    assert part.values == {"identity/switches": 6}


def test_identity_metrics_of_other_videos_are_no_help():
    found = Parts({"a": 1.0}, {}, np.array([0, 1]))
    assert (
        with_identity(found, {"identity/idf1": 1.0}, {0: {"idf1": 1.0}, 2: {"idf1": 1.0}}) is found
    )
    assert with_identity(found, {"identity/idf1": 1.0}, {}) is found


@pytest.mark.parametrize(
    ("n_videos", "frames", "df", "begins"),
    [
        (2, 40, 9.0, "no intervals: 2 videos do not tell how much videos differ, 4 or more do"),
        (4, 40, 3.0, "95% intervals from how much 4 videos differ"),
        (1, 19, np.nan, "no intervals from fewer than 20 labelled frames"),
        (1, 20, np.nan, "no intervals: in these 20 labelled frames neighbours are so alike"),
        (1, 20, 5.0, "95% intervals from 20 labelled frames of one video, for this video only"),
    ],
)
def test_what_intervals_are_based_on(n_videos, frames, df, begins):
    scattered = Spread(np.ones(1), np.array([df]), 4)
    assert basis(np.arange(frames) % n_videos, scattered).startswith(begins)
