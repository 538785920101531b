"""Where each detection is and how it is turned, whatever nodes were found.

A pose is compared with the video's typical body, so that two poses without a shared node can be
compared, too. Points of the plane are complex numbers, x + iy.
"""

from dataclasses import dataclass, replace

import numpy as np

from sleap_lab.poses.record import Poses

SAMPLE = 3000  # poses from which the typical body is learned
AT_ONCE = 20_000  # detections that are looked at together, for the sake of memory
ROUNDS = 4  # the body settles within three
TINY = 1e-30  # squared body lengths; what is smaller has lost its direction to rounding
STEADY = 0.05  # share of the body's spread that nodes must span to tell a direction


@dataclass(frozen=True)
class Bodies:
    """The detections of one video, by row; lengths are in body lengths.

    Attributes:
        length: Body length, px; 1 where the skeleton has one node, which has no extent.
        center: (n,) complex, place of the body's centre; nan without a visible node.
        heading: (n,) complex of length 1, its direction; nan where it cannot be told.
        points: (n, nodes) complex, place of each node; nan where missing.
        body: (nodes,) complex, place of each node in the typical body, seen from its centre.
        weight: (nodes,) how steady each node is, of sum 1.
    """

    length: float
    center: np.ndarray
    heading: np.ndarray
    points: np.ndarray
    body: np.ndarray
    weight: np.ndarray

    @property
    def radius(self) -> float:
        """Root mean square distance of the nodes from the centre, steady nodes counting more."""
        return float(np.sqrt(np.sum(self.weight * np.abs(self.body) ** 2)))

    def shapes(self) -> np.ndarray:
        """Return (n, nodes) complex64, place of each node seen from the body; nan where missing."""
        shape = (self.points - self.center[:, None]) * np.conj(self.heading)[:, None]
        return shape.astype(np.complex64)

    def place(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return centre and direction of poses, (n, nodes) complex, in body lengths."""
        return _place(points, self.body, self.weight)

    def off(self, points: np.ndarray) -> np.ndarray:
        """Return how far nodes are from the typical body laid on their pose, (k, nodes).

        Args:
            points: (k, nodes) complex; nan where missing, as the distance is then.
        """
        center, heading = self.place(points)
        return np.abs((points - center[:, None]) * np.conj(heading)[:, None] - self.body)

    def of(self, rows: np.ndarray) -> "Bodies":
        """Return the bodies of some detections."""
        return replace(
            self, center=self.center[rows], heading=self.heading[rows], points=self.points[rows]
        )

    def apart(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the distance of two bodies: root mean square over their nodes, seen or not.

        Args:
            rows: Rows of detections, any shape.
            others: Rows of others, of the same shape or one that broadcasts.
        """
        turn = np.abs(self.heading[rows] - self.heading[others])
        return np.hypot(
            np.abs(self.center[rows] - self.center[others]), self.radius * np.nan_to_num(turn)
        )


def mean_square(off: np.ndarray) -> np.ndarray:
    """Return the mean squares of distances over the last axis; nan where none is known."""
    known = ~np.isnan(off)
    count = known.sum(axis=-1)
    return np.where(known, off**2, 0).sum(axis=-1) / np.where(count, count, np.nan)


def describe_bodies(poses: Poses) -> Bodies:
    """Learn the typical body of a video and find it in every detection.

    Args:
        poses: Detections of one video.
    """
    nodes = poses.points.shape[1]
    length = _body_length(poses.points)
    chosen = _plane(poses.points[_sample(poses)], length)
    body, weight = _typical_body(chosen)
    center, heading = np.zeros((2, len(poses)), dtype=complex)
    points = np.zeros((len(poses), nodes), dtype=complex)
    for start in range(0, len(poses), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        points[part] = own = _plane(poses.points[part], length)
        center[part], heading[part] = _place(own, body, weight)
    return Bodies(length, center, heading, points, body, weight)


def _plane(points: np.ndarray, length: float) -> np.ndarray:
    """Return points, (n, nodes, 2) px, as complex numbers in body lengths, (n, nodes)."""
    return (points[..., 0] + 1j * points[..., 1]) / length


def _body_length(points: np.ndarray) -> float:
    """Return the median extent of poses with at least two nodes, px; 1 where there are none."""
    extents = []
    for start in range(0, len(points), AT_ONCE):
        some = points[start : start + AT_ONCE]
        some = some[(~np.isnan(some[..., 0])).sum(axis=1) > 1]
        extent = np.nanmax(some, axis=1) - np.nanmin(some, axis=1)
        extents.append(np.hypot(extent[:, 0], extent[:, 1]))
    found = np.concatenate([np.zeros(0), *extents])
    return float(np.median(found)) or 1.0 if len(found) else 1.0


def _sample(poses: Poses) -> np.ndarray:
    """Return rows of evenly spaced frames, all rows of each, so that their order plays no part."""
    frames, of = np.unique(poses.frame, return_inverse=True)
    step = max(len(poses) // SAMPLE, 1)
    return (of % step == 0).nonzero()[0] if len(frames) > step else np.arange(len(poses))


def _typical_body(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the typical place of each node about the centre, and how steady it is.

    The first guess comes from the median distances between nodes (multidimensional scaling, which
    needs no pose to start from); then poses and body are fitted to each other in turn (generalised
    Procrustes analysis), nodes that vary less counting more.

    Args:
        points: (n, nodes) complex, body lengths; nan where a node was not found.

    Returns:
        (nodes,) complex, and (nodes,) weights of sum 1.
    """
    body = _scaled(points)
    weight = np.full(len(body), 1 / len(body))
    guesses = [
        (_misfit(points, guess, weight), which, guess)
        for which, guess in enumerate((body, np.conj(body)))
    ]
    body = min(guesses, key=lambda guess: guess[:2])[2]
    for _ in range(ROUNDS):
        center, heading = _place(points, body, weight)
        seen = (points - center[:, None]) * np.conj(heading)[:, None]
        there = ~np.isnan(seen)
        known = there.any(axis=0)
        if not known.any():
            break
        body = body.copy()
        body[known] = np.nanmedian(seen.real[:, known], axis=0) + 1j * np.nanmedian(
            seen.imag[:, known], axis=0
        )
        spread = np.full(len(body), np.inf)
        spread[known] = np.nanmedian(np.abs(seen[:, known] - body[known]) ** 2, axis=0)
        weight = 1 / (spread + np.median(spread[known]) + 1e-12)
        weight /= weight.sum()
        body -= np.sum(weight * body)
    return body, weight


def _scaled(points: np.ndarray) -> np.ndarray:
    """Return places of the nodes that agree with the median distances between them."""
    nodes = points.shape[1]
    distance = np.zeros((nodes, nodes))
    for a in range(nodes):
        for b in range(a):
            both = np.abs(points[:, a] - points[:, b])
            both = both[~np.isnan(both)]
            distance[a, b] = distance[b, a] = np.median(both) if len(both) else np.nan
    distance[np.isnan(distance)] = np.nanmean(distance)
    middle = np.eye(nodes) - 1 / nodes
    values, vectors = np.linalg.eigh(-0.5 * middle @ distance**2 @ middle)
    axes = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    return axes[:, -1] + 1j * axes[:, 0]


def _misfit(points: np.ndarray, body: np.ndarray, weight: np.ndarray) -> float:
    center, heading = _place(points, body, weight)
    seen = (points - center[:, None]) * np.conj(heading)[:, None]
    return float(np.nansum(np.abs(seen - body)))


def _place(
    points: np.ndarray, body: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a body on poses by least squares, without changing its size.

    Args:
        points: (n, nodes) complex; nan where a node was not found.
        body: (nodes,) complex.
        weight: (nodes,) weight of each node.

    Returns:
        (n,) centre, the mean of the nodes where the direction cannot be told, and (n,) direction.
    """
    there = ~np.isnan(points)
    share = weight * there
    total = share.sum(axis=1)
    total[total == 0] = 1
    # Sums over rows, since products of matrices warn of divisions that nobody asked for.
    mean = np.sum(share * np.where(there, points, 0), axis=1) / total
    mean[~there.any(axis=1)] = np.nan
    own = np.sum(share * body, axis=1) / total
    off = share * np.abs(body - own[:, None]) ** 2
    turn = np.sum(
        share * np.conj(body - own[:, None]) * np.where(there, points - mean[:, None], 0), axis=1
    )
    steady = off.sum(axis=1) > STEADY * np.sum(weight * np.abs(body) ** 2)
    size = np.abs(turn)
    steady &= size > TINY
    heading = np.full(len(points), np.nan + 0j)
    heading[steady] = turn[steady] / size[steady]
    center = np.where(steady, mean - np.where(steady, heading, 0) * own, mean)
    return center, heading
