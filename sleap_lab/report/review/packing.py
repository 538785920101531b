"""Poses and timelines as compact numbers for the page."""

import base64
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.quality.neighbours import Order

PARTS_OF_A_PIXEL = 32
MISSING = -32768
MOST_COLUMNS = 2000  # of a timeline
MOST_ROWS = 40


class Canvas(NamedTuple):
    """Where a video is shown: px of the image and of the film, both (height, width)."""

    image: tuple[int, int]
    film: tuple[int, int]


def packed(numbers: Any, kind: str) -> str:
    """Return numbers as base64 text of little-endian values of a type, such as `<i2`."""
    return base64.b64encode(np.asarray(numbers).astype(kind).tobytes()).decode("ascii")


def pack_poses(poses: Poses, places: np.ndarray, canvas: Canvas) -> dict[str, Any]:
    """Return the poses of some frames.

    Args:
        poses: The poses.
        places: (k, 2) video and frame of each frame of the page.
        canvas: Where they are shown.

    Returns:
        `nodes`, their number; `start`, (k + 1,) int32, the first pose of each frame; `track`,
        (poses,) int32; and `xy`, (poses, nodes, 2) int16, 1/32 px of the film from its left and
        upper edge, -32768 for none.
    """
    rows, start = rows_of(poses, places)
    scale = np.array(canvas.film[::-1]) / np.array(canvas.image[::-1])
    points = (poses.points[rows] + 0.5) * scale * PARTS_OF_A_PIXEL  # 0 is the centre of a pixel
    known = np.isfinite(points).all(axis=-1, keepdims=True)
    limit = -MISSING - 1
    points = np.where(known, np.rint(points).clip(-limit, limit), MISSING)
    return {
        "nodes": len(poses.skeleton.nodes),
        "start": packed(start, "<i4"),
        "track": packed(poses.tracks[rows], "<i4"),
        "xy": packed(points, "<i2"),
    }


def rows_of(poses: Poses, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the poses of some frames, one frame after the other.

    Returns:
        (rows,), and (k + 1,) where the rows of each frame begin.
    """
    span = 1 + max(poses.frame.max(initial=0), places[:, 1].max(initial=0))
    keys = poses.video.astype(np.int64) * span + poses.frame
    wanted = places[:, 0] * span + places[:, 1]
    order = np.argsort(keys, kind="stable")
    first, stop = (np.searchsorted(keys[order], wanted, side=side) for side in ("left", "right"))
    start = np.concatenate([[0], np.cumsum(stop - first)])
    within = np.arange(start[-1]) - np.repeat(start[:-1], stop - first)
    return order[np.repeat(first, stop - first) + within], start


def pack_timeline(order: Order, video: int, expected: int) -> dict[str, Any]:
    """Return a row per track of a video, and one for all animals where not every track has one.

    Args:
        order: The poses.
        video: Which video.
        expected: Number of animals expected in each of its frames.

    Returns:
        `columns`, the number of columns, `left_out`, that of shorter tracks without a row, and
        `rows`: for each its `track` (-1 for all animals), `found`, (columns,) uint8, the share of
        frames with it, and `sure`, (columns,) uint8, the lowest confidence; 255 is 1.
    """
    start, stop = np.searchsorted(order.places[:, 0], [video, video + 1])
    columns = min(MOST_COLUMNS, max(1, stop - start))
    column = (np.arange(stop - start) * columns) // max(1, stop - start)
    frames = np.bincount(column, minlength=columns).astype(float)
    rows = np.flatnonzero(order.poses.video == video)
    tracks, counts = np.unique(order.poses.tracks[rows], return_counts=True)
    tracked = tracks >= 0
    chosen = tracks[tracked][np.argsort(-counts[tracked], kind="stable")]
    confidence = _confidence(order.poses.point_scores[rows])
    packed_rows = []
    shown = np.sort(chosen[:MOST_ROWS]).tolist()
    for track in shown if 0 < len(chosen) == len(shown) else [-1, *shown]:
        of_track = (order.poses.tracks[rows] == track) | (track < 0)
        own = rows[of_track]
        at = column[order.place[own] - start]
        found = np.bincount(at, minlength=columns) / (frames * (expected if track < 0 else 1))
        sure = np.ones(columns)
        np.minimum.at(sure, at, confidence[of_track])
        packed_rows.append(
            {
                "track": track,
                "found": packed(np.ceil(255 * found.clip(0, 1)), "u1"),
                "sure": packed(np.rint(255 * sure), "u1"),
            }
        )
    return {
        "columns": int(columns),
        "left_out": max(0, len(chosen) - MOST_ROWS),
        "rows": packed_rows,
    }


def _confidence(scores: np.ndarray) -> np.ndarray:
    """Return (n,) mean confidence of the nodes of each pose, 0 to 1; 1 where a person set them."""
    known = np.isfinite(scores)
    total = np.where(known, scores, 0).sum(axis=1)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0).clip(0, 1)
