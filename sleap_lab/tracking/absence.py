"""Trackers whose tracks outlive an absence: ByteTrack and OC-SORT, on poses.

Of a track the last pose is known, and a Kalman filter of its place predicts where that pose is now.

* ByteTrack (Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection
  Box"): sure detections are linked with all tracks first, then the others with the tracks that were
  seen in the frame before; only sure ones open tracks.
* OC-SORT (Cao et al. 2023, "Observation-Centric SORT"): the direction of the last steps counts
  beside the similarity; what is left is compared with where a track was last seen; and when a track
  is found again, its filter is run again along the straight way between the two places.

Both compare by OKS or by the overlap of boxes. Beyond the papers the distance of the nodes decides
where nothing is similar (see `doubt`): animals may move further than a box between two frames.
"""

from dataclasses import dataclass

import numpy as np

from sleap_lab.poses.boxes import areas, bounding_boxes
from sleap_lab.poses.record import Poses
from sleap_lab.settings.check_tracker import known_animals
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.assign import hungarian
from sleap_lab.tracking.doubt import body_length, decided, exchangeable, has_twin
from sleap_lab.tracking.features import FEATURES, centroids
from sleap_lab.tracking.similarity import MEASURES, node_distances, scoring
from sleap_lab.tracking.state_space import Rows, advance, correct

UNSURE_SIMILARITY = 0.5  # of an unsure detection with a track (ByteTrack)
FULL_SCORE = 0.9  # quantile of the scores of a video that counts as 1
PLACE_NOISE, SPEED_NOISE = 1 / 20, 1 / 160  # body lengths, of a step (ByteTrack)
FIRST_SPEED_NOISE = 1 / 16  # body lengths per frame
REACH = 3.0  # body lengths from the prediction at which a track goes on where nothing is similar


@dataclass
class Tracks(Rows):
    """The tracks that may go on, m of them, in the order of their ids.

    Attributes:
        id: (m,) ids.
        row: (m,) row of the last pose.
        unseen: (m,) frames since then, 0 in its own frame.
        way: (m, span + 1, 2) px, places where it was seen last, newest last; nan before the first.
        mean: (m, 4) state of the filter now.
        covariance: (m, 4, 4) of it.
        seen_mean: (m, 4) state when it was last seen.
        seen_covariance: (m, 4, 4) of it.
    """

    id: np.ndarray
    row: np.ndarray
    unseen: np.ndarray
    way: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    seen_mean: np.ndarray
    seen_covariance: np.ndarray


