import numpy as np
import pytest

from sleap_lab.tracking.passage import REACH, UNKNOWN, UNSEEN, learn_passage
from sleap_lab.tracking.stretches import joined


def test_nothing_is_known_of_paths_that_are_none():
    passage = learn_passage(joined(2, *np.zeros((2, 0), dtype=int)), np.array([0, 1]))
    # One coming, in two moments, is expected beforehand, and nothing was seen but it.
    assert passage.parting == pytest.approx(np.log(2))
    assert len(passage.hiding) == len(UNKNOWN.hiding) == REACH + 1


def test_what_hiding_and_parting_cost_is_counted():
    # One animal in frames 0 to 9 and again in 12 to 19, another one in frames 5 to 9.
    time = np.array([*range(10), *range(12, 20), *range(5, 10)])
    rows = np.array([*range(17), *range(18, 22)])
    passage = learn_passage(joined(len(time), rows, rows + 1), time)
    # 21 links and 2 comings, with one that is expected: one in 24 detections of an animal is such.
    # 3 comings in 18 moments.
    assert passage.parting == pytest.approx(-np.log(3 / 24) - np.log(3 / 18))
    # Three frames later once, with one that is expected; two frames later never.
    assert passage.hiding[:2].tolist() == [0, 0]
    assert passage.hiding[2] + UNSEEN == pytest.approx(-np.log(1 / 24))
    assert passage.hiding[3] + UNSEEN == pytest.approx(-np.log(2 / 24))
    # Absences of 25 to 32 frames are expected together, an eighth of them of each length.
    assert passage.hiding[32] + UNSEEN == pytest.approx(-np.log(1 / 8 / 24))


def test_of_absences_of_which_nothing_is_known_long_ones_are_rarer():
    assert UNKNOWN.hiding[[1, 2, 4, 32]] == pytest.approx([0, 0, 0, np.log(8)])
    assert UNKNOWN.parting == pytest.approx(np.log(1000))
