"""Predictions in the formats that other programs read.

A format for a single video has one file per video, over the whole video: a frame without poses is a
row without numbers. Where nearly all rows would be empty, a table has the processed frames only,
and arrays are not written. A COCO file lists the processed frames only, because there an image
without annotations says that it holds no animal.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any, NamedTuple
from uuid import uuid4

import h5py
import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, listed, one_line
from sleap_lab.files.atomic import hdf5_errors, replacing
from sleap_lab.media.headers import ADDRESS
from sleap_lab.media.labels import save_labels, to_labels, to_poses, video_name
from sleap_lab.poses.record import Poses, distinct

MOST_EMPTY_ROWS = 1_000_000
"""Most unprocessed frames for which a table has rows; beyond it, it has rows for none of them.

Twelve frames of a video of 11 million made 209 MB.
"""
MOST_EMPTY_BYTES = 4 * 2**30
"""Most empty bytes of arrays that are written.

No program that reads larger arrays as a whole could open them.
"""
BLOCK = 4096
"""Frames that are stored together; arrays take space and time only where a block holds a pose."""
PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
LONGEST_STEM = 48
"""Letters of a video's name in a file name.

File systems allow 255 bytes, and a letter may take four of them.
"""
MIDPOINTS = "(x, y) from the top left of the image; (0, 0) is the midpoint of its first pixel"


class Written(NamedTuple):
    """Results of writing the requested formats.

    Attributes:
        files: The written files.
        notes: A sentence for each thing that a format could not hold as it is.
        failed: A sentence for each file that could not be written.
    """

    files: list[Path]
    notes: list[str]
    failed: list[str]


def write_formats(
    labels: sio.Labels,
    path: Path,
    formats: Sequence[str],
    times: Callable[[], Mapping[int, np.ndarray]] = dict,
) -> Written:
    """Write labels in several formats beside each other, the `.slp` file first.

    A failure of one of the other formats does not affect the rest.

    Args:
        labels: What to write.
        path: The `.slp` file; other formats replace its suffix and, where there are several videos,
            put number and name before theirs.
        formats: `slp`, `csv`, `analysis_h5`, `nwb`, `coco`.
        times: Returns by video the time of each of its frames, (frames,) s, where they are not
            evenly spaced.

    Raises:
        RunError: The `.slp` file cannot be written.
    """
    done = Written([], [], [])
    if "slp" in formats:
        save_labels(labels, path)
        done.files.append(path)
    if others := [name for name in formats if name != "slp"]:
        poses = to_poses(labels)
        skeleton = replace(poses.skeleton, nodes=_names(poses.skeleton.nodes, "node"))
        named = replace(poses, track_names=_names(poses.track_names, "track"), skeleton=skeleton)
        done.notes.extend(_renamed("other formats than slp", poses, named))
        # This reads the file of the video, once for all formats.
        plain = cache(lambda i: _plain(labels.videos[i], poses.of_video(i)))
        taken: Mapping[int, np.ndarray] = {}
        if set(others) & set(TIMED):
            try:
                taken = times()
            except RunError as error:
                done.notes.append(
                    f"times of frames are left out, because a video cannot be read: {error}"
                )
        for name in others:
            if name == "coco":
                _write_coco_file(named, labels.videos, path, plain, done)
            else:
                _write_videos(named, labels.videos, path, plain, done, name=name, times=taken)
    return done


def _names(
    names: Sequence[str], empty: str, legal: Callable[[str], str] = lambda name: name
) -> tuple[str, ...]:
    """Return unique names that are not empty.

    Args:
        names: Names.
        empty: Replacement of an empty name.
        legal: Returns a name as a format accepts it.
    """
    accepted = [legal(name.replace("\0", "")) or empty for name in names]
    # Names that can stay come first, so that they do stay.
    order = sorted(range(len(names)), key=lambda i: accepted[i] != names[i])
    unlike = dict(zip(order, distinct([accepted[i] for i in order]), strict=True))
    return tuple(unlike[i] for i in range(len(names)))


def _renamed(where: str, before: Poses, after: Poses) -> list[str]:
    """Return a sentence on the tracks and nodes that have other names in a file, if any."""
    pairs = [
        f"{kind} {i} {old!r} is {new}"
        for kind, names, others in (
            ("track", before.track_names, after.track_names),
            ("node", before.skeleton.nodes, after.skeleton.nodes),
        )
        for i, (old, new) in enumerate(zip(names, others, strict=True))
        if old != new
    ]
    return (
        [f"names that {where} cannot hold or tell apart were replaced there: {listed(pairs, 20)}."]
        if pairs
        else []
    )


def _write_videos(
    poses: Poses,
    videos: Sequence[sio.Video],
    path: Path,
    plain: Callable[[int], sio.Video],
    done: Written,
    *,
    name: str,
    times: Mapping[int, np.ndarray],
) -> None:
    """Write a file for each video with processed frames, and record it in `done`."""
    suffix, write = PER_VIDEO[name]
    used = np.unique(poses.frames[:, 0]).tolist()
    for i in used:
        own, video = poses.of_video(i), plain(i)
        file = path.with_suffix(suffix if len(used) == 1 else f".{i:03}_{_stem(videos[i])}{suffix}")
        if name == "nwb" and not len(own):
            done.notes.append(
                f"{video_name(videos[i])} has no poses, and NWB cannot say so: "
                f"{file.name} was not written."
            )
            continue
        if name != "csv" and (
            problem := _mostly_nothing(
                own, _lanes(own) if name == "nwb" else _slots(own), len(video)
            )
        ):
            done.failed.append(f"{file.name} was not written: {problem}")
            continue
        if name == "csv" and not _spans(own, len(video)):
            frames = len(np.unique(own.frames[:, 1]))
            done.notes.append(
                f"{file.name} has the {frames} frames that were processed, "
                f"and no rows for the other {len(video) - frames:,} of the video."
            )
        if name == "analysis_h5" and own.track_names and (trackless := int((own.tracks < 0).sum())):
            done.notes.append(
                f"{file.name} holds tracks only: "
                f"{trackless} instances without a track are not in it."
            )
        if name == "nwb":
            done.notes.extend(_renamed(file.name, own, _in_nwb(own)))
        _write(file, name, partial(write, own, video, _over(times.get(i), len(video))), done)


def _over(times: np.ndarray | None, length: int) -> np.ndarray | None:
    """Return one time for each frame of a video of that length, nan where there is none."""
    return (
        None
        if times is None
        else np.concatenate([times[:length], np.full(max(length - len(times), 0), np.nan)])
    )


def _spans(poses: Poses, length: int) -> bool:
    """Say whether a table of one video also has rows for frames that were not processed."""
    return length - len(np.unique(poses.frames[:, 1])) <= MOST_EMPTY_ROWS


def _mostly_nothing(poses: Poses, lanes: Sequence[tuple[str, np.ndarray]], length: int) -> str:
    """Return why arrays over a whole video and all lanes are too large; empty if they are not."""
    nodes, filled = len(poses.skeleton.nodes), sum(len(rows) for _, rows in lanes)
    if (length * len(lanes) - filled) * nodes * 3 * 8 <= MOST_EMPTY_BYTES:
        return ""
    size = length * len(lanes) * nodes * 3 * 8 / 2**30
    return (
        f"{length:,} frames x {len(lanes):,} tracks x {nodes} nodes take {size:,.1f} GB, "
        f"nearly all of it empty ({filled:,} instances); "
        "csv and slp hold the same poses, and fewer tracks or a shorter video need less."
    )


def _write_coco_file(
    poses: Poses,
    videos: Sequence[sio.Video],
    path: Path,
    plain: Callable[[int], sio.Video],
    done: Written,
) -> None:
    _write(
        path.with_suffix(".coco.json"),
        "coco",
        partial(_write_coco, poses, videos, [plain(i) for i in range(len(videos))]),
        done,
    )


def _write(file: Path, name: str, write: Callable[[str], None], done: Written) -> None:
    """Write a file and record the result in `done`; a failure affects no other file and no run."""
    try:
        with replacing(file) as temporary, hdf5_errors():
            write(str(temporary))
        done.files.append(file)
    except RunError as error:
        done.failed.append(str(error))
    except Exception as error:  # each writer has its own errors for poses its format cannot hold
        done.failed.append(f"{file}: these poses cannot be written as {name} ({one_line(error)})")


def _stem(video: sio.Video) -> str:
    """Return the start of a video's name without suffix; for images, of their folder's name."""
    path = _path(video_name(video))
    stem = (
        path.parent.name if isinstance((video.source_video or video).filename, list) else path.stem
    )
    return stem[:LONGEST_STEM]


def _path(name: str) -> PurePath:
    """Return a name as a path: one of this system, or a Windows path, which has no folder here."""
    foreign = PureWindowsPath(name)
    return (
        foreign
        if (foreign.drive or "\\" in name) and not isinstance(Path(), PureWindowsPath)
        else Path(name)
    )


def _plain(video: sio.Video, poses: Poses) -> sio.Video:
    """Return a video object with name and shape for a file, without reading the video again.

    The frames of a package have the name of their original video. An unknown length ends with the
    last processed frame.
    """
    original = video.source_video or video
    name = _path(video_name(video))
    known = (
        original.shape
        if original is not video or not getattr(video.backend, "frame_map", None)
        else None
    )
    shape = known or video.shape or (0, 0, 0, 0)
    length = max(known[0] if known else 0, int(poses.frames[:, 1].max(initial=-1)) + 1)
    return sio.Video(
        str(name.parent) if isinstance(original.filename, list) else video_name(video),
        backend_metadata={"shape": (length, *map(int, shape[1:])), "fps": video.fps},
        open_backend=False,
    )


def _write_csv(poses: Poses, video: sio.Video, times: np.ndarray | None, path: str) -> None:
    """Write a table in SLEAP's columns, with a row per instance and per frame without one.

    The times, if any, are the last column.
    """
    shown = range(len(video)) if _spans(poses, len(video)) else np.unique(poses.frames[:, 1])
    empty = np.setdiff1d(shown, poses.frame)
    frames = np.concatenate([poses.frame, empty])
    # User instances come first within a frame.
    order = np.lexsort((np.concatenate([~poses.user, np.ones(len(empty), dtype=bool)]), frames))
    nodes = [f"{node}.{part}" for node in poses.skeleton.nodes for part in ("x", "y", "score")]
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
        for start in range(0, len(order), BLOCK):
            rows = order[start : start + BLOCK]
            cells = np.full((len(rows), 3 + len(nodes)), "", dtype=object)
            cells[:, 1] = frames[rows]
            filled = rows < len(poses)
            own = poses[rows[filled]]
            numbers = np.concatenate([own.points, own.point_scores[..., None]], axis=-1).reshape(
                len(own), len(nodes)
            )[:, by_name]
            numbers = np.concatenate([own.instance_scores[:, None], numbers], axis=1)
            cells[filled, 2:] = np.where(np.isnan(numbers), "", numbers.astype(object))
            cells[filled, 0] = [
                poses.track_names[track] if track >= 0 else "" for track in own.tracks.tolist()
            ]
            if times is not None:
                seconds = times[frames[rows]].round(6)
                cells = np.column_stack(
                    [cells, np.where(np.isnan(seconds), "", seconds.astype(object))]
                )
            table.writerows(cells.tolist())


def _write_analysis_h5(poses: Poses, video: sio.Video, times: np.ndarray | None, path: str) -> None:
    """Write SLEAP's arrays in the layout of sleap-io, without holding them in memory."""
    skeleton, slots = poses.skeleton, _slots(poses)
    n, length = len(slots), len(video)
    names = {
        "track_names": [name for name, _ in slots],
        "node_names": skeleton.nodes,
        "edge_names": [(skeleton.nodes[a], skeleton.nodes[b]) for a, b in skeleton.edges],
    }
    occupancy = np.zeros((length, n), dtype=np.uint8)
    for slot, (_, rows) in enumerate(slots):
        occupancy[poses.frame[rows], slot] = 1
    with h5py.File(path, "w") as file:
        for name, axes, values in (
            ("tracks", ("track", "xy", "node", "frame"), poses.points.transpose(0, 2, 1)),
            (
                "point_scores",
                ("track", "node", "frame"),
                np.where(poses.user[:, None], np.nan, poses.point_scores),
            ),
            (
                "instance_scores",
                ("track", "frame"),
                np.where(poses.user, np.nan, poses.instance_scores),
            ),
            ("tracking_scores", ("track", "frame"), poses.track_scores),
        ):
            inner = values.shape[1:]
            chunks = (1, *inner, min(BLOCK, length)) if n else None
            array = file.create_dataset(
                name,
                (n, *inner, length),
                "f8",
                chunks=chunks,
                fillvalue=np.nan,
                **(PACKED if n else {}),
            )
            array.attrs["dims"] = json.dumps(axes)
            for slot, (_, rows) in enumerate(slots):
                for where, block in _blocks(poses.frame[rows], values[rows], length):
                    array[(slot, ..., where)] = np.moveaxis(block, 0, -1)
        if times is not None:
            file.create_dataset("time_s", data=times).attrs["dims"] = json.dumps(("frame",))
        array = file.create_dataset("track_occupancy", data=occupancy, **PACKED)
        array.attrs["dims"] = json.dumps(("frame", "track"))
        for name, listed in names.items():
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


