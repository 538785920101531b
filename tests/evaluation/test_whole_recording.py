"""Error of a whole recording from few labelled frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.whole_recording import (
    errors_of_frames,
    estimate,
    likeness,
    mean_limits,
    predicted,
    share_limits,
    spread_of_mean,
)
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)


def video(frames, videos=1):
    return np.repeat(np.arange(videos), frames // videos)


# --- limits -----------------------------------------------------------------------------


def test_limits_of_a_mean_are_as_many_times_smaller_as_larger():
    assert mean_limits(2.0, 1.0) == pytest.approx((2 / np.exp(0.5), 2 * np.exp(0.5)))


@pytest.mark.parametrize(("bad", "n"), [(0, 50), (7, 50), (50, 50), (1, 20)])
def test_limits_of_a_share_are_those_of_scipy(bad, n):
    expected = stats.binomtest(bad, n).proportion_ci(0.95, method="wilson")
    share = bad / n
    found = share_limits(share, share * (1 - share), n, stats.norm.ppf(0.975))
    assert found == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-12)


# --- estimates --------------------------------------------------------------------------


def test_frames_drawn_at_random_without_signs_are_a_sample_of_a_finite_population():
    random = np.random.default_rng(0)
    labelled = np.sort(random.choice(1000, 50, replace=False))
    error = random.gamma(9, 1, 50)
    found = estimate(labelled, error, np.zeros((1000, 3)), video(1000), share=False)
    squared = error.var(ddof=1) * (1 / 50 - 1 / 1000)
    low, high = found.low, found.high
    assert found.value == error.mean()
    assert (low, high) == found.alone
    half = np.log(high / error.mean()) * error.mean()
    assert half == pytest.approx(stats.t.ppf(0.975, 49) * np.sqrt(squared), rel=0.1)
    assert half >= stats.t.ppf(0.975, 49) * np.sqrt(squared) * (1 - 1e-9)  # never surer


@pytest.mark.parametrize("error", [0.0, 2.0])
def test_distances_that_are_all_alike_have_no_limits(error):
    """Labels that confirm predictions are 0 px off: other frames are not known to be."""
    labelled, signs = np.arange(0, 1000, 20), np.random.default_rng(0).random((1000, 3))
    found = estimate(labelled, np.full(50, error), signs, video(1000), share=False)
    assert found.value == error
    assert np.isnan([found.low, found.high, *found.alone]).all()
    # A share has limits where all are alike: beyond those of Wilson for 0 of 50.
    shared = estimate(labelled, np.zeros(50), signs, video(1000), share=True)
    assert shared.value == 0
    assert shared.high > 1 / (1 + 50 / stats.norm.ppf(0.975) ** 2)


def test_signs_that_tell_the_error_correct_an_unlucky_choice():
    random = np.random.default_rng(0)
    sign = random.gamma(4, 1, 2000)
    error = 2 * sign + 10 + 0.1 * random.standard_normal(2000)
    # By chance the labelled frames are among the better half.
    labelled = np.sort(random.choice(np.flatnonzero(sign < np.median(sign) * 1.5), 60, False))
    found = estimate(labelled, error[labelled], sign[:, None], video(2000), share=False)
    alone = error[labelled].mean()
    assert abs(found.value - error.mean()) < abs(alone - error.mean()) / 2
    assert found.high - found.low < np.ptp(found.alone)


def test_signs_that_tell_nothing_cost_nothing():
    random = np.random.default_rng(0)
    signs, error = random.standard_normal((2000, 6)), random.gamma(9, 1, 2000)
    widths = []
    for _ in range(50):
        labelled = np.sort(random.choice(2000, 50, replace=False))
        found = estimate(labelled, error[labelled], signs, video(2000), share=False)
        widths.append((found.high - found.low) / np.ptp(found.alone))
    assert max(widths) <= 1.05
    assert np.mean(widths) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("share", [False, True])
def test_intervals_hold_the_mean_of_the_recording(share):
    random = np.random.default_rng(1)
    sign = random.standard_normal(1500)
    error = np.exp(0.4 * sign + 0.3 * random.standard_normal(1500))
    error = (error > 1.7).astype(float) if share else error
    held = []
    for _ in range(300):
        labelled = np.sort(random.choice(1500, 50, replace=False))
        found = estimate(labelled, error[labelled], sign[:, None], video(1500), share=share)
        held.append(found.low <= error.mean() <= found.high)
    assert 0.92 < np.mean(held) < 0.985


def test_one_place_tells_little_about_the_rest():
    random = np.random.default_rng(0)
    error = 10 + np.sin(np.arange(3000) / 150) + 0.05 * random.standard_normal(3000)
    near = estimate(np.arange(60), error[:60], np.zeros((3000, 1)), video(3000), share=False)
    assert np.isnan(near.low)
    runs = np.arange(0, 3000, 300)[:, None] + np.arange(6)
    runs = runs.ravel()
    together = estimate(runs, error[runs], np.zeros((3000, 1)), video(3000), share=False)
    drawn = np.arange(25, 3000, 50)
    apart = estimate(drawn, error[drawn], np.zeros((3000, 1)), video(3000), share=False)
    assert not together.high - together.low < 1.5 * (apart.high - apart.low)  # wider, or none


@given(st.integers(0, 10_000), st.integers(1, 3), st.booleans())
def test_an_interval_holds_its_estimate_and_is_possible(seed, videos, share):
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 80))
    labelled = np.sort(random.choice(300, n, replace=False))
    error = random.integers(0, 2, n).astype(float) if share else random.gamma(2, 1, n)
    found = estimate(labelled, error, random.random((300, 4)), video(300, videos), share=share)
    if np.isnan(found.low):
        assert np.isnan(found.alone).all()
        return
    assert 0 <= found.low <= found.value <= found.high
    assert found.high <= 1 or not share
    assert found.high - found.low <= 1.05 * np.ptp(found.alone) + 1e-12


def drawn_runs(random, frames, runs=10, length=5):
    starts = np.sort(random.choice(frames // length, runs, replace=False)) * length
    return (starts[:, None] + np.arange(length)).ravel()


def test_an_estimate_is_not_biased_where_a_part_of_the_recording_is_bad():
    """As long as folds were parts of the time, it was 0.4 standard deviations too large."""
    random = np.random.default_rng(0)
    bad = np.zeros(130)
    bad[random.choice(65, 18, replace=False)] = 1
    signs = np.column_stack([np.where(np.arange(130) % 9 > 0, bad, 0), random.random((130, 4))])
    values = []
    for _ in range(500):
        labelled = np.sort(random.choice(130, 50, replace=False))
        found = estimate(labelled, bad[labelled], signs, video(130), share=True)
        values.append(found.value)
    assert abs(np.mean(values) - bad.mean()) < 0.15 * np.std(values)


def test_a_share_of_bursts_is_held_by_labels_in_runs():
    """Ten runs often hold no burst, and say nothing of how long one lasts."""
    random = np.random.default_rng(0)
    held = []
    for _ in range(150):
        bad = np.zeros(3000)
        while bad.mean() < 0.1:
            start = random.integers(3000)
            bad[start : start + random.geometric(0.05)] = 1
        labelled = drawn_runs(random, 3000)
        found = estimate(labelled, bad[labelled], np.zeros((3000, 1)), video(3000), share=True)
        held.append(not (bad.mean() < found.low or bad.mean() > found.high))
    assert np.mean(held) > 0.9


def test_few_frames_of_which_signs_do_not_tell_are_held():
    """The labels often hold none of them, and nothing scatters."""
    random = np.random.default_rng(0)
    bad = np.zeros(130)
    bad[random.choice(130, 18, replace=False)] = 1
    seen = bad.copy()
    seen[np.flatnonzero(bad)[:3]] = 0
    held = []
    for _ in range(300):
        labelled = np.sort(random.choice(130, 50, replace=False))
        found = estimate(labelled, bad[labelled], seen[:, None], video(130), share=True)
        held.append(found.low <= bad.mean() <= found.high)
    assert np.mean(held) > 0.93


def test_groups_of_neighbours_stay_together_in_a_fold():
    random = np.random.default_rng(0)
    labelled = drawn_runs(random, 400)
    signs, error = random.random((400, 3)), random.random(50)
    before = predicted(labelled, error, signs)
    error[12] += 100
    after = predicted(labelled, error, signs)
    assert (after[10:15] == before[10:15]).all()
    assert (after != before).any()


def test_the_prediction_of_a_frame_does_not_know_its_error():
    random = np.random.default_rng(0)
    labelled, signs = np.arange(0, 100, 2), random.random((100, 3))
    error = random.random(50)
    before = predicted(labelled, error, signs)
    error[7] += 100
    same = predicted(labelled, error, signs) == before
    assert same[7]
    assert same.sum() == 10  # one fold of five


def test_the_distance_of_a_mean_is_that_of_the_whole_matrix():
    random = np.random.default_rng(3)
    labelled = np.sort(random.choice(120, 30, replace=False))
    of = video(120, 2)
    slow = np.sin(np.arange(120) / 8) + 0.1 * random.standard_normal(120)
    shared, time = likeness(labelled, slow[labelled], of)
    place = np.arange(120)
    alike = shared * np.exp(-np.abs(place[:, None] - place) / time) * (of[:, None] == of)
    alike[place, place] = 1
    weight = np.where(np.isin(place, labelled), 1 / 30, 0) - 1 / 120
    own = np.eye(30) - 1 / 30
    inside = alike[np.ix_(labelled, labelled)]
    model = weight @ alike @ weight / np.trace(own @ inside)
    distance, free = spread_of_mean(labelled, slow[labelled], of)
    assert shared > 0.3
    assert distance == pytest.approx(max(model, (1 / 30 - 1 / 120) / 29))
    each = own @ inside
    assert free == pytest.approx(np.trace(each) ** 2 / np.trace(each @ each))


# --- errors of frames --------------------------------------------------------------------


def test_what_is_wrong_with_a_frame():
    truth = make_poses(Skeleton(tuple("abcd")), [SQUARE, SQUARE + 500, SQUARE, SQUARE, SQUARE],
                       frame=[0, 0, 1, 2, 3], user=True)  # fmt: skip
    poses = make_poses(
        truth.skeleton, [SQUARE + 3, SQUARE + 500, SQUARE, SQUARE + 500, SQUARE + 200],
        frame=[0, 0, 1, 1, 3], frames=[(0, i) for i in range(4)],
    )  # fmt: skip
    table = evaluate(truth, poses, EvaluatorConfig(), videos={0: 0}, details=False).table
    bad, error = errors_of_frames(table)
    # both found; one that is none; missed; far off
    assert bad.tolist() == [0, 1, 1, 1]
    assert error == pytest.approx([3 * np.sqrt(2) / 2, 0, np.nan, np.nan], nan_ok=True)


def test_what_is_wrong_with_a_frame_of_centroids():
    config = EvaluatorConfig(match_method="centroid")
    truth = make_poses(Skeleton(("a",)), [[[0, 0]], [[0, 0]], [[9, 9]]], frame=[0, 1, 2], user=True)
    poses = make_poses(truth.skeleton, [[[3, 4]], [[0, 0]], [[500, 0]]], frame=[0, 1, 1],
                       frames=[(0, i) for i in range(3)])  # fmt: skip
    table = evaluate(truth, poses, config, videos={0: 0}, details=False).table
    bad, error = errors_of_frames(table)
    assert bad.tolist() == [0, 1, 1]
    assert error == pytest.approx([5, 0, np.nan], nan_ok=True)
