"""What speaks for a link of two detections: motion, direction and posture, and how much is seen."""

from dataclasses import dataclass

import numpy as np

from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.ends import State, compare, extent, know
from sleap_lab.tracking.gaps import pairs_by_gap
from sleap_lab.tracking.motion import Motion, learn_motion
from sleap_lab.tracking.sight import Sight, learn_sight
from sleap_lab.tracking.stretches import Stretches
from sleap_lab.tracking.turns import Turns, learn_turns


@dataclass(frozen=True)
class Evidence:
    """What was learned of a video; its costs are negative logarithms of likelihoods, and add up.

    Attributes:
        state: What is known about each detection.
        motion: Where animals are some frames later.
        turns: How much they turn and bend.
        sight: How much of them is seen.
        jitter: Variance of the place of a node, per axis.
    """

    state: State
    motion: Motion
    turns: Turns
    sight: Sight
    jitter: float

    @property
    def anywhere(self) -> float:
        """Cost of a place of which nothing is known."""
        return self.motion.anywhere

    def cost(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the cost of links.

        Args:
            rows: (k,) rows of the earlier detections.
            others: (k,) rows of the later ones.
        """
        seen = compare(self.state, rows, others)
        # The mean of a few nodes is off by their noise, and by what the body turns about it.
        blur = seen.noise * self.jitter + 0.5 * seen.lie * self.turns.variance(seen.gap)
        place = self.motion.cost(self.state, rows, others, seen, blur)
        turn = self.turns.cost(seen.gap, seen.turn, self.jitter * seen.swing)
        return place + turn + self.sight.cost(seen.gap, rows, others)


def learn(bodies: Bodies, time: np.ndarray, stretches: Stretches, rows: np.ndarray) -> Evidence:
    """Learn from stretches of detections of which there is little doubt.

    Args:
        bodies: The detections.
        time: (n,) int, time of each.
        stretches: Detections joined to stretches.
        rows: Rows of which links are asked for afterwards.
    """
    pairs = pairs_by_gap(time, stretches.after)
    asked = np.zeros(len(time), dtype=bool)
    for some in (rows, *(end for pair in pairs for end in pair)):
        asked[some] = True
    state = know(bodies, time, stretches.before, stretches.after, asked.nonzero()[0])
    seen = [compare(state, *pair) for pair in pairs]
    turns = learn_turns([each.turn for each in seen])
    nodes = max(len(bodies.body) - 1, 1)
    # The noise of all nodes makes the shortest turns look as large as they are, at most.
    jitter = float(turns.variance(np.ones(1))[0]) * extent(bodies) / (4 * nodes)
    motion = learn_motion(state, pairs, seen)
    return Evidence(state, motion, turns, learn_sight(bodies.points, pairs), jitter)
