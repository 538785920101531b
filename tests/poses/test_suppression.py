"""The greedy choice."""

import numpy as np

from sleap_lab.poses.suppression import unsuppressed


def test_unsuppressed():
    suppresses = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert unsuppressed(suppresses).tolist() == [True, False, True]
