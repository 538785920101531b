"""How often animals come, go and hide, and for how long they hide, learned from their paths.

Where animals come and go, one that ends and one that begins may be two. Whether they are one is a
matter of place and of time: how likely an animal that is gone is to be back after so many frames,
against one going for good and another coming. Costs are negative logarithms of likelihoods.
"""

from typing import NamedTuple

import numpy as np

from sleap_lab.tracking.gaps import GAPS
from sleap_lab.tracking.motion import LEAP
from sleap_lab.tracking.stretches import Stretches

REACH = GAPS[-1]  # frames over which stretches are joined where animals come and go
UNSEEN = 3.0  # cost of not being seen for a while
WIDTH = np.diff(GAPS)  # gaps that are counted together, without those of a single frame
FEW = 1.0  # absences of each of these kinds that are expected beforehand


class Passage(NamedTuple):
    """What coming, going and hiding cost.

    Attributes:
        hiding: (REACH + 1,) cost of being seen again after so many frames, beyond `UNSEEN`.
        parting: Cost of one animal going and another one coming, wherever.
    """

    hiding: np.ndarray
    parting: float


UNKNOWN = Passage(
    np.concatenate([[0.0, 0.0], np.log(np.repeat(WIDTH, WIDTH))]), float(-np.log(LEAP))
)
"""What is assumed where nothing is known: of gaps, twice as long ones are as common."""


def learn_passage(stretches: Stretches, time: np.ndarray) -> Passage:
    """Learn from paths that animals take; things that are seen once are none.

    Args:
        stretches: Detections joined to paths.
        time: (n,) time of each detection.
    """
    to = (stretches.before >= 0).nonzero()[0]
    gap = time[to] - time[stretches.before[to]]
    absences = np.histogram(gap, np.array(GAPS) + 1)[0] + FEW
    # Whoever is there at the start has not come, but counts as one: never is not known.
    comings = float(((stretches.before < 0) & (stretches.after >= 0)).sum()) + FEW
    moments, seen = len(np.unique(time)), float(len(to)) + comings
    likely = np.repeat(absences / WIDTH, WIDTH) / seen
    hiding = np.concatenate([[0.0, 0.0], -np.log(likely) - UNSEEN])
    return Passage(hiding, float(-np.log(comings / seen) - np.log(comings / moments)))
