"""A table of one video with a row per instance, in the columns of SLEAP."""

import csv

import numpy as np
import sleap_io as sio

from sleap_lab.poses.record import Poses

MOST_EMPTY_ROWS = 1_000_000
"""Most unprocessed frames for which a table has rows; beyond it, it has rows for none of them.

Twelve frames of a video of 11 million made 209 MB.
"""
ROWS_AT_ONCE = 4096


def write_csv(
    poses: Poses,
    video: sio.Video,
    times: np.ndarray | None,
    path: str,
    radii: np.ndarray | None = None,
) -> None:
    """Write a table in SLEAP's columns, with a row per instance and per frame without one.

    Radii, (n, nodes) px, if any, stand beside the scores of nodes; times are the last column.
    """
    shown = range(len(video)) if _spans(poses, len(video)) else np.unique(poses.frames[:, 1])
    empty = np.setdiff1d(shown, poses.frame)
    frames = np.concatenate([poses.frame, empty])
    # User instances come first within a frame.
    order = np.lexsort((np.concatenate([~poses.user, np.ones(len(empty), dtype=bool)]), frames))
    parts = ("x", "y", "score", *(() if radii is None else ("radius",)))
    nodes = [f"{node}.{part}" for node in poses.skeleton.nodes for part in parts]
    by_name = sorted(range(len(nodes)), key=nodes.__getitem__)
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            [
                "track",
                "frame_idx",
                "instance.score",
                *(nodes[i] for i in by_name),
                *([] if times is None else ["time_s"]),
            ]
        )
        for start in range(0, len(order), ROWS_AT_ONCE):
            rows = order[start : start + ROWS_AT_ONCE]
            filled = rows < len(poses)
            own = rows[filled]
            cells = np.full((len(rows), 3 + len(nodes)), "", dtype=object)
            cells[:, 1] = frames[rows]
            cells[filled, 0] = [
                poses.track_names[track] if track >= 0 else ""
                for track in poses.tracks[own].tolist()
            ]
            numbers = _numbers(poses[own], None if radii is None else radii[own])
            cells[filled, 2] = _shown(poses.instance_scores[own])
            cells[filled, 3:] = _shown(numbers[:, by_name])
            if times is not None:
                cells = np.column_stack([cells, _shown(times[frames[rows]].round(6))])
            table.writerows(cells.tolist())


def _numbers(poses: Poses, radii: np.ndarray | None) -> np.ndarray:
    """Return (n, nodes x parts): x, y, score and, if there are any, radius of each node in turn."""
    columns = [poses.points, poses.point_scores[..., None]]
    if radii is not None:
        columns.append(radii[..., None])
    numbers = np.concatenate(columns, axis=-1)
    return numbers.reshape(len(poses), numbers.shape[1] * numbers.shape[2])


def _shown(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as the cells of a table; those that are missing are empty."""
    return np.where(np.isnan(numbers), "", numbers.astype(object))


def missing_rows(poses: Poses, length: int, file: str) -> list[str]:
    """Return a sentence on the frames of a video for which a table has no rows, if any."""
    if _spans(poses, length):
        return []
    frames = len(np.unique(poses.frames[:, 1]))
    return [
        f"{file} has the {frames} frames that were processed, "
        f"and no rows for the other {length - frames:,} of the video."
    ]


def _spans(poses: Poses, length: int) -> bool:
    """Return whether a table of one video also has rows for frames that were not processed."""
    return length - len(np.unique(poses.frames[:, 1])) <= MOST_EMPTY_ROWS
