"""Predictions in the formats that other programs read.

What holds a single video is one file per video, over the whole video: a frame without poses is a row without numbers. A COCO file
lists the frames that were processed, because there an image without annotations says that nothing is in it.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any
from uuid import uuid4

import numpy as np
import sleap_io as sio

from sleap_lab.atomic import hdf5_errors, replacing
from sleap_lab.errors import RunError, one_line
from sleap_lab.labels import save_labels, to_labels, to_poses, video_name
from sleap_lab.poses import Poses
from sleap_lab.vetting import ADDRESS

MIDPOINTS = "(x, y) from the top left of the image; (0, 0) is the midpoint of its first pixel"


def write_formats(labels: sio.Labels, path: Path, formats: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Write labels in several formats beside each other.

    Args:
        labels: What to write.
        path: The `.slp` file; other formats replace its suffix and, where there are several videos, put number and name before theirs.
        formats: `slp`, `csv`, `analysis_h5`, `nwb`, `coco`.

    Returns:
        The files, and a sentence about each thing that a format could not hold.

    Raises:
        RunError: A file cannot be written.
    """
    files: list[Path] = []
    notes: list[str] = []
    if "slp" in formats:
        save_labels(labels, path)
        files.append(path)
    if others := [name for name in formats if name != "slp"]:
        poses = to_poses(labels)
        for name in others:
            made, lost = _write_coco_file(poses, labels.videos, path) if name == "coco" else _write_videos(poses, labels.videos, path, name)
            files += made
            notes += lost
    return files, notes


def _write_videos(poses: Poses, videos: Sequence[sio.Video], path: Path, name: str) -> tuple[list[Path], list[str]]:
    """Write a file for each video of which frames were processed."""
    suffix, write = PER_VIDEO[name]
    files: list[Path] = []
    notes: list[str] = []
    used = np.unique(poses.frames[:, 0]).tolist()
    for i in used:
        own = poses.of_video(i)
        file = path.with_suffix(suffix if len(used) == 1 else f".{i:03}_{_stem(videos[i])}{suffix}")
        if name == "nwb" and not len(own):
            notes.append(f"{video_name(videos[i])} has no poses, and NWB cannot say so: {file.name} was not written.")
            continue
        if name == "analysis_h5" and own.track_names and (trackless := int((own.tracks < 0).sum())):
            notes.append(f"{file.name} holds tracks only: {trackless} instances without a track are not in it.")
        _write(file, name, partial(write, own, _plain(videos[i], own)))
        files.append(file)
    return files, notes


def _write_coco_file(poses: Poses, videos: Sequence[sio.Video], path: Path) -> tuple[list[Path], list[str]]:
    file = path.with_suffix(".coco.json")
    _write(file, "coco", partial(_write_coco, poses, videos))
    return [file], []


def _write(file: Path, name: str, write: Callable[[str], None]) -> None:
    try:
        with replacing(file) as temporary, hdf5_errors():
            write(str(temporary))
    except RunError:
        raise
    except Exception as error:  # every writer has its own errors for poses that its format cannot hold
        raise RunError(f"{file}: these poses cannot be written as {name} ({one_line(error)})") from error


def _stem(video: sio.Video) -> str:
    """Return the name of a video without its suffix; of images, that of their folder."""
    path = _path(video_name(video))
    return path.parent.name if isinstance((video.source_video or video).filename, list) else path.stem


def _path(name: str) -> PurePath:
    """Return the path that a name is: one of this system, unless it is one of Windows, which is in no folder here."""
    foreign = PureWindowsPath(name)
    return foreign if (foreign.drive or "\\" in name) and not isinstance(Path(), PureWindowsPath) else Path(name)


def _plain(video: sio.Video, poses: Poses) -> sio.Video:
    """Return what a file says about a video: its name and shape, without reading it again.

    A package names the video its frames are from. Its length, where it is not known, ends with the last processed frame.
    """
    original = video.source_video or video
    name = _path(video_name(video))
    known = original.shape if original is not video or not getattr(video.backend, "frame_map", None) else None
    shape = known or video.shape or (0, 0, 0, 0)
    length = max(known[0] if known else 0, int(poses.frames[:, 1].max(initial=-1)) + 1)
    return sio.Video(
        str(name.parent) if isinstance(original.filename, list) else video_name(video),
        backend_metadata={"shape": (length, *map(int, shape[1:])), "fps": video.fps},
        open_backend=False,
    )


def _write_csv(poses: Poses, video: sio.Video, path: str) -> None:
    """Write a table of SLEAP's columns with a row for every instance and for every frame without one."""
    labels = to_labels(poses, [video])
    # A frame that is listed gets no empty row, so those without instances must not be; where all are, one before the first brings rows.
    filled = [frame for frame in labels.labeled_frames if len(frame.instances)]
    labels.labeled_frames = filled or [sio.LabeledFrame(video=video, frame_idx=-1)]
    sio.save_csv(labels, path, include_empty=True)


