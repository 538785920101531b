"""The standard error of a series whose neighbours are alike."""

import numpy as np
import pytest
from scipy.signal import lfilter

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
