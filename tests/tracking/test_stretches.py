"""Stretches of two animals: one is rows 0, 2 and 5, the other rows 1 and 4; row 3 is alone."""

import numpy as np
import pytest

from sleap_lab.tracking.stretches import Stretches, joined, slots

STRETCHES = joined(6, np.array([0, 2, 1]), np.array([2, 5, 4]))


def test_links_form_stretches():
    assert STRETCHES.before.tolist() == [-1, -1, 0, -1, 1, 2]
    assert STRETCHES.after.tolist() == [2, 4, 5, -1, -1, -1]
    none = joined(2, np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    assert (none.before.tolist(), none.after.tolist()) == ([-1, -1], [-1, -1])


def test_each_detection_knows_both_ends_of_its_stretch():
    assert STRETCHES.first().tolist() == [0, 1, 0, 3, 1, 0]
    assert STRETCHES.last().tolist() == [5, 4, 5, 3, 4, 5]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 9, 100])
def test_the_ends_of_long_stretches_are_found(length):
    rows = np.arange(length)
    stretches = Stretches(rows - 1, np.where(rows + 1 < length, rows + 1, -1))
    assert stretches.first().tolist() == [0] * length
    assert stretches.last().tolist() == [length - 1] * length


def test_rows_are_laid_out_by_moment_in_their_order():
    at, table = slots(np.array([7, 3, 7, 9, 7, 3]))
    assert at.tolist() == [3, 7, 9]
    assert table.tolist() == [[1, 5, -1], [0, 2, 4], [3, -1, -1]]
    assert slots(np.zeros(0, dtype=int))[1].shape == (0, 0)
