"""Who is next to whom: the pose of the same animal one frame before, and the poses beside it."""

from typing import NamedTuple

import numpy as np

from sleap_lab.poses.record import Poses


class Order(NamedTuple):
    """Poses by video and frame, with what stands before and beside each of them.

    Attributes:
        poses: The poses, ordered by video and frame.
        place: (n,) position of the pose's frame among the processed frames of all videos.
        places: (frames, 2) video and frame of every position.
        animal: (n,) number of the animal, by video and track; -1 without a track. Where no pose
            has a track and no frame of a video holds two, the video has one animal.
        before: (n,) row of the same animal in the processed frame before; -1 for none.
        start: (frames + 1,) first row of every position.
    """

    poses: Poses
    place: np.ndarray
    places: np.ndarray
    animal: np.ndarray
    before: np.ndarray
    start: np.ndarray


def in_order(poses: Poses) -> Order:
    """Order poses by video and frame, and find each animal in the frame before."""
    poses = poses[np.lexsort((poses.frame, poses.video))]
    keys = np.concatenate([poses.frames, np.stack([poses.video, poses.frame], axis=1)])
    places, index = np.unique(keys, axis=0, return_inverse=True)
    place = index.reshape(-1)[len(poses.frames) :]
    animal = _animals(poses, place)
    start = np.searchsorted(place, np.arange(len(places) + 1))
    return Order(poses, place, places, animal, _before(place, places, animal), start)


def _animals(poses: Poses, place: np.ndarray) -> np.ndarray:
    """Return (n,) number of the animal of each pose, -1 where it is not known."""
    tracks = poses.tracks.astype(np.int64)
    tracked = np.unique(poses.video[tracks >= 0])
    crowded = poses.video[1:][place[1:] == place[:-1]]
    alone = ~np.isin(poses.video, np.concatenate([tracked, crowded]))
    tracks = np.where(alone, 0, tracks)
    known = tracks >= 0
    animal = np.full(len(poses), -1)
    pairs = np.stack([poses.video[known], tracks[known]], axis=1)
    animal[known] = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
    return animal


def _before(place: np.ndarray, places: np.ndarray, animal: np.ndarray) -> np.ndarray:
    """Return (n,) row of the same animal in the position before, -1 for none."""
    before = np.full(len(place), -1)
    order = np.lexsort((place, animal))
    here, there = order[1:], order[:-1]
    follows = (
        (animal[here] >= 0)
        & (animal[here] == animal[there])
        & (place[here] == place[there] + 1)
        & (places[place[here], 0] == places[place[there], 0])
    )
    before[here[follows]] = there[follows]
    return before


def beside(order: Order) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (pairs,) and (pairs,) of every two poses of one frame, the earlier first."""
    return _pairs(order, order.place, np.arange(len(order.poses)) + 1)


def of_frame_before(order: Order) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (pairs,) of poses and (pairs,) of all poses in the processed frame before."""
    place = order.place
    first = place == 0
    changed = order.places[place, 0] != order.places[np.maximum(place - 1, 0), 0]
    begin = np.where(first | changed, len(order.poses), order.start[np.maximum(place - 1, 0)])
    return _pairs(order, place - 1, begin)


def _pairs(order: Order, place: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row with the rows from `begin` to the end of the position `place`."""
    counts = np.maximum(order.start[place + 1] - begin, 0)
    rows = np.repeat(np.arange(len(begin)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, begin[rows] + within
