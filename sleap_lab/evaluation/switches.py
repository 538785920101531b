"""The places of identity switches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from sleap_lab.evaluation.match import SIMILARITY_THRESHOLD
from sleap_lab.evaluation.sequences import TrackSequence


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


def identity_switches(sequences: Sequence[TrackSequence]) -> list[Switch]:
    """List the identity switches that CLEAR counts; TrackEval does not report their places.

    Per frame, predictions are assigned so that pairs of the frame before are kept, then similarity
    is largest. A switch is a true track whose prediction differs from the one it was last assigned,
    however long ago.
    """
    switches = []
    for sequence in sequences:
        last: dict[int, int] = {}  # true id -> predicted id it was last assigned
        before: dict[int, int] = {}  # the same, of the previous frame alone
        for frame, truth_ids, pose_ids, similarity, neighbours in zip(
            sequence.frames,
            sequence.truth_ids,
            sequence.pose_ids,
            sequence.similarities,
            sequence.neighbours,
            strict=True,
        ):
            if not (len(truth_ids) and len(pose_ids)):
                continue
            kept = np.equal.outer(
                np.array([before.get(truth_id, -1) for truth_id in truth_ids]), pose_ids
            )
            score = np.where(similarity >= SIMILARITY_THRESHOLD, 1000 * kept + similarity, 0)
            rows, columns = linear_sum_assignment(-score)
            matched = score[rows, columns] > 0
            before = dict(
                zip(
                    truth_ids[rows[matched]].tolist(),
                    pose_ids[columns[matched]].tolist(),
                    strict=True,
                )
            )
            for truth_id, pose_id in before.items():
                if last.get(truth_id, pose_id) != pose_id:
                    names = (
                        sequence.truth_names[truth_id],
                        sequence.pose_names[last[truth_id]],
                        sequence.pose_names[pose_id],
                    )
                    neighbour = neighbours[truth_ids.tolist().index(truth_id)]
                    switches.append(
                        Switch(sequence.video, sequence.pose_video, frame, *names, *neighbour)
                    )
            last |= before
    return switches
