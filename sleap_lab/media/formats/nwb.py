"""Pose estimations of an NWB file, in the layout of sleap-io, for one video.

sleap-io itself leaves out frames and rounds the rate down to whole frames per second, so that times
are wrong.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import sleap_io as sio

from sleap_lab.media.formats.arrays import PACKED, block_length, blocks, repeated, too_large
from sleap_lab.media.formats.names import as_path, renamed, unique_names
from sleap_lab.media.labels import to_labels
from sleap_lab.poses.record import Poses, distinct

MIDPOINTS = "(x, y) from the top left of the image; (0, 0) is the midpoint of its first pixel"


class Column(NamedTuple):
    """An array over a whole video, which is filled once it is in the file.

    Attributes:
        array: The array.
        frames: (n,) frames that hold a value.
        values: (n, …) the values.
    """

    array: Any
    frames: np.ndarray
    values: np.ndarray


def write_nwb(poses: Poses, video: sio.Video, times: np.ndarray | None, path: str) -> None:
    """Write a PoseEstimation container for each track.

    Instances without a track are numbered within their frame; user instances have confidence 1.
    """
    import pynwb
    from ndx_pose import PoseEstimation
    from sleap_io.io.nwb_predictions import create_skeleton_container

    legal, timing = _legal_names(poses), _timing(video, times)
    file = pynwb.NWBFile(
        session_description="Animal poses",
        identifier=str(uuid4()),
        session_start_time=datetime.now(UTC),
    )
    (skeleton,) = create_skeleton_container(to_labels(legal[:0], [video]), file).values()
    module = file.create_processing_module(
        f"SLEAP_VIDEO_000_{_legal(as_path(video.filename).stem)}", "Animal poses"
    )
    columns: list[Column] = []
    for (name, rows), (given, _) in zip(_lanes(legal), _lanes(poses), strict=True):
        series, own = _series(poses[rows], legal.skeleton.nodes, len(video), timing)
        columns += own
        with warnings.catch_warnings():
            # It is about the names of videos, which readers look for.
            warnings.simplefilter("ignore", DeprecationWarning)
            module.add(
                PoseEstimation(
                    name=f"track={name}",
                    description=f"Poses of {given}",
                    pose_estimation_series=series,
                    skeleton=skeleton,
                    source_software="sleap_lab",
                    original_videos=[video.filename],
                    labeled_videos=[video.filename],
                )
            )
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
        for array, frames, values in columns:
            for where, block in blocks(frames, values, len(video)):
                array.dataset[where] = block


def left_out(poses: Poses, length: int, file: str) -> list[str]:
    """Return sentences on instances and names that NWB files do not hold as they are."""
    return [*repeated(poses, file), *renamed(file, poses, _legal_names(poses))]


def problem(poses: Poses, length: int) -> str:
    """Return why the arrays over a video of some length are too large; empty if they are not."""
    return too_large(poses, _lanes(poses), length)


def _timing(video: sio.Video, times: np.ndarray | None) -> dict[str, Any]:
    """Return when the frames of a video were taken, as arguments of a series.

    Args:
        video: The video.
        times: (frames,) s, if they are given and complete; otherwise its frame rate counts.
    """
    if times is not None and not np.isnan(times).any():
        return {"timestamps": times, "comments": "Times are seconds."}
    if video.fps:
        return {
            "rate": float(video.fps),
            "starting_time": 0.0,
            "comments": "Times are seconds.",
        }
    return {
        "rate": 1.0,
        "starting_time": 0.0,
        "comments": "The frame rate is not known; times are frame numbers.",
    }


def _series(
    own: Poses, names: Sequence[str], length: int, timing: dict[str, Any]
) -> tuple[list[Any], list[Column]]:
    """Return a series for each node of one animal, and the arrays to fill.

    Args:
        own: Poses of the animal, one per frame.
        names: Names of the series.
        length: Frames of the video.
        timing: When they were taken.
    """
    from ndx_pose import PoseEstimationSeries

    scores = np.where(own.user[:, None] & own.visible, 1.0, own.point_scores)
    series: list[Any] = []
    columns: list[Column] = []
    for i, name in enumerate(names):
        points, confidence = (
            Column(_empty_array((length, *values.shape[1:])), own.frame, values)
            for values in (own.points[:, i], scores[:, i])
        )
        columns += [points, confidence]
        series.append(
            PoseEstimationSeries(
                name=name,
                description=f"Positions of {own.skeleton.nodes[i]}; nan where it was not found.",
                data=points.array,
                confidence=confidence.array,
                confidence_definition=(
                    "Height of the peak in the confidence map; 1 where a person placed the point."
                ),
                reference_frame=MIDPOINTS,
                unit="pixels",
                **timing,
            )
        )
    return series, columns


def _empty_array(shape: tuple[int, ...]) -> Any:
    """Return an array of nan over a whole video, whose first axis are the frames."""
    from pynwb import H5DataIO

    return H5DataIO(
        shape=shape,
        dtype=np.dtype("f8"),
        chunks=(block_length(shape[0]), *shape[1:]),
        fillvalue=np.nan,
        **PACKED,
    )


def _legal_names(poses: Poses) -> Poses:
    """Return poses whose tracks and nodes have names that NWB accepts."""
    skeleton = replace(
        poses.skeleton,
        nodes=unique_names(poses.skeleton.nodes, "node", _legal),
        name=_legal(poses.skeleton.name),
    )
    return replace(
        poses, skeleton=skeleton, track_names=unique_names(poses.track_names, "track", _legal)
    )


def _legal(name: str) -> str:
    """Return a name as NWB accepts it; to HDF5, a name of one or two dots is a folder."""
    name = name.replace("/", "_").replace(":", "_")
    return name if name.strip(".") else name.replace(".", "_")


def _lanes(poses: Poses) -> list[tuple[str, np.ndarray]]:
    """Return name and rows of each lane.

    A lane is a track, or a place among the trackless instances of a frame. Of two instances of a
    track in one frame the later counts, and user instances come last.
    """
    # The key says whether there is a track, and gives its index or the place.
    lanes: dict[tuple[bool, int], list[int]] = {}
    for *_, rows in poses.by_frame():
        trackless = 0
        for row in rows.tolist():
            tracked = bool(poses.tracks[row] >= 0)
            lanes.setdefault(
                (tracked, int(poses.tracks[row]) if tracked else trackless), []
            ).append(row)
            trackless += not tracked
    names = distinct(
        [poses.track_names[i] if tracked else f"untracked_{i}" for tracked, i in lanes]
    )
    ordered = (
        np.array(rows)[np.lexsort((poses.user[rows], poses.frame[rows]))] for rows in lanes.values()
    )
    return list(zip(names, ordered, strict=True))
