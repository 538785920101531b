"""The places of identity switches."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.match import SIMILARITY_THRESHOLD
from sleap_lab.evaluation.sequences import TrackSequence

KEPT = 1000
"""Worth of a pair that is kept, as in TrackEval: more than the similarities of a frame together."""
EPSILON = float(np.finfo(np.float64).eps)
"""By so much a similarity may miss the threshold by rounding, as in TrackEval."""


class Switch(NamedTuple):
    """A true track that is followed by another predicted track than when it was last found.

    Attributes:
        video: Index of the video in the ground truth.
        pose_video: Index of the video in the predictions.
        frame: First frame with the new predicted track.
        truth_track: Name of the true track.
        from_track: Name of the predicted track that followed it before.
        to_track: Name of the predicted track that follows it now.
        nearest_track: Name of the true track of the nearest other animal in that frame; empty
            where there is none.
        nearest_distance: Distance to that animal, px between the means of the visible nodes; nan
            where the animal is alone.
    """

    video: int
    pose_video: int
    frame: int
    truth_track: str
    from_track: str
    to_track: str
    nearest_track: str
    nearest_distance: float


def clear_matches(
    sequence: TrackSequence, threshold: float = SIMILARITY_THRESHOLD
) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield the position of each frame with instances on both sides, and its matches in CLEAR.

    Predictions are assigned so that pairs of the frame before are kept, then similarity is largest.

    Args:
        sequence: The tracks of both sides.
        threshold: Smallest similarity of a match.

    Yields:
        Position of the frame, and true id -> predicted id.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    before: dict[int, int] = {}
    for at, (truth_ids, pose_ids, similarity) in enumerate(
        zip(sequence.truth_ids, sequence.pose_ids, sequence.similarities, strict=True)
    ):
        if not (len(truth_ids) and len(pose_ids)):
            continue
        kept = np.equal.outer(
            np.array([before.get(truth_id, -1) for truth_id in truth_ids]), pose_ids
        )
        score = np.where(similarity >= threshold - EPSILON, KEPT * kept + similarity, 0)
        rows, columns = linear_sum_assignment(-score)
        matched = score[rows, columns] > EPSILON
        before = dict(
            zip(
                truth_ids[rows[matched]].tolist(),
                pose_ids[columns[matched]].tolist(),
                strict=True,
            )
        )
        yield at, before


def identity_switches(sequences: Sequence[TrackSequence]) -> list[Switch]:
    """List the identity switches that CLEAR counts; TrackEval does not report their places.

    A switch is a true track whose prediction differs from the one it was last assigned, however
    long ago.
    """
    switches = []
    for sequence in sequences:
        last: dict[int, int] = {}  # true id -> predicted id it was last assigned
        for at, matches in clear_matches(sequence):
            for truth_id, pose_id in matches.items():
                if last.get(truth_id, pose_id) != pose_id:
                    names = (
                        sequence.truth_names[truth_id],
                        sequence.pose_names[last[truth_id]],
                        sequence.pose_names[pose_id],
                    )
                    place = sequence.truth_ids[at].tolist().index(truth_id)
                    switches.append(
                        Switch(
                            sequence.video,
                            sequence.pose_video,
                            sequence.frames[at],
                            *names,
                            *sequence.neighbours[at][place],
                        )
                    )
            last |= matches
    return switches
