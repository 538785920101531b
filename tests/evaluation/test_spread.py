"""The standard error of a sum over frames."""

import numpy as np
import pytest
from scipy import stats

from sleap_lab.evaluation.serial import error_of_sum
from sleap_lab.evaluation.spread import (
    Spread,
    error_over_units,
    less,
    over_units,
    pooled_spread,
    spread,
)


def centred(values):
    return values - values.mean(axis=0)


def test_videos_of_equal_size_are_judged_as_scipy_judges_their_means():
    means = np.random.default_rng(0).normal(0.3, 1, (6, 2))
    video = np.repeat(np.arange(6), 10)
    found = spread(np.repeat(centred(means), 10, axis=0) / 60, video)
    test = stats.ttest_1samp(means, 0)
    interval = test.confidence_interval(0.95)
    value = means.mean(axis=0)
    assert found.units == 6
    assert found.chance(value) == pytest.approx(test.pvalue, rel=1e-6)
    assert value - found.half_width(value) == pytest.approx(interval.low, rel=1e-6)
    assert value + found.half_width(value) == pytest.approx(interval.high, rel=1e-6)


def test_frames_within_a_video_do_not_matter_where_there_are_several():
    parts, video = np.random.default_rng(0).normal(size=(40, 1)), np.repeat(np.arange(4), 10)
    moved = np.concatenate([np.random.default_rng(1).permutation(p) for p in np.split(parts, 4)])
    assert spread(moved, video).error == pytest.approx(spread(parts, video).error)


@pytest.mark.parametrize(
    ("sizes", "df"),
    [
        ([10] * 5, 4),
        ([5] * 8, 7),
        ([10] * 3, np.nan),  # too few
    ],
)
def test_degrees_of_freedom_of_units(sizes, df):
    sums = centred(np.random.default_rng(0).normal(size=(len(sizes), 1)))
    assert error_over_units(sums, np.array(sizes))[1] == pytest.approx([df], nan_ok=True)


def test_unequal_videos_count_for_less():
    sums = centred(np.random.default_rng(0).normal(size=(5, 1)))
    _, df = error_over_units(sums, np.array([30, 10, 10, 10, 10]))
    assert 2 < df[0] < 4


def test_the_error_of_unequal_units_is_right_on_average():
    random, size = np.random.default_rng(0), np.array([40, 10, 10, 20, 20])
    weight = size / size.sum()
    means = random.normal(0, 1, (5, 4000))
    total = weight @ means
    error, _ = error_over_units(weight[:, None] * (means - total), size)
    assert np.mean(error**2) == pytest.approx(np.var(total), rel=0.05)


@pytest.mark.parametrize(
    ("units", "value", "half", "chance"),
    [
        (20, 0.5, 0, 2**-19),  # all by as much: a coin that falls on one side twenty times
        (20, 0.0, np.nan, np.nan),  # no difference anywhere shows nothing
        (4, 0.5, np.nan, np.nan),  # four may do so by chance
    ],
)
def test_units_that_are_all_alike(units, value, half, chance):
    found = Spread(np.zeros(1), np.array([3.0]), units)
    assert found.half_width(np.array([value])) == pytest.approx([half], nan_ok=True)
    assert found.chance(np.array([value])) == pytest.approx([chance], nan_ok=True)


def test_rounding_is_no_difference():
    assert less(np.array([0.1 + 0.2, 1.0]), 0.3).tolist() == [0, 0.7]
    assert less(np.array([np.nan, 1.0]), 1.0).tolist()[1] == 0


def test_sums_of_units():
    sums, size = over_units(np.array([[1.0], [2.0], [4.0]]), np.array([7, 7, 9]))
    assert (sums.tolist(), size.tolist()) == ([[3], [4]], [2, 1])


def pooled(here, there, alike):
    """Return the spread of the mean of four units of ten frames, known from five more."""
    return pooled_spread(
        np.repeat(centred(here) / 40, 10, axis=0), np.repeat(np.arange(4), 10),
        np.repeat(centred(there) / 50, 10, axis=0), np.repeat(np.arange(5), 10), alike,
    )  # fmt: skip


def test_units_of_two_parts_are_pooled_as_in_a_two_sample_test():
    here, there = np.random.default_rng(0).normal(size=(4, 1)), [[0.1], [0.9], [-2.0], [0.3], [1.0]]
    there = np.array(there)
    found = pooled(here, there, 10 * np.eye(9))
    variance = (3 * here.var(ddof=1) + 4 * there.var(ddof=1)) / 7
    assert found.error == pytest.approx([np.sqrt(variance / 4)])
    assert found.df == pytest.approx([7])
    assert found.units == 9
    # The two-sample test has the same variance, and the error of the other mean beside it.
    test = stats.ttest_ind(here, there)
    error = (here.mean() - there.mean()) / test.statistic[0]
    assert found.error[0] == pytest.approx(
        abs(error) * np.sqrt((1 / 4) / (1 / 4 + 1 / 5)), rel=1e-6
    )


