"""The standard error of a series whose neighbours are alike."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import lfilter

from sleap_lab.evaluation import serial
from sleap_lab.evaluation.serial import (
    FEWEST_FRAMES,
    MOST_WAVES,
    common_time,
    correlation_time,
    error_of_sum,
    pieces,
    variance_of_sum,
)


def alike(n, m, time, seed=0):
    """Return (n, m) series that forget exponentially, with a standard deviation of 1."""
    random, keep = np.random.default_rng(seed), np.exp(-1 / time) if time else 0
    start, noise = random.standard_normal((1, m)), random.standard_normal((n, m))
    return lfilter([np.sqrt(1 - keep**2)], [1, -keep], noise, axis=0, zi=keep * start)[0]


def test_all_waves_give_the_variance_of_independent_frames():
    series = np.random.default_rng(0).random((30, 3))
    found = variance_of_sum(series, np.full(3, 29), np.zeros(3))
    assert found == pytest.approx(30 * series.var(axis=0, ddof=1), rel=1e-9)


def test_one_wave_is_worked_out_by_hand():
    # cos(pi / 8), cos(3 pi / 8) and their opposites, times sqrt(2 / 4)
    wave = np.cos(np.pi * np.array([1, 3, 5, 7]) / 8) * np.sqrt(0.5)
    series = np.array([[3.0], [1.0], [4.0], [1.0]])
    weight = (wave * [3, 1, 4, 1]).sum()
    plain = variance_of_sum(series, np.array([1]), np.array([0.0]))
    assert plain == pytest.approx(4 * weight**2)
    # A correlation time of one frame divides by the spectrum there, 1 / (1 + (pi / 4)²).
    white = variance_of_sum(series, np.array([1]), np.array([1.0]))
    assert white == pytest.approx(4 * weight**2 * (1 + (np.pi / 4) ** 2))


@pytest.mark.parametrize("time", [3, 10, 40])
def test_the_correlation_time_is_found(time):
    found = np.median(correlation_time(alike(200 * time, 50, time)))
    assert 0.8 * time < found < 1.6 * time  # the longest of three, so rather too long


def test_independent_frames_have_hardly_a_correlation_time():
    assert np.median(correlation_time(alike(1000, 50, 0))) < 5
    assert (correlation_time(np.tile([[1.0], [-1.0]], (50, 1))) == 0).all()  # unlike neighbours
    assert correlation_time(np.ones((100, 1))) == 0  # a constant


def test_a_slow_part_shows_below_noise():
    slow, noise = alike(4000, 40, 40), np.random.default_rng(1).standard_normal((4000, 40))
    assert np.median(correlation_time(slow + 2 * noise)) > 15


def test_the_common_time_ignores_what_does_not_vary():
    series = alike(400, 8, 10)
    useless = np.stack([np.ones(400), np.full(400, np.nan)], axis=1)
    assert common_time(np.concatenate([series, useless], axis=1)) == common_time(series) > 5
    assert common_time(useless) == 0


def test_pieces_keep_the_sum():
    series = np.random.default_rng(0).random((1000, 2))
    assert pieces(series).shape == (128, 2)
    assert pieces(series).sum(axis=0) == pytest.approx(series.sum(axis=0))
    assert pieces(series[:100]) is not None
    assert len(pieces(series[:100])) == 100


@pytest.mark.parametrize(("n", "time"), [(100, 0), (400, 4), (2000, 20)])
def test_the_error_of_a_mean_is_right_on_average(n, time):
    series = alike(n, 2000, time)
    errors = []
    for column in series.T:  # one by one, as the common time is that of a single metric
        error, df = error_of_sum(column[:, None])
        errors += [error[0] / n] if df[0] > 0 else []
    assert len(errors) > 1900
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(series.mean(axis=0).std(), rel=0.12)


def test_degrees_of_freedom_fall_with_the_correlation_time():
    fast, slow = (error_of_sum(alike(1000, 20, time))[1] for time in (1, 20))
    assert fast.max() == MOST_WAVES - 1
    assert np.nanmedian(slow) < np.median(fast) / 2


def test_series_that_are_too_short_have_no_error():
    assert np.isnan(error_of_sum(alike(FEWEST_FRAMES - 1, 2, 0))).all()
    assert not np.isnan(error_of_sum(alike(FEWEST_FRAMES, 2, 0, seed=3))).any()
    assert np.isnan(error_of_sum(alike(100, 8, 30))).all()  # three correlation times


# --- step by step -----------------------------------------------------------------------


def test_pieces_are_as_equal_as_can_be():
    # Of seven frames in three pieces the borders are at 0, 7 // 3 = 2 and 14 // 3 = 4.
    series = np.array([[1.0], [2], [4], [8], [16], [32], [64]])
    assert pieces(series, 3).tolist() == [[1 + 2], [4 + 8], [16 + 32 + 64]]
    assert pieces(series, 7) is series
    assert pieces(series, 8) is series


def test_the_correlation_of_neighbouring_pieces_says_the_correlation_time():
    # With a correlation of exp(-|s - t| / time) two neighbouring pieces correlate as its mean over
    # both, against its mean over one of them with itself.
    for length, time in ((4.0, 8.0), (2.0, 0.5), (1.5, 10.0)):
        x = length / time
        across = (1 - np.exp(-x)) ** 2 / x**2
        within = 2 * (x - 1 + np.exp(-x)) / x**2
        found = serial._time_of(np.array([across / within]), length)
        assert found == pytest.approx([time], rel=1e-3)
    # Of single frames: exp(-1 / 8).
    assert serial._time_of(np.array([np.exp(-1 / 8)]), 1) == pytest.approx([8])
    assert serial._time_of(np.array([np.exp(-1 / 8)]), 1.0) == pytest.approx([8])
    assert serial._time_of(np.array([-0.5]), 1) == pytest.approx([-1 / np.log(1e-9)])
    # The table holds from 50 correlation times to a hundredth.
    assert serial._time_of(np.array([0.0, 0.9999]), 2.0) == pytest.approx([2 / 50, 2 / 0.01])


def correlation_by_hand(series, most=128):
    """The correlation time of one series: the longest of what frames, twos and fours show."""
    if len(series) > most:
        at = [k * len(series) // most for k in range(most)] + [len(series)]
        cut = [sum(series[a:b]) for a, b in pairwise(at)]
    else:
        cut = list(series)
    length, longest = len(series) / len(cut), 0.0
    for joined in (1, 2, 4):
        n = len(cut) // joined
        if n < 16:
            break
        part = np.array([np.mean(cut[joined * k : joined * (k + 1)]) for k in range(n)])
        part -= part.mean()
        found = sum(a * b for a, b in pairwise(part)) / sum(part**2)
        found = min(found + (1 + 3 * found) / n, 0.999)
        # Of pieces longer than a frame, what chance does one time in 20 does not count.
        if found > (1.64 / np.sqrt(n) if length * joined > 1 else 0):
            x = np.geomspace(50, 0.01, 2000)
            told = (1 - np.exp(-x)) ** 2 / (2 * (x - 1 + np.exp(-x)))
            each = (
                -1 / np.log(max(found, 1e-9))
                if length * joined == 1
                else length * joined / np.interp(found, told, x)
            )
            longest = max(longest, each)
    return longest


@pytest.mark.parametrize("n", [15, 16, 31, 32, 40, 63, 64, 100, 128, 129, 300])
@pytest.mark.parametrize("time", [0, 1, 5, 80])
def test_the_correlation_time_is_the_longest_that_pieces_show(n, time):
    series = alike(n, 6, time, seed=n + time)
    found = correlation_time(series)
    expected = [correlation_by_hand(column) for column in series.T]
    assert found == pytest.approx(expected)


def test_series_that_rise_all_the_way_have_a_long_time():
    # Their correlation is taken as 0.999 at most.
    found = correlation_time(np.arange(20.0)[:, None] ** 0)
    assert found == 0
    rising = correlation_time(np.repeat([0.0, 1.0], 2000)[:, None])
    assert rising == pytest.approx(correlation_by_hand(np.repeat([0.0, 1.0], 2000)))
    assert rising > 1000


def test_the_common_time_is_a_quantile_of_those_that_vary():
    series = alike(300, 5, 6)
    times = correlation_time(series)
    assert common_time(series) == pytest.approx(np.quantile(times, 0.75))
    flat = np.concatenate([series, np.zeros((300, 3))], axis=1)
    assert common_time(flat) == pytest.approx(np.quantile(times, 0.75))
    some = series.copy()
    some[5, 0] = np.nan
    assert common_time(some) == pytest.approx(np.quantile(times[1:], 0.75))
    # One that varies only in its last frame varies.
    late = np.zeros((300, 1))
    late[-1] = 1
    assert common_time(late) == pytest.approx(correlation_time(late)[0])


def test_each_series_has_its_own_number_of_waves():
    series, n = np.random.default_rng(0).random((12, 2)), 12
    found = variance_of_sum(series, np.array([2, 3]), np.array([0.5, 1.5]))
    for column, waves, time, variance in zip(series.T, (2, 3), (0.5, 1.5), found, strict=True):
        total = 0.0
        for wave in range(1, waves + 1):
            cosine = np.sqrt(2 / n) * np.cos(np.pi * wave * (np.arange(n) + 0.5) / n)
            total += (cosine @ column) ** 2 * (1 + (np.pi * wave * time / n) ** 2)
        assert variance == pytest.approx(n * total / waves)


@pytest.mark.parametrize(("n", "time"), [(20, 0), (60, 1), (200, 2), (200, 4), (500, 3)])
def test_the_error_of_a_sum_is_that_of_its_waves(n, time):
    series = alike(n, 3, time, seed=4)
    error, df = error_of_sum(series)
    own = correlation_time(series)
    each = np.maximum(own, np.quantile(own, 0.75))
    cut = pieces(series)
    for k, one in enumerate(each.tolist()):
        times = n / one if one else np.inf
        if times < 25:
            assert np.isnan([error[k], df[k]]).all()
            continue
        # 0.14 waves per correlation time, at least 2, at most 24 or a quarter of the pieces
        waves = int(min(max(0.14 * times, 2), 24, len(cut) // 4))
        variance = variance_of_sum(cut[:, [k]], np.array([waves]), np.array([one * len(cut) / n]))
        assert error[k] == pytest.approx(np.sqrt(variance[0]))
        assert df[k] == waves - 1