class AbsenceLinker:
    """Links the detections of one video to tracks, whose ids count from 0 in order of opening.

    Args:
        poses: All instances of the video; detections are named by their row.
        config: Tracker settings, checked; `method` is bytetrack or ocsort.

    Attributes:
        doubts: Links so far that nothing decided.
        parted: Detections so far that could be of several tracks alike, and were linked with none.
    """

    def __init__(self, poses: Poses, config: TrackerConfig) -> None:
        self.config = config
        self.points = poses.points
        scores = detection_scores(poses)
        self.scores = scores
        self.sure = scores >= config.track_high_threshold
        self.unsure = (scores > config.track_low_threshold) & ~self.sure
        self.may_open = (poses.visible.sum(axis=1) > config.min_new_track_points) & (
            scores >= config.new_track_threshold
        )
        self.length = body_length(poses)
        area = np.full(len(poses), typical_area(poses.points, self.length))
        sizes = np.stack([area, np.maximum(poses.visible.sum(axis=1), 1)], axis=-1)
        self.featurize = FEATURES[config.features]
        self.score = scoring(config, sizes)
        self.worth = MEASURES[config.scoring_method].worth
        self.animals = known_animals(config)
        self.observing = config.method == "ocsort"
        self.opened = self.doubts = self.parted = 0
        # A single animal without extent has no scale; its filter decides nothing.
        self.scale = self.length if np.isfinite(self.length) else 1.0
        place, speed = (self.scale * noise for noise in (PLACE_NOISE, SPEED_NOISE))
        self.process = np.diag(np.square([place, speed, place, speed]))[None]
        self.observation = np.diag(np.square([place, place]))[None]
        self.tracks = self._new(np.zeros(0, dtype=np.intp))

    def link(self, frame: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Link the detections of the next frame.

        Args:
            frame: Frame index; not used, since time is counted in processed frames.
            rows: (k,) rows of the detections.

        Returns:
            Rows that stay in the frame; the track id of each; the score of each link: 1 where a
            track is opened, else the similarity of detection and track.
        """
        tracks = self.tracks
        tracks.mean, tracks.covariance = advance(tracks.mean, tracks.covariance, self.process)
        tracks.unseen = tracks.unseen + 1
        of, scores = np.full(len(rows), -1), np.zeros(len(rows))
        last = self.points[tracks.row]
        moved = last + (tracks.mean[:, ::2] - tracks.way[:, -1])[:, None]
        sure, least = self.sure[rows], self.config.min_match_similarity
        everyone = np.ones(len(tracks.id), dtype=bool)
        self._stage(rows, of, scores, sure, everyone, moved, least, self.observing)
        if self.observing:
            self._stage(rows, of, scores, sure, everyone, last, least)
        else:
            before = tracks.unseen == 1
            self._stage(rows, of, scores, self.unsure[rows], before, moved, UNSURE_SIMILARITY)
        self._nearest(rows, of, sure, moved, last)
        linked = of >= 0
        ids = np.where(linked, tracks.id[of], -1) if len(tracks.id) else of
        self._see(of[linked], rows[linked])
        spare = len(rows) if self.animals is None else self.animals - self.opened
        opening = (~linked & self.may_open[rows]).nonzero()[0][: max(spare, 0)]
        ids[opening], scores[opening] = self.opened + np.arange(len(opening)), 1.0
        self.tracks += self._new(rows[opening])
        if self.animals is None:
            self.tracks = self.tracks[self.tracks.unseen <= self.config.track_buffer]
        stay = ids >= 0
        return rows[stay], ids[stay], scores[stay]

    def _stage(
        self,
        rows: np.ndarray,
        of: np.ndarray,
        scores: np.ndarray,
        wanted: np.ndarray,
        offered: np.ndarray,
        places: np.ndarray,
        least: float,
        observing: bool = False,
    ) -> None:
        """Link free detections with free tracks that are similar enough.

        Args:
            rows: (k,) rows of the detections.
            of: (k,) place among the tracks of each detection, -1 for none; changed.
            scores: (k,) similarity of each link; changed.
            wanted: (k,) bool, detections that take part.
            offered: (m,) bool, tracks that take part.
            places: (m, nodes, 2) px, where each track is expected.
            least: Smallest similarity of a link.
            observing: Whether the direction of the last steps counts.
        """
        which, tracks = _free(of, wanted, offered)
        if not (len(which) and len(tracks)):
            return
        similar = self._similarity(rows[which], places[tracks])
        cost = -similar - (self._momentum(rows[which], tracks) if observing else 0.0)
        distances = node_distances(self.points[rows[which]], places[tracks]) / self.length
        table = decided(np.where(similar >= least, cost, np.inf), distances, self.worth)
        pairs = hungarian(table)
        good = similar[pairs] >= least
        doubt = exchangeable(table, pairs) & good & ~has_twin(self.points[rows[which]])[pairs[0]]
        self.parted += int(doubt.sum())
        chosen, found = pairs[0][good & ~doubt], pairs[1][good & ~doubt]
        of[which[chosen]] = tracks[found]
        scores[which[chosen]] = similar[chosen, found]

    def _nearest(
        self,
        rows: np.ndarray,
        of: np.ndarray,
        sure: np.ndarray,
        moved: np.ndarray,
        last: np.ndarray,
    ) -> None:
        """Link sure detections that are similar to no track with the nearest.

        How far it may be is limited as long as there are ids for new tracks.

        Args:
            rows: (k,) rows of the detections.
            of: (k,) place among the tracks of each detection, -1 for none; changed.
            sure: (k,) bool.
            moved: (m, nodes, 2) px, where each track is expected.
            last: (m, nodes, 2) px, where each track was seen last.
        """
        which, tracks = _free(of, sure, np.ones(len(moved), dtype=bool))
        if not (len(which) and len(tracks)):
            return
        full = self.animals is not None and self.opened >= self.animals
        found = self.points[rows[which]]
        distances = np.fmin(
            node_distances(found, moved[tracks]), node_distances(found, last[tracks])
        )
        table = np.where(distances <= (np.inf if full else REACH * self.length), distances, np.inf)
        pairs = hungarian(table)
        good = np.isfinite(table[pairs])
        doubt = exchangeable(table, pairs) & good & ~has_twin(found)[pairs[0]]
        if full:
            self.doubts += int(doubt.sum())
        else:
            self.parted += int(doubt.sum())
            good &= ~doubt
        of[which[pairs[0][good]]] = tracks[pairs[1][good]]

    def _similarity(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return the similarity of detections and expected poses, (k, m) in [0, 1]."""
        found, expected = self.featurize(self.points[rows]), self.featurize(places[:, None])
        return np.nan_to_num(self.score(rows, found, expected)[..., 0])

    def _momentum(self, rows: np.ndarray, tracks: np.ndarray) -> np.ndarray:
        """Return how well the way to each detection goes on the last steps of each track, (k, m).

        It is `momentum` times the score of the detection, times 1/2 where the direction is kept,
        -1/2 where it turns round, and 0 where either way is no longer than the noise of a place.
        """
        way = self.tracks.way[tracks]
        first = np.take_along_axis(
            way, np.argmax(~np.isnan(way[..., 0]), axis=1)[:, None, None], axis=1
        )[:, 0]
        before = way[:, -1] - first
        after = shifts(self.points[rows][:, None], self.points[self.tracks.row[tracks]])
        turn = np.abs(
            np.arctan2(after[..., 1], after[..., 0]) - np.arctan2(before[:, 1], before[:, 0])
        )
        turn = np.minimum(turn, 2 * np.pi - turn)
        noise = PLACE_NOISE * self.length
        told = (np.hypot(*before.T) > noise) & (np.hypot(after[..., 0], after[..., 1]) > noise)
        kept = np.where(told, 0.5 - turn / np.pi, 0.0)
        return self.config.momentum * self.scores[rows][:, None] * kept

    def _see(self, tracks: np.ndarray, rows: np.ndarray) -> None:
        """Tell the tracks at (n,) places that they were seen as the poses of (n,) rows."""
        own = self.tracks
        place = own.way[tracks, -1] + shifts(self.points[rows], self.points[own.row[tracks]])
        if self.observing:
            self._follow(tracks[own.unseen[tracks] > 1], place[own.unseen[tracks] > 1])
        own.mean[tracks], own.covariance[tracks] = correct(
            own.mean[tracks], own.covariance[tracks], place, self.observation
        )
        own.seen_mean[tracks], own.seen_covariance[tracks] = (
            own.mean[tracks],
            own.covariance[tracks],
        )
        own.way[tracks] = np.concatenate([own.way[tracks, 1:], place[:, None]], axis=1)
        own.row[tracks], own.unseen[tracks] = rows, 0

    def _follow(self, tracks: np.ndarray, places: np.ndarray) -> None:
        """Run the filters of tracks again from where they were seen last, straight to (n, 2) px.

        The last of the observations is left to `_see`.
        """
        own = self.tracks
        for track, place in zip(tracks.tolist(), places, strict=True):
            mean, covariance = own.seen_mean[[track]], own.seen_covariance[[track]]
            start, steps = own.way[track, -1], int(own.unseen[track])
            for step in range(1, steps + 1):
                mean, covariance = advance(mean, covariance, self.process)
                if step < steps:
                    between = (start + (place - start) * step / steps)[None]
                    mean, covariance = correct(mean, covariance, between, self.observation)
            own.mean[track], own.covariance[track] = mean[0], covariance[0]

    def _new(self, rows: np.ndarray) -> Tracks:
        """Return new tracks that begin with the poses of (n,) rows."""
        n, span = len(rows), self.config.momentum_span
        mean = np.zeros((n, 4))
        mean[:, ::2] = place = centroids(self.points[rows])
        spread = self.scale * np.array([2 * PLACE_NOISE, FIRST_SPEED_NOISE] * 2)
        covariance = np.tile(np.diag(spread**2), (n, 1, 1))
        way = np.concatenate([np.full((n, span, 2), np.nan), place[:, None]], axis=1)
        ids = self.opened + np.arange(n)
        self.opened += n
        unseen = np.zeros(n, dtype=np.intp)
        return Tracks(ids, rows, unseen, way, mean, covariance, mean.copy(), covariance.copy())


def _free(of: np.ndarray, wanted: np.ndarray, offered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of detections and tracks that take part and are not linked yet."""
    left = offered.copy()
    left[of[of >= 0]] = False
    return (wanted & (of < 0)).nonzero()[0], left.nonzero()[0]


def shifts(found: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return the mean movement of the shared nodes; without any, that of the centroids.

    Args:
        found: (..., nodes, 2) px; nan where a node was not found.
        before: (..., nodes, 2) px, likewise; the leading axes broadcast.

    Returns:
        (..., 2) px.
    """
    moved = found - before
    shared = ~np.isnan(moved)
    count = shared.sum(axis=-2)
    mean = np.where(shared, moved, 0.0).sum(axis=-2) / np.maximum(count, 1)
    return np.where(count > 0, mean, centroids(found) - centroids(before))


def detection_scores(poses: Poses) -> np.ndarray:
    """Return the mean score of the visible nodes of each detection, (n,) in [0, 1].

    Networks differ in how sure they are: of each video the 0.9 quantile counts as 1. An instance
    that a person labelled has 1.
    """
    visible = poses.visible
    count = np.maximum(visible.sum(axis=1), 1)
    means = np.where(visible, np.nan_to_num(poses.point_scores), 0.0).sum(axis=1) / count
    predicted = means[~poses.user]
    full = np.quantile(predicted, FULL_SCORE) if len(predicted) else 1.0
    return np.where(poses.user, 1.0, np.minimum(means / (full or 1.0), 1.0))


def typical_area(points: np.ndarray, length: float) -> float:
    """Return the median area of the boxes of poses, px²; a tenth of a square body without any.

    The area of a single pose depends on how it lies and on the nodes that are found, the median of
    a video does not.
    """
    own = areas(bounding_boxes(points))
    extended = own[own > 0]
    return float(np.median(extended)) if len(extended) else length**2 / 10
