"""Matching the detections of one frame after the other with those before."""

from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.assign import MATCHING, Pairs
from sleap_lab.tracking.candidates import Candidates
from sleap_lab.tracking.features import FEATURES
from sleap_lab.tracking.similarity import pose_sizes, reduction, scoring

if TYPE_CHECKING:
    from sleap_lab.tracking.appearance import Appearance
    from sleap_lab.tracking.flow import Flow
    from sleap_lab.tracking.kalman import Kalman


class Linker:
    """Links the detections of one video to tracks, whose ids count from 0 in order of opening.

    Args:
        poses: All instances of the video; detections are named by their row.
        config: Tracker settings, checked.
        flow: Moves earlier poses to the current frame, if optical flow is used.
        kalman: Predicts the poses of tracks, if Kalman filters are used.
        appearance: What the image shows around each detection, if that is compared.
    """

    def __init__(
        self,
        poses: Poses,
        config: TrackerConfig,
        *,
        flow: "Flow | None" = None,
        kalman: "Kalman | None" = None,
        appearance: "Appearance | None" = None,
    ) -> None:
        # One pose without visible nodes at the end: the row -1 of an empty place among the
        # candidates refers to it.
        self.points = np.concatenate([poses.points, np.full((1, *poses.points.shape[1:]), np.nan)])
        visible = np.append(poses.visible.sum(axis=1), 0)
        self.may_open = visible > config.min_new_track_points
        self.poor = visible <= config.min_match_points
        self.frame = np.append(poses.frame, -1)
        self.appearance = appearance
        if appearance is None:
            self.featurize = FEATURES[config.features]
            self.features = self.featurize(self.points)
        self.score = scoring(config)
        self.sizes = pose_sizes(self.points) if config.scoring_method == "oks" else None
        self.reduce = reduction(config)
        self.match = MATCHING[config.track_matching_method]
        self.candidates = Candidates(config.candidates_method, config.tracking_window_size)
        self.flow = flow
        self.kalman = kalman
        self.config = config
        self.frame_before = -1

    def link(self, frame: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Link the detections of the next frame.

        Args:
            frame: Frame index, larger than that of the frame before.
            rows: (k,) rows of the detections.

        Returns:
            Rows that stay in the frame, in output order; the track id of each, -1 for one that
            stays as it was; the score of each link: 1 where a track is opened, else the similarity
            of detection and track, -inf where they cannot be compared.
        """
        candidates = self.candidates
        none_yet = not candidates.opened
        if self.config.window_by_frame_number:
            candidates.age(frame - self.frame_before - 1)
        self.frame_before = frame
        if self.kalman and not none_yet:
            self.kalman.update(frame)
        may_open = self.may_open[rows]
        spare = (
            len(rows)
            if self.config.max_tracks is None
            else self.config.max_tracks - candidates.opened
        )
        ids, scores = np.full(len(rows), -1), np.ones(len(rows))
        matched = rows[:0]
        if len(rows) and len(candidates.ids):
            cost = self._cost(frame, rows)
            matched, tracks = _release(self.match(cost), cost, may_open, spare)
            ids[matched], scores[matched] = candidates.ids[tracks], -cost[matched, tracks]
        opening = ((ids < 0) & may_open).nonzero()[0][:spare]
        ids[opening] = candidates.open(len(opening))
        linked = ids >= 0
        candidates.store(ids[linked], rows[linked])
        if self.kalman:
            self.kalman.observe(frame, ids[linked], rows[linked])
        # The order is that of sleap-nn. So is this rule: poor detections stay, untracked, while
        # local_queues has no track yet.
        if self.config.candidates_method == "fixed_window":
            stay = linked.nonzero()[0]
        elif none_yet:
            stay = (linked | ~may_open).nonzero()[0]
        else:
            stay = np.concatenate([matched, opening])
        return rows[stay], ids[stay], scores[stay]

    def _cost(self, frame: int, rows: np.ndarray) -> np.ndarray:
        """Return the cost of linking each detection to each current track, (k, t).

        inf where they cannot be compared.
        """
        stored = self.candidates.rows
        if self.appearance:
            described = self.appearance.describe(np.append(rows, stored))
            detections, features = (
                described[: len(rows)],
                described[len(rows) :].reshape(*stored.shape, -1),
            )
        else:
            detections, features = (
                self.features.take(rows, axis=0),
                self.features.take(stored, axis=0),
            )
        if self.flow:
            features = self.featurize(
                self.flow.move(self.points[stored], self.frame[stored], frame)
            )
        if self.kalman:
            tracks, last, poses = self.kalman.predict(self.candidates.ids, frame)
            stored = stored.copy()
            stored[tracks] = -1
            stored[tracks, 0] = last
            features[tracks, 0] = self.featurize(poses)
        scores = (
            self.score(detections, features)
            if self.sizes is None
            else self.score(detections, features, sizes=self.sizes[rows])
        )
        np.copyto(scores, np.nan, where=self.poor[stored])
        return np.fmin(-self.reduce(scores), np.inf)  # inf instead of nan


def _release(pairs: Pairs, cost: np.ndarray, may_open: np.ndarray, spare: int) -> Pairs:
    """Leave out incomparable pairs whose detection may open a track, while ids are left.

    Ids are reserved for the detections without a pair first.
    """
    rows, columns = pairs
    impossible = np.isinf(cost[rows, columns])
    if not impossible.any():
        return pairs
    release = impossible & may_open[rows]
    release &= np.cumsum(release) <= spare - (len(cost) - len(rows))
    return rows[~release], columns[~release]