def _blocks(
    frames: np.ndarray, values: np.ndarray, length: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the parts of a video that hold values, and their values with nan between them.

    Args:
        frames: (n,) frame of each value; of several values in one frame, the last counts.
        values: (n, ...) values.
        length: Frames of the video.
    """
    order = np.argsort(frames, kind="stable")
    frames, values = frames[order], values[order]
    ends = np.flatnonzero(np.diff(frames // BLOCK)) + 1
    for own, part in zip(np.split(frames, ends), np.split(values, ends), strict=True):
        start = int(own[0]) // BLOCK * BLOCK
        block = np.full((min(BLOCK, length - start), *values.shape[1:]), np.nan)
        block[own - start] = part
        yield slice(start, start + len(block)), block


def _slots(poses: Poses) -> list[tuple[str, np.ndarray]]:
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


def _write_nwb(poses: Poses, video: sio.Video, times: np.ndarray | None, path: str) -> None:
    """Write PoseEstimation containers in the layout of sleap-io.

    sleap-io itself leaves out frames and rounds the rate down to whole frames per second, so that
    times are wrong. Instances without a track are numbered within their frame; user instances have
    confidence 1.
    """
    import warnings

    import pynwb
    from ndx_pose import PoseEstimation, PoseEstimationSeries
    from pynwb import H5DataIO
    from sleap_io.io.nwb_predictions import create_skeleton_container

    legal = _in_nwb(poses)
    file = pynwb.NWBFile(
        session_description="Animal poses",
        identifier=str(uuid4()),
        session_start_time=datetime.now(UTC),
    )
    (skeleton,) = create_skeleton_container(to_labels(legal[:0], [video]), file).values()
    module = file.create_processing_module(
        f"SLEAP_VIDEO_000_{_legal(_path(video.filename).stem)}", "Animal poses"
    )
    told = times is not None and not np.isnan(times).any()
    timing: dict[str, Any] = (
        {"timestamps": times} if told else {"rate": float(video.fps or 1.0), "starting_time": 0.0}
    )
    meaning = (
        "Times are seconds."
        if told or video.fps
        else "The frame rate is not known; times are frame numbers."
    )
    length, scores = (
        len(video),
        np.where(poses.user[:, None] & poses.visible, 1.0, poses.point_scores),
    )
    filled: list[tuple[H5DataIO, np.ndarray, np.ndarray]] = []

    def over_video(rows: np.ndarray, values: np.ndarray) -> H5DataIO:
        """Return an array over the whole video, which is filled once it is in the file."""
        shape = (length, *values.shape[1:])
        chunks = (min(BLOCK, length), *values.shape[1:])
        array = H5DataIO(
            shape=shape, dtype=np.dtype("f8"), chunks=chunks, fillvalue=np.nan, **PACKED
        )
        filled.append((array, poses.frame[rows], values[rows]))
        return array

    for (name, rows), (given, _) in zip(_lanes(legal), _lanes(poses), strict=True):
        series = [
            PoseEstimationSeries(
                name=node,
                description=f"Positions of {poses.skeleton.nodes[i]}; nan where it was not found.",
                data=over_video(rows, poses.points[:, i]),
                confidence=over_video(rows, scores[:, i]),
                confidence_definition=(
                    "Height of the peak in the confidence map; 1 where a person placed the point."
                ),
                reference_frame=MIDPOINTS,
                unit="pixels",
                comments=meaning,
                **timing,
            )
            for i, node in enumerate(legal.skeleton.nodes)
        ]
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
        for array, frames, values in filled:
            for where, block in _blocks(frames, values, length):
                array.dataset[where] = block


def _in_nwb(poses: Poses) -> Poses:
    """Return poses whose tracks and nodes have names that NWB accepts."""
    skeleton = replace(
        poses.skeleton,
        nodes=_names(poses.skeleton.nodes, "node", _legal),
        name=_legal(poses.skeleton.name),
    )
    return replace(poses, skeleton=skeleton, track_names=_names(poses.track_names, "track", _legal))


def _legal(name: str) -> str:
    """Return a name as NWB accepts it; to HDF5, a name of one or two dots is a folder."""
    name = name.replace("/", "_").replace(":", "_")
    return name if name.strip(".") else name.replace(".", "_")


def _lanes(poses: Poses) -> list[tuple[str, np.ndarray]]:
    """Return name and rows of each lane.

    A lane is a track, or a place among the trackless instances of a frame.
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
    return [(name, np.array(rows)) for name, rows in zip(names, lanes.values(), strict=True)]


def _absolute(name: str) -> str:
    """Return an absolute file name; Windows paths and addresses stay as they are."""
    path = _path(name)
    return str(path.absolute()) if isinstance(path, Path) and not ADDRESS.match(name) else name


def _write_coco(
    poses: Poses, videos: Sequence[sio.Video], plain: Sequence[sio.Video], path: str
) -> None:
    """Write one COCO file: images are the processed frames, annotations their instances.

    Annotations of predicted instances have scores. Images of a video that is made of images have
    their paths, others the names that sleap-io gives them. Where videos share a name, their number
    comes first.
    """
    from sleap_io.io.coco import convert_labels

    stems = [_stem(video) for video in videos]
    shared = {stem for stem, count in Counter(stems).items() if count > 1}
    stems = [f"{i:03}_{stem}" if stem in shared else stem for i, stem in enumerate(stems)]

    def image(video: int, frame: int) -> str:
        files = videos[video].filename
        return (
            _absolute(files[frame])
            if isinstance(files, list)
            else f"{stems[video]}_frame_{frame:06d}.png"
        )

    labels = to_labels(poses, plain)
    coco: dict[str, Any] = convert_labels(
        labels, [image(video, frame) for video, frame in poses.frames.tolist()]
    )
    instances = [instance for frame in labels.labeled_frames for instance in frame.instances]
    for annotation, instance in zip(coco["annotations"], instances, strict=True):
        if isinstance(instance, sio.PredictedInstance) and np.isfinite(instance.score):
            annotation["score"] = float(instance.score)
    Path(path).write_text(json.dumps(coco, indent=2), encoding="utf-8")


PER_VIDEO: dict[str, tuple[str, Callable[[Poses, sio.Video, np.ndarray | None, str], None]]] = {
    "csv": (".csv", _write_csv),
    "analysis_h5": (".analysis.h5", _write_analysis_h5),
    "nwb": (".nwb", _write_nwb),
}
"""Formats that hold one video -> file suffix and writer of its poses."""

TIMED = tuple(PER_VIDEO)
"""Formats that say when frames were taken."""
