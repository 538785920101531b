"""The arrays of SLEAP's analysis HDF5 files, in the layout of sleap-io, for one video."""

import json
from collections.abc import Sequence

import h5py
import numpy as np
import sleap_io as sio

from sleap_lab.errors import counted
from sleap_lab.media.formats.arrays import PACKED, block_length, blocks, repeated, too_large
from sleap_lab.poses.record import Poses, Skeleton

Slots = list[tuple[str, np.ndarray]]
"""Name and rows of each slot of the arrays."""


def write_analysis_h5(
    poses: Poses,
    video: sio.Video,
    times: np.ndarray | None,
    path: str,
    radii: np.ndarray | None = None,
) -> None:
    """Write SLEAP's arrays in the layout of sleap-io, without holding them in memory.

    Radii, (n, nodes) px, if any, become the array `point_radii` beside `point_scores`.
    """
    slots, length = _slots(poses), len(video)
    with h5py.File(path, "w") as file:
        arrays = _values(poses)
        if radii is not None:
            arrays["point_radii"] = (arrays["point_scores"][0], radii)
        for name, (axes, values) in arrays.items():
            _write_array(file, name, axes, values, poses.frame, slots, length)
        if times is not None:
            file.create_dataset("time_s", data=times).attrs["dims"] = json.dumps(("frame",))
        _write_occupancy(file, poses.frame, slots, length)
        _write_facts(file, poses.skeleton, video, [name for name, _ in slots])


def left_out(poses: Poses, length: int, file: str) -> list[str]:
    """Return sentences on the instances that arrays of tracks do not hold."""
    notes = repeated(poses, file)
    if poses.track_names and (count := int((poses.tracks < 0).sum())):
        left_out = counted(count, "instance without a track is", "instances without a track are")
        notes.append(f"{file} holds tracks only: {left_out} not in it.")
    return notes


def problem(poses: Poses, length: int) -> str:
    """Return why the arrays over a video of some length are too large; empty if they are not."""
    return too_large(poses, _slots(poses), length)


def _values(poses: Poses) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return by name the axes of each array and its values, (instances, …).

    User instances have no scores.
    """
    return {
        "tracks": (("track", "xy", "node", "frame"), poses.points.transpose(0, 2, 1)),
        "point_scores": (
            ("track", "node", "frame"),
            np.where(poses.user[:, None], np.nan, poses.point_scores),
        ),
        "instance_scores": (
            ("track", "frame"),
            np.where(poses.user, np.nan, poses.instance_scores),
        ),
        "tracking_scores": (("track", "frame"), poses.track_scores),
    }


def _write_array(
    file: h5py.File,
    name: str,
    axes: Sequence[str],
    values: np.ndarray,
    frames: np.ndarray,
    slots: Slots,
    length: int,
) -> None:
    """Write one array, (slots, …, frames of the video) float64.

    Args:
        file: The file.
        name: Name of the array.
        axes: Names of its axes.
        values: (n, …) a value per instance.
        frames: (n,) frame of each instance.
        slots: The slots.
        length: Frames of the video.
    """
    n, inner = len(slots), values.shape[1:]
    array = file.create_dataset(
        name,
        (n, *inner, length),
        "f8",
        chunks=(1, *inner, block_length(length)) if n else None,
        fillvalue=np.nan,
        **(PACKED if n else {}),
    )
    array.attrs["dims"] = json.dumps(axes)
    for slot, (_, rows) in enumerate(slots):
        for where, block in blocks(frames[rows], values[rows], length):
            array[(slot, ..., where)] = np.moveaxis(block, 0, -1)


def _write_occupancy(file: h5py.File, frames: np.ndarray, slots: Slots, length: int) -> None:
    """Write which slots hold an instance in which frames, (frames of the video, slots) uint8."""
    occupancy = np.zeros((length, len(slots)), dtype=np.uint8)
    for slot, (_, rows) in enumerate(slots):
        occupancy[frames[rows], slot] = 1
    array = file.create_dataset("track_occupancy", data=occupancy, **PACKED)
    array.attrs["dims"] = json.dumps(("frame", "track"))


def _write_facts(
    file: h5py.File, skeleton: Skeleton, video: sio.Video, track_names: Sequence[str]
) -> None:
    """Write the names of tracks and nodes, the edges, and facts about the video and the layout."""
    edge_names = [(skeleton.nodes[a], skeleton.nodes[b]) for a, b in skeleton.edges]
    for name, listed in {
        "track_names": track_names,
        "node_names": skeleton.nodes,
        "edge_names": edge_names,
    }.items():
        file[name] = (
            np.char.encode(np.array(listed, dtype=str), "utf-8") if len(listed) else np.zeros(0)
        )
    file["edge_inds"] = np.array(skeleton.edges)
    for name, value in {
        "labels_path": "",
        "video_path": video.filename,
        "video_ind": 0,
        "provenance": "{}",
    }.items():
        file[name] = value
    symmetries = [[skeleton.nodes[node] for node in pair] for pair in skeleton.symmetries]
    file.attrs.update(
        {
            "preset": "matlab",
            "format": "analysis",
            "sleap_io_version": sio.__version__,
            "skeleton_name": skeleton.name,
            "skeleton_symmetries": json.dumps(symmetries),
            "video_backend_metadata": json.dumps(video.backend_metadata),
        }
    )


def _slots(poses: Poses) -> Slots:
    """Return name and rows of each slot of the analysis arrays.

    A slot is a track that occurs. Of two instances of a track in one frame the later counts, and
    user instances come last.

    Without tracks, a slot is the first, second, … instance of all frames, and user instances come
    first. There are as many slots as a frame has instances of one kind, user or predicted, since
    predictions then often repeat user instances.
    """
    names: Sequence[str] = poses.track_names
    if names:
        order = np.lexsort((poses.user, poses.frame))
        order = order[poses.tracks[order] >= 0]
        slots = poses.tracks[order]
    else:
        order = np.lexsort((~poses.user, poses.frame))
        _, first, place = np.unique(poses.frame[order], return_index=True, return_inverse=True)
        slots = np.arange(len(order)) - first[place]
        labelled = np.bincount(place, poses.user[order])
        most = int(np.maximum(labelled, np.bincount(place) - labelled).max(initial=0))
        order, slots = order[slots < most], slots[slots < most]
        names = [f"track_{i}" for i in range(most)]
    by_slot = np.argsort(slots, kind="stable")
    occurring, starts = np.unique(slots[by_slot], return_index=True)
    return [
        (names[slot], rows)
        for slot, rows in zip(
            occurring.tolist(), np.split(order[by_slot], starts[1:]), strict=False
        )
    ]