def _write_analysis_h5(poses: Poses, video: sio.Video, path: str) -> None:
    sio.save_analysis_h5(to_labels(poses, [video]), path)


def _write_nwb(poses: Poses, video: sio.Video, path: str) -> None:
    """Write PoseEstimation containers, laid out as sleap-io writes and reads them.

    sleap-io itself leaves frames out and rounds the rate down to whole frames per second, so that times are wrong. Instances
    without a track are numbered within their frame; what a person labelled has confidence 1.
    """
    import warnings

    import pynwb
    from ndx_pose import PoseEstimation, PoseEstimationSeries
    from sleap_io.io.nwb_predictions import create_skeleton_container

    file = pynwb.NWBFile(session_description="Animal poses", identifier=str(uuid4()), session_start_time=datetime.now(UTC))
    (skeleton,) = create_skeleton_container(to_labels(poses[:0], [video]), file).values()
    module = file.create_processing_module(f"SLEAP_VIDEO_000_{_legal(_path(video.filename).stem)}", "Animal poses")
    rate = float(video.fps or 1.0)
    length, scores = len(video), np.where(poses.user[:, None] & poses.visible, 1.0, poses.point_scores)
    for name, rows in _lanes(poses).items():
        points, confidence = np.full((length, *poses.points.shape[1:]), np.nan), np.full((length, scores.shape[1]), np.nan)
        points[poses.frame[rows]], confidence[poses.frame[rows]] = poses.points[rows], scores[rows]
        series = [
            PoseEstimationSeries(
                name=node,
                description=f"Positions of {node}; nan where it was not found.",
                data=points[:, i],
                confidence=confidence[:, i],
                confidence_definition="Height of the peak in the confidence map; 1 where a person placed the point.",
                reference_frame=MIDPOINTS,
                unit="pixels",
                rate=rate,
                starting_time=0.0,
                comments="Times are seconds." if video.fps else "The frame rate is not known; times are frame numbers.",
            )
            for i, node in enumerate(poses.skeleton.nodes)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the names of videos, which are what readers look for
            module.add(
                PoseEstimation(
                    name=f"track={_legal(name)}",
                    description=f"Poses of {name}",
                    pose_estimation_series=series,
                    skeleton=skeleton,
                    source_software="sleap_lab",
                    original_videos=[video.filename],
                    labeled_videos=[video.filename],
                )
            )
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)


def _legal(name: str) -> str:
    """Return a name as NWB accepts it."""
    return name.replace("/", "_").replace(":", "_")


def _lanes(poses: Poses) -> dict[str, np.ndarray]:
    """Return the rows of each track by its name, and of instances without one by their place among those of their frame."""
    lanes: dict[str, list[int]] = {}
    for *_, rows in poses.by_frame():
        trackless = 0
        for row in rows.tolist():
            name = poses.track_names[poses.tracks[row]] if poses.tracks[row] >= 0 else f"untracked_{trackless}"
            trackless += poses.tracks[row] < 0
            lanes.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in lanes.items()}


def _absolute(name: str) -> str:
    """Return a file as it is found from any folder; one of Windows, or at an address, as it is called."""
    path = _path(name)
    return str(path.absolute()) if isinstance(path, Path) and not ADDRESS.match(name) else name


def _write_coco(poses: Poses, videos: Sequence[sio.Video], path: str) -> None:
    """Write one COCO file: images are the processed frames, annotations the instances, with the scores of predicted ones.

    Images of a video that is made of images have their paths, others the names that sleap-io gives them; where videos share a
    name, their number comes first.
    """
    from sleap_io.io.coco import convert_labels

    plain = [_plain(video, poses.of_video(i)) for i, video in enumerate(videos)]
    stems = [_stem(video) for video in videos]
    shared = {stem for stem, count in Counter(stems).items() if count > 1}
    stems = [f"{i:03}_{stem}" if stem in shared else stem for i, stem in enumerate(stems)]

    def image(video: int, frame: int) -> str:
        files = videos[video].filename
        return _absolute(files[frame]) if isinstance(files, list) else f"{stems[video]}_frame_{frame:06d}.png"

    labels = to_labels(poses, plain)
    coco: dict[str, Any] = convert_labels(labels, [image(video, frame) for video, frame in poses.frames.tolist()])
    instances = [instance for frame in labels.labeled_frames for instance in frame.instances]
    for annotation, instance in zip(coco["annotations"], instances, strict=True):
        if isinstance(instance, sio.PredictedInstance) and np.isfinite(instance.score):
            annotation["score"] = float(instance.score)
    Path(path).write_text(json.dumps(coco, indent=2), encoding="utf-8")


PER_VIDEO: dict[str, tuple[str, Callable[[Poses, sio.Video, str], None]]] = {
    "csv": (".csv", _write_csv),
    "analysis_h5": (".analysis.h5", _write_analysis_h5),
    "nwb": (".nwb", _write_nwb),
}
"""Formats that hold one video -> file suffix and writer of its poses."""
