"""Kalman filters per track: where an animal should be now if its motion continues.

The rules are those that sleap-nn 0.3.5 follows, derived from its results
(`tests/tracking/make_kalman_cases.py`). Let c be the centroid of the chosen nodes; it exists where
at least half of them are found.

* Fit: a run of consecutive frames is fitted if at least 2 of them hold an observation and its end
  is no more frames old than the gap. The step is |c_last - c_first| / (t_last - t_first) over the
  frames that have a centroid, 0 with fewer than two; gate = max(40, 8 step) px and
  limit = max(15, 3 step) px per frame. Centroids 0, 8, 16, -, - px: step 8, not 4, hence gate
  64 px.
* Start: a node starts where it is first seen; a node that is never seen starts at the mean of these
  places: (0, 0), (10, 0) and (10, 10) give (6.67, 3.33).
* Correction: an observation is a leap where its centroid is further than the gate from the mean of
  all predicted nodes, those that the observation lacks included. Every other observation is
  accepted, also one without a centroid, which corrects nothing. Then velocities are cut to +-limit
  in each direction: 20 px per frame become 15.
* Loss: a filter whose last accepted observation is more frames old than the gap is dropped; only
  frames from then on count for the next.
"""

from dataclasses import dataclass

import numpy as np

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.state_space import Rows, advance, correct, learn

BLEND = 0.5  # share of the predicted displacement by which a candidate is moved
SHORTEST_RUN = 3  # frames
FEWEST = 2  # of its frames in which anything is observed
GATE_STEPS, SMALLEST_GATE = 8.0, 40.0  # px
SPEED_STEPS, SMALLEST_SPEED_LIMIT = 3.0, 15.0  # px per frame


@dataclass(frozen=True, eq=False)
class Filters(Rows):
    """The filters of m tracks, P points each.

    Attributes:
        track: (m,) ids of the tracks.
        frame: (m,) frame of the state.
        accepted: (m,) frame of the last observation that was no leap; an observation without a
            centroid is never a leap.
        gate: (m,) px, distance beyond which an observation is rejected as a leap.
        limit: (m,) px per frame, largest speed of a state in each direction.
        mean: (m, 4 P) states.
        covariance: (m, 4 P, 4 P) of the states.
        process: (m, 4 P, 4 P) process noise.
        observation: (m, 2 P, 2 P) observation noise.
    """

    track: np.ndarray
    frame: np.ndarray
    accepted: np.ndarray
    gate: np.ndarray
    limit: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    process: np.ndarray
    observation: np.ndarray


def used_nodes(config: TrackerConfig, n_nodes: int) -> list[int]:
    """Return the numbers of the nodes that the filter follows.

    Args:
        config: Tracker settings.
        n_nodes: Number of nodes of the skeleton.

    Raises:
        ConfigError: `kf_node_indices` names a node that the skeleton does not have.
    """
    chosen = list(range(n_nodes)) if config.kf_node_indices is None else config.kf_node_indices
    if max(chosen) >= n_nodes:
        raise ConfigError(
            f"tracker.kf_node_indices: there is no node {max(chosen)}; accepted: 0 to {n_nodes - 1}"
        )
    return chosen


