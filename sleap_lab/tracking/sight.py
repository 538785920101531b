"""How much of an animal is seen: who is half hidden now was half hidden a moment ago.

Where animals lie on each other, the one on top shows all of itself and the other one little, and
that changes slowly compared with the frames.
"""

from dataclasses import dataclass

import numpy as np

from sleap_lab.tracking.gaps import GAPS, Pairs

LEVELS = 6  # shares of nodes that are told apart
EDGES = (1, 2, 4, 8)  # longest gaps, in frames, that are learned together; beyond, nothing is said
PRIOR = 4.0  # links as which it counts that one moment tells nothing of the next


@dataclass(frozen=True)
class Sight:
    """How likely shares of visible nodes follow each other.

    Attributes:
        level: (n,) int, of each detection.
        surprise: (gaps, levels, levels) cost of a level after a level, against that of any.
    """

    level: np.ndarray
    surprise: np.ndarray

    def cost(self, gap: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the cost of links.

        Args:
            gap: (k,) frames between.
            rows: (k,) rows of the earlier detections.
            others: (k,) rows of the later ones.
        """
        which = np.searchsorted(EDGES, np.abs(gap))
        return self.surprise[which, self.level[rows], self.level[others]]


def learn_sight(points: np.ndarray, pairs: list[Pairs]) -> Sight:
    """Learn from detections of which there is no doubt that they are one animal.

    Args:
        points: (n, nodes) complex; nan where a node was not found.
        pairs: Rows of earlier and of later detections, for each gap of `GAPS`.
    """
    share = (~np.isnan(points)).mean(axis=1)
    level = np.ceil(share * LEVELS).astype(np.intp) - 1
    usual = np.bincount(level, minlength=LEVELS) + 1 / LEVELS
    usual = usual / usual.sum()
    count = np.zeros((len(EDGES) + 1, LEVELS, LEVELS))
    for edge, (rows, others) in zip(np.searchsorted(EDGES, GAPS), pairs, strict=True):
        np.add.at(count[edge], (level[rows], level[others]), 1)
    count += count.transpose(0, 2, 1)  # time may run either way
    chance = (count + PRIOR * usual) / (count.sum(axis=2, keepdims=True) + PRIOR)
    surprise = -np.log(chance / usual)
    surprise[-1] = 0.0
    return Sight(level, (surprise + surprise.transpose(0, 2, 1)) / 2)
