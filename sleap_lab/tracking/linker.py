"""Matching the detections of one frame after the other with those before."""

from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.assign import MATCHING, Pairs
from sleap_lab.tracking.candidates import Candidates
from sleap_lab.tracking.doubt import (
    UNDECIDED,
    beyond_doubt,
    body_length,
    decided,
    has_twin,
)
from sleap_lab.tracking.features import FEATURES
from sleap_lab.tracking.similarity import (
    MEASURES,
    node_distances,
    pose_sizes,
    reduction,
    scoring,
)

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

    Attributes:
        doubts: Links so far that nothing but the order of the detections decided.
        parted: Detections so far that could be of several tracks alike and opened one of their own.
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
        self.score = scoring(config, pose_sizes(self.points))
        self.worth = MEASURES[config.scoring_method].worth
        self.reduce = reduction(config)
        self.match = MATCHING[config.track_matching_method]
        self.undecided = UNDECIDED[config.track_matching_method]
        self.by_distance = config.undecided == "distance"
        self.length = body_length(poses) if self.by_distance else 1.0
        self.doubts = self.parted = 0
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
            cost, places = self._cost(frame, rows)
            matched, tracks = self._matched(cost, rows, places, spare)
            ids[matched], scores[matched] = candidates.ids[tracks], -cost[matched, tracks]
        opening = ((ids < 0) & may_open).nonzero()[0][:spare]
        if len(opening):
            ids[opening] = candidates.open(len(opening))
        linked = (ids >= 0).nonzero()[0]
        candidates.store(ids[linked], rows[linked])
        if self.kalman:
            self.kalman.observe(frame, ids[linked], rows[linked])
        # The order is that of sleap-nn. So is this rule: poor detections stay, untracked, while
        # local_queues has no track yet.
        if self.config.candidates_method == "fixed_window":
            stay = linked
        elif none_yet:
            stay = ((ids >= 0) | ~may_open).nonzero()[0]
        else:
            stay = np.concatenate([matched, opening])
        return rows[stay], ids[stay], scores[stay]

    def _matched(self, cost: np.ndarray, rows: np.ndarray, places: np.ndarray, spare: int) -> Pairs:
        """Pair detections with tracks; distances decide where costs do not, if that is asked for.

        Args:
            cost: (k, t), inf where they cannot be compared.
            rows: (k,) rows of the detections.
            places: (t, nodes, 2) px, where each track is.
            spare: Number of ids that are left for new tracks.
        """
        table = cost
        if self.by_distance:
            distances = node_distances(self.points[rows], places) / self.length
            table = decided(cost, distances, self.worth)
        pairs = self.match(table)
        if cost.max() < np.inf and beyond_doubt(table, pairs):
            return pairs
        released, doubt = np.isinf(cost[pairs]), self.undecided(table, pairs)
        if self.by_distance:
            # A pose without a visible node is nobody's; two that are the same need no decision.
            known = ~np.isinf(table[pairs])
            pairs, released, doubt = (
                (pairs[0][known], pairs[1][known]),
                released[known],
                doubt[known],
            )
            doubt &= ~has_twin(self.points[rows])[pairs[0]]
            released |= doubt
        spare -= len(rows) - len(pairs[0])
        kept = ~_released(pairs[0], released, self.may_open[rows], spare)
        self.doubts += int((doubt & kept).sum())
        self.parted += int((doubt & ~kept).sum())
        return pairs[0][kept], pairs[1][kept]

    def _cost(self, frame: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cost of linking each detection to each current track, and where tracks are.

        Returns:
            (k, t), inf where they cannot be compared; and (t, nodes, 2) px, the last pose of each
            track, moved to this frame where a motion model is used.
        """
        stored = self.candidates.rows
        places = np.zeros(0)
        if self.by_distance:
            every, newest = np.arange(len(stored)), np.argmax(stored >= 0, axis=1)
            places = self.points[stored[every, newest]]
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
            moved = self.flow.move(self.points[stored], self.frame[stored], frame)
            features = self.featurize(moved)
            if self.by_distance:
                followed = ~np.isnan(moved[every, newest]).all(axis=(1, 2))
                places[followed] = moved[every, newest][followed]
        if self.kalman:
            tracks, last, poses = self.kalman.predict(self.candidates.ids, frame)
            stored = stored.copy()
            stored[tracks] = -1
            stored[tracks, 0] = last
            features[tracks, 0] = self.featurize(poses)
            if self.by_distance:
                places[tracks] = poses
        scores = self.score(rows, detections, features)
        np.copyto(scores, np.nan, where=self.poor[stored])
        return np.fmin(-self.reduce(scores), np.inf), places  # inf instead of nan


def _released(rows: np.ndarray, wanted: np.ndarray, may_open: np.ndarray, spare: int) -> np.ndarray:
    """Return which pairs are given up, so that their detections open tracks while ids are left.

    Args:
        rows: (m,) detection of each pair.
        wanted: (m,) bool, the pairs to give up.
        may_open: (k,) bool, the detections that may open a track.
        spare: Number of ids that are left, those for detections without a pair not counted.
    """
    release = wanted & may_open[rows]
    return release & (np.cumsum(release) <= spare)