class Kalman:
    """Predicts the poses of tracks; fitted after some frames of plain tracking.

    Args:
        points: (n, nodes, 2) px, image space, all poses of a video; nan where a node was not found.
        config: Tracker settings.

    Raises:
        ConfigError: `kf_node_indices` names a node that the skeleton does not have.
    """

    def __init__(self, points: np.ndarray, config: TrackerConfig) -> None:
        chosen = used_nodes(config, points.shape[1])
        self.points = points
        self.nodes = np.array(chosen)
        self.by_node = config.kf_track_features == "keypoints"
        selected = points[:, self.nodes]
        self.centers = _centers(selected, fewest=len(chosen) / 2)
        self.observed = selected if self.by_node else self.centers[:, None]
        self.warm_up = config.kf_init_frame_count
        self.gap = config.kf_reset_gap_size
        self.frames_left = self.warm_up  # until the first fit
        # Per track: its last rows, newest last.
        self.recent = np.zeros((0, self.warm_up), dtype=np.intp)
        # Per track: how many of these rows are of consecutive frames.
        self.run = np.zeros(0, dtype=np.intp)
        self.last_frame = np.zeros(0, dtype=np.int64)  # per track
        # Per track: the frame in which it lost its filter; only later frames count for a new one.
        self.reset = np.zeros(0, dtype=np.int64)
        # Track and row of each observation since the last correction of the filters.
        self.news = np.zeros((2, 0), dtype=np.intp)
        self.filters = self._no_filters()

    def _no_filters(self) -> Filters:
        whole, size = np.zeros(0, dtype=np.int64), 2 * self.observed.shape[1]
        square = np.zeros((0, 2 * size, 2 * size))
        return Filters(
            whole,
            whole,
            whole,
            np.zeros(0),
            np.zeros(0),
            np.zeros((0, 2 * size)),
            square,
            square,
            np.zeros((0, size, size)),
        )

    def observe(self, frame: int, tracks: np.ndarray, rows: np.ndarray) -> None:
        """Record the tracks of a frame's detections.

        Args:
            frame: Frame index.
            tracks: (k,) track ids, each once.
            rows: (k,) row of each in the poses.
        """
        new = max(int(tracks.max(initial=-1)) + 1 - len(self.run), 0)
        self.recent = np.concatenate([self.recent, np.full((new, self.warm_up), -1)])
        self.run = np.append(self.run, np.zeros(new, dtype=np.intp))
        self.last_frame, self.reset = (
            np.append(column, np.full(new, -1)) for column in (self.last_frame, self.reset)
        )
        self.recent[tracks] = np.roll(self.recent[tracks], -1, axis=1)
        self.recent[tracks, -1] = rows
        goes_on = self.last_frame[tracks] == frame - 1
        longest = np.minimum(np.where(goes_on, self.run[tracks] + 1, 1), self.warm_up)
        self.run[tracks] = np.minimum(longest, frame - self.reset[tracks])
        self.last_frame[tracks] = frame
        self.news = np.stack([tracks, rows])

    def update(self, frame: int) -> None:
        """Bring the filters up to date with all frames before this one."""
        self.frames_left -= 1
        if self.frames_left > 0:
            return
        lost = frame - self.filters.accepted > self.gap
        self.run[self.filters.track[lost]], self.reset[self.filters.track[lost]] = 0, frame
        self.filters = self.filters[~lost]
        self._correct()
        self._fit(frame, SHORTEST_RUN if self.frames_left == 0 else self.warm_up)

    def predict(self, tracks: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict poses in a frame.

        Args:
            tracks: (t,) ascending track ids.
            frame: Frame index.

        Returns:
            Places in `tracks` of those that have a filter, (m,); the row of the last pose of each;
            and that pose moved half of the way to its prediction, (m, nodes, 2).
        """
        filters = self.filters[np.isin(self.filters.track, tracks)]
        rows = self.recent[filters.track, -1]
        ahead = (frame - filters.frame)[:, None]
        predicted = _positions(filters.mean[:, 0::2] + filters.mean[:, 1::2] * ahead)
        displacement = BLEND * (predicted - self.observed[rows])
        poses = self.points[rows] + np.nan_to_num(_centers(displacement))[:, None]
        if self.by_node:
            moved = self.observed[rows] + displacement
            poses[:, self.nodes] = np.where(np.isnan(moved), predicted, moved)
        poor = np.isnan(self.centers[rows]).any(axis=-1)
        poses[poor] = self.points[rows[poor]]
        return np.searchsorted(tracks, filters.track), rows, poses

    def _correct(self) -> None:
        """Correct the filters by the observations since the last correction."""
        filters, (tracks, rows) = self.filters, self.news
        self.news = self.news[:, :0]
        order = np.argsort(tracks)
        tracks, rows = tracks[order], rows[order]
        seen = np.flatnonzero(np.isin(filters.track, tracks))
        if not len(seen):
            return
        rows = rows[np.searchsorted(tracks, filters.track[seen])]
        frame = self.last_frame[filters.track[seen][0]]
        for ahead in range(int((frame - filters.frame[seen]).max()), 0, -1):
            late = seen[frame - filters.frame[seen] == ahead]
            filters.mean[late], filters.covariance[late] = advance(
                filters.mean[late], filters.covariance[late], filters.process[late]
            )
            filters.frame[late] += 1
        observed = self.observed[rows]
        centers = _centers(_positions(filters.mean[seen, 0::2]))
        distance = np.linalg.norm(self.centers[rows] - centers, axis=-1)
        # Without a centroid nothing can be corrected, but the animal was seen; only a leap does not
        # count as seen.
        filters.accepted[seen[~(distance > filters.gate[seen])]] = frame
        believed = distance <= filters.gate[seen]
        seen, observed = seen[believed], observed[believed]
        filters.mean[seen], filters.covariance[seen] = correct(
            filters.mean[seen],
            filters.covariance[seen],
            observed.reshape(len(seen), 2 * observed.shape[1]),
            filters.observation[seen],
        )
        limit = filters.limit[seen, None]
        filters.mean[seen, 1::2] = np.clip(filters.mean[seen, 1::2], -limit, limit)

    def _fit(self, frame: int, shortest: int) -> None:
        """Fit filters to tracks that have none and were seen recently in enough frames in a row."""
        ready = (self.run >= shortest) & (frame - self.last_frame <= self.gap)
        ready[self.filters.track] = False
        for length in np.unique(self.run[ready]).tolist():
            tracks = np.flatnonzero(ready & (self.run == length))
            seen = ~np.isnan(self.observed[self.recent[tracks, -length:]]).all(axis=(-2, -1))
            tracks = tracks[seen.sum(axis=-1) >= FEWEST]
            if len(tracks):
                self.filters += self._fitted(tracks, self.recent[tracks, -length:].T)

    def _fitted(self, tracks: np.ndarray, rows: np.ndarray) -> Filters:
        """Fit filters to runs of consecutive frames, (frames, m) rows.

        Nodes that are never seen start at the mean of the others.
        """
        step = _step(self.centers[rows])
        limit = np.maximum(SMALLEST_SPEED_LIMIT, SPEED_STEPS * step)[:, None]
        positions = self.observed[rows].reshape(*rows.shape, -1)
        start = np.empty((len(tracks), 2 * positions.shape[-1]))
        places = _positions(_first_finite(positions))
        places = np.where(np.isnan(places), _centers(places)[:, None], places)
        start[:, 0::2] = places.reshape(len(tracks), -1)
        start[:, 1::2] = np.clip(
            np.nan_to_num(_first_finite(np.diff(positions, axis=0))), -limit, limit
        )
        mean, covariance, noise = learn(positions, start)
        mean[:, 1::2] = np.clip(mean[:, 1::2], -limit, limit)
        frame = self.last_frame[tracks]
        return Filters(
            track=tracks,
            frame=frame,
            accepted=frame.copy(),
            gate=np.maximum(SMALLEST_GATE, GATE_STEPS * step),
            limit=limit[:, 0],
            mean=mean,
            covariance=covariance,
            process=noise.process,
            observation=noise.observation,
        )


def _centers(points: np.ndarray, fewest: float = 0) -> np.ndarray:
    """Return the mean of the points that are found, (..., points, 2) -> (..., 2).

    nan where no point, or fewer than `fewest`, are found.
    """
    there = ~np.isnan(points).any(axis=-1, keepdims=True)
    count = there.sum(axis=-2)
    total = np.where(there, points, 0.0).sum(axis=-2)
    return np.where(count >= max(fewest, 1), total / np.maximum(count, 1), np.nan)


def _step(centers: np.ndarray) -> np.ndarray:
    """Return the movement of centroids per frame, (frames, m, 2) -> (m,) px.

    It is measured from the first centroid that exists to the last.
    """
    there = ~np.isnan(centers).any(axis=-1)
    frames = len(centers) - 1 - np.argmax(there, axis=0) - np.argmax(there[::-1], axis=0)
    way = np.linalg.norm(_first_finite(centers[::-1]) - _first_finite(centers), axis=-1)
    return np.nan_to_num(way) / np.maximum(frames, 1)


def _positions(vectors: np.ndarray) -> np.ndarray:
    """Return (m, 2 P) coordinates as (m, P, 2) points."""
    return vectors.reshape(len(vectors), vectors.shape[1] // 2, 2)


def _first_finite(values: np.ndarray) -> np.ndarray:
    """Return the first entry along the first axis that is not nan, for each place separately.

    nan where all entries are nan.
    """
    first = np.argmax(~np.isnan(values), axis=0)
    return np.take_along_axis(values, first[None], axis=0)[0]