def test_an_error_over_unequal_units_by_hand():
    # Weights 0.4, 0.2, 0.2, 0.2: their squares add up to 0.28, their cubes to 0.088.
    sums, size = np.array([[0.3], [-0.1], [-0.1], [-0.1]]), np.array([4, 2, 2, 2])
    error, df = error_over_units(sums, size)
    variance = (0.09 / 0.4 + 3 * 0.01 / 0.2) * 0.28 / (1 - 0.28)
    assert error == pytest.approx([np.sqrt(variance)])
    assert df == pytest.approx([(1 - 0.28) ** 2 / (0.28 - 2 * 0.088 + 0.28**2)])


def test_widths_and_chances_by_hand():
    found = Spread(np.array([0.5, np.nan]), np.array([9.0, 9.0]), 10)
    half = found.half_width(np.array([2.0, 2.0]))
    assert half == pytest.approx([0.5 * stats.t.ppf(0.975, 9), np.nan], nan_ok=True)
    for difference in (1.5, -1.5):
        chance = found.chance(np.full(2, difference))
        assert chance == pytest.approx([2 * stats.t.sf(3, 9), np.nan], nan_ok=True)
    # No difference, though units differ: it arises always.
    assert found.chance(np.zeros(2))[0] == 1


@pytest.mark.parametrize(("units", "known"), [(5, False), (6, True)])
def test_so_many_units_that_are_alike_leave_no_doubt(units, known):
    # All to one side by chance: 2 · 0.5^5 = 0.0625 of five, 0.03125 of six.
    found = Spread(np.zeros(1), np.array([3.0]), units)
    assert np.isfinite(found.half_width(np.ones(1))[0]) == known
    assert found.chance(np.ones(1)) == pytest.approx(
        [2 ** (1 - units) if known else np.nan], nan_ok=True
    )


def test_a_single_video_has_its_frames_for_units():
    parts = np.random.default_rng(0).normal(size=(40, 2))
    found = spread(parts, np.full(40, 3))
    error, df = error_of_sum(parts)
    assert found.units == 40
    assert found.error == pytest.approx(error)
    assert found.df == pytest.approx(df)
    two = spread(parts, np.repeat([3, 5], 20))
    assert two.units == 2
    assert np.isnan(two.error).all()


def test_what_is_rounding_depends_on_the_largest_number():
    # A millionth of a millionth of 1000 is 1e-9.
    assert less(np.array([1000, 1 + 0.9e-9]), np.array([1000, 1.0])).tolist() == [0, 0]
    assert less(np.array([1000, 1 + 1.1e-9]), np.array([1000, 1.0]))[1] > 0
    assert less(np.array([1 + 1.1e-9]), np.array([1000.0]))[0] == pytest.approx(-999)
    assert less(np.zeros(0), np.zeros(0)).shape == (0,)
    # An error of less than that share of all parts is none.
    parts = np.tile([[1.0], [-1.0]], (4, 1))
    tiny = spread(parts + 1e-14, np.repeat([0, 1, 2, 3], 2))
    assert tiny.error.tolist() == [0]
    small = spread(
        parts + np.repeat([[1e-9], [0], [0], [-1e-9]], 2, axis=0), np.repeat(range(4), 2)
    )
    assert small.error[0] > 0


def test_pooled_units_of_a_single_one_each():
    one, two = np.array([[0.5]]), np.array([[0.25], [0.25]])
    found = pooled_spread(one, np.array([0]), two, np.array([1, 1]), np.diag([1.0, 2.0]))
    # Of one frame 0.5² / 1 · 1², of two 0.5² / 2 · 2², over the one frame.
    assert found.error == pytest.approx([np.sqrt(0.25 + 0.5)])
    assert (found.df.tolist(), found.units) == ([1], 2)


def test_pooled_units_that_vary_together_are_judged_right_on_average():
    apart = np.abs(np.subtract.outer([0, 1, 5, 6, 2, 3, 4, 7, 8], [0, 1, 5, 6, 2, 3, 4, 7, 8]))
    alike = 10 * 0.5**apart
    random = np.random.default_rng(0)
    means = np.linalg.cholesky(alike) @ random.standard_normal((9, 4000)) / 10
    found = pooled(means[:4], means[4:], alike)
    assert np.mean(found.error**2) == pytest.approx(means[:4].mean(axis=0).var(), rel=0.06)
    # Squares of the estimate scatter as its degrees of freedom have it: 2 / df.
    assert np.var(found.error**2) / np.mean(found.error**2) ** 2 == pytest.approx(
        2 / found.df[0], rel=0.1
    )
    assert found.df[0] < 7
