"""Gaps: what is learned between them, and the pairs that are so far apart."""

import numpy as np
import pytest

from sleap_lab.tracking import gaps
from sleap_lab.tracking.gaps import GAPS, at_gaps, pairs_by_gap


def in_a_row(n):
    """Rows before and after each of n detections of one stretch."""
    rows = np.arange(n)
    return rows - 1, np.where(rows < n - 1, rows + 1, -1)


def test_gaps_double_with_every_second_one():
    assert GAPS[:3] == (1, 2, 3)
    assert all(later == 2 * gap for gap, later in zip(GAPS[1:], GAPS[3:], strict=False))


def test_between_gaps_it_is_interpolated_over_the_logarithm():
    value = np.arange(10.0) ** 2
    gap = np.array([1, 5, 32, 100, 0, 3])
    part = (np.log(5) - np.log(4)) / (np.log(6) - np.log(4))
    expected = [0, 9 + part * (16 - 9), 81, 81, 0, 4]
    assert at_gaps(gap, value).tolist() == pytest.approx(expected)
    table = np.stack([value, -value], axis=1)
    found = at_gaps(gap, table)
    assert found.shape == (6, 2)
    assert found[:, 1].tolist() == pytest.approx([-one for one in expected])


def test_pairs_are_detections_of_one_stretch_that_are_so_far_apart():
    # One stretch misses frame 2, the other is there in frames 1, 2, 3.
    time = np.array([0, 1, 1, 2, 3, 3, 4])
    after = np.array([1, 4, 3, 5, 6, -1, -1])
    found = pairs_by_gap(time, after)
    assert len(found) == len(GAPS)
    pairs = [list(zip(rows.tolist(), others.tolist(), strict=True)) for rows, others in found]
    assert pairs[0] == [(0, 1), (2, 3), (3, 5), (4, 6)]  # 1 and 4 are two frames apart
    # Two links on, 2 to 5 takes two frames, 0 to 4 and 1 to 6 take three.
    assert pairs[1:] == [[(2, 5)]] + [[]] * 8
    # Row 1 is alone: that rows 0 and 2 are of one stretch, three frames apart, is no link of it.
    rows, others = pairs_by_gap(np.array([0, 0, 3]), np.array([2, -1, -1]))[2]
    assert (rows.tolist(), others.tolist()) == ([], [])


def test_the_pairs_of_a_gap_are_as_many_links_apart():
    pairs = pairs_by_gap(np.arange(40), in_a_row(40)[1])
    for gap, (rows, others) in zip(GAPS, pairs, strict=True):
        assert rows.tolist() == list(range(40 - gap))
        assert (others - rows == gap).all()


def test_of_many_pairs_those_of_whole_moments_are_kept(monkeypatch):
    monkeypatch.setattr(gaps, "MOST", 10)
    # 31 frames of two animals: 60 pairs of neighbours are six times too many.
    time = np.repeat(np.arange(31), 2)
    after = np.where(time < 30, np.arange(62) + 2, -1)
    rows, others = pairs_by_gap(time, after)[0]
    assert time[rows].tolist() == [0, 0, 6, 6, 12, 12, 18, 18, 24, 24]
    assert (others == rows + 2).all()
    monkeypatch.setattr(gaps, "MOST", 30)
    assert set(time[pairs_by_gap(time, after)[0][0]] % 2) == {0}
    monkeypatch.setattr(gaps, "MOST", 60)
    assert len(pairs_by_gap(time, after)[0][0]) == 60
