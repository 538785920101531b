"""The greedy choice among instances of which some exclude others."""

import numpy as np


def unsuppressed(suppresses: np.ndarray) -> np.ndarray:
    """Choose greedily, in order: an instance stays unless one that stays suppresses it.

    Args:
        suppresses: (n, n) bool, whether the first instance suppresses the second; the best
            instance comes first.

    Returns:
        (n,) bool, true for those that stay.
    """
    keep = np.zeros(len(suppresses), dtype=bool)
    for i in range(len(keep)):
        keep[i] = not suppresses[keep, i].any()
    return keep
