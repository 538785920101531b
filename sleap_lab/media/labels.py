"""Label files and the pose record: reading, writing, and the conversion between the two."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.atomic import hdf5_errors
from sleap_lab.files.earlier import NO_FRAMES, replacing_earlier
from sleap_lab.media.counting import (
    CountedFrame,
    counted_frames,
    is_user,
    node_order,
    used_skeleton,
)
from sleap_lab.media.headers import vet_labels
from sleap_lab.media.relink import relink
from sleap_lab.poses.record import Poses, Skeleton, make_poses


def read_labels(
    path: str | Path,
    moved: Mapping[str, str] = MappingProxyType({}),
    notes: list[str] | None = None,
    remarks: list[str] | None = None,
) -> sio.Labels:
    """Read a `.slp` or `.pkg.slp` file; videos that are moved are searched for beside it.

    A video without a matching file is a `MissingVideo`: it cannot be read, but its facts in the
    labels can. Nothing is downloaded.

    Args:
        path: The file.
        moved: Prefixes of the paths of videos that have moved, as in `data.moved`.
        notes: Gets a sentence on each of these prefixes that should lead to videos, and does not.
        remarks: Gets one on each other prefix, if videos are not where the labels say.

    Raises:
        RunError: The file is missing, is not a SLEAP labels file, or reaches beyond itself.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"{path}: no such labels file")
    try:
        vet_labels(path)
        labels = sio.load_slp(str(path), open_videos=False)
        if frames := [
            frame.frame_idx for frame in labels.labeled_frames if not 0 <= frame.frame_idx < 2**31
        ]:
            raise ValueError(f"it has a frame of the number {frames[0]}")
    except Exception as error:  # h5py and sleap-io raise many errors for a broken file
        raise_interruption(error)
        raise RunError(f"{path}: not a readable SLEAP labels file ({one_line(error)})") from error
    unfit, others = relink(labels, path, moved)
    if notes is not None:
        notes += unfit
    if remarks is not None:
        remarks += others
    return labels


def to_skeleton(skeleton: sio.Skeleton) -> Skeleton:
    """Convert a sleap-io skeleton."""
    return Skeleton(
        nodes=tuple(skeleton.node_names),
        edges=tuple((int(a), int(b)) for a, b in skeleton.edge_inds),
        symmetries=tuple(
            (int(a), int(b)) for a, b in (sorted(pair) for pair in skeleton.symmetry_inds)
        ),
        name=skeleton.name or "skeleton",
    )


def from_skeleton(skeleton: Skeleton) -> sio.Skeleton:
    """Convert to a sleap-io skeleton."""
    nodes = [sio.Node(name) for name in skeleton.nodes]
    return sio.Skeleton(
        nodes=nodes,
        edges=[sio.Edge(nodes[a], nodes[b]) for a, b in skeleton.edges],
        symmetries=[sio.Symmetry([nodes[a], nodes[b]]) for a, b in skeleton.symmetries],
        name=skeleton.name,
    )


def to_poses(labels: sio.Labels, notes: list[str] | None = None) -> Poses:
    """Convert labels to a pose record, with instances in file order and every labeled frame.

    User input hides predictions, and a frame with several entries counts once; see
    `docs/proofreading.md`.

    Args:
        labels: The labels; they are not changed.
        notes: Gets a sentence about each thing that is left out.

    Raises:
        RunError: The labels have no skeleton, or instances of different skeletons.
    """
    notes = [] if notes is None else notes
    skeleton = used_skeleton(labels, notes)
    frames = counted_frames(labels, notes)
    rows = _rows(labels, frames)
    points, point_scores = _points([row.instance for row in rows], skeleton)
    track_index = {id(track): i for i, track in enumerate(labels.tracks)}
    return make_poses(
        to_skeleton(skeleton),
        points,
        video=[row.video for row in rows],
        frame=[row.frame for row in rows],
        point_scores=point_scores,
        instance_scores=[np.nan if is_user(own) else own.score for *_, own in rows],
        tracks=[-1 if own.track is None else track_index[id(own.track)] for *_, own in rows],
        track_scores=[
            np.nan if own.tracking_score is None else own.tracking_score for *_, own in rows
        ],
        user=[is_user(own) for *_, own in rows],
        origin=[row.origin for row in rows],
        track_names=[track.name for track in labels.tracks],
        frames=[(frame.video, frame.number) for frame in frames],
    )


class _Row(NamedTuple):
    """An instance that counts.

    Attributes:
        video: Index of its video.
        frame: Its frame.
        origin: Its position among all instances of the labels.
        instance: The instance.
    """

    video: int
    frame: int
    origin: int
    instance: sio.Instance


def _rows(labels: sio.Labels, frames: Sequence[CountedFrame]) -> list[_Row]:
    """Return the instances that count; in a merged frame, too, they come in file order."""
    instances = chain.from_iterable(labels.labeled_frames)
    origin = {id(instance): i for i, instance in enumerate(instances)}
    return [
        _Row(frame.video, frame.number, origin[id(instance)], instance)
        for frame in frames
        for instance in sorted(frame.instances, key=lambda own: origin[id(own)])
    ]


def _points(
    instances: Sequence[sio.Instance], skeleton: sio.Skeleton
) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of instances in the order of a skeleton's nodes, and their scores.

    Returns:
        (n, nodes, 2) px, image space, and (n, nodes), nan for user instances.
    """
    nodes = len(skeleton.nodes)
    skeletons = {id(own.skeleton): own.skeleton for own in instances}
    orders = {key: node_order(other, skeleton) or slice(None) for key, other in skeletons.items()}
    points = [own.numpy()[orders[id(own.skeleton)]] for own in instances]
    scores = [
        np.full(nodes, np.nan) if is_user(own) else own.points["score"][orders[id(own.skeleton)]]
        for own in instances
    ]
    return np.array(points).reshape(-1, nodes, 2), np.array(scores).reshape(-1, nodes)


def before_corrections(labels: sio.Labels, poses: Poses) -> Poses:
    """Return the poses of labels with user instances replaced by the predictions they came from.

    A user instance without such a prediction in the labels stays.
    """
    used = used_skeleton(labels, [])
    instances = list(chain.from_iterable(labels.labeled_frames))
    points, point_scores, scores, user = (
        getattr(poses, name).copy()
        for name in ("points", "point_scores", "instance_scores", "user")
    )
    for row in np.flatnonzero(user):
        predicted = instances[poses.origin[row]].from_predicted
        if isinstance(predicted, sio.PredictedInstance):
            order = node_order(predicted.skeleton, used) or slice(None)
            points[row] = predicted.numpy()[order]
            point_scores[row] = predicted.points["score"][order]
            scores[row], user[row] = predicted.score, False
    return replace(
        poses, points=points, point_scores=point_scores, instance_scores=scores, user=user
    )


def to_labels(
    poses: Poses, videos: Sequence[sio.Video], *, provenance: Mapping[str, Any] | None = None
) -> sio.Labels:
    """Convert a pose record to labels that hold every processed frame, empty or not.

    Args:
        poses: The record; `poses.video` indexes `videos`.
        videos: Videos of the labels.
        provenance: Plain facts about how the poses were made, stored in the file.
    """
    skeleton = from_skeleton(poses.skeleton)
    tracks = [sio.Track(name) for name in poses.track_names]

    def instance(row: int) -> sio.Instance:
        common = {
            "points_data": poses.points[row],
            "skeleton": skeleton,
            "track": tracks[poses.tracks[row]] if poses.tracks[row] >= 0 else None,
            "tracking_score": None
            if np.isnan(poses.track_scores[row])
            else float(poses.track_scores[row]),
        }
        if poses.user[row]:
            return sio.Instance.from_numpy(**common)
        return sio.PredictedInstance.from_numpy(
            **common, point_scores=poses.point_scores[row], score=float(poses.instance_scores[row])
        )

    return sio.Labels(
        labeled_frames=[
            sio.LabeledFrame(
                video=videos[video], frame_idx=frame, instances=[instance(row) for row in rows]
            )
            for video, frame, rows in poses.by_frame()
        ],
        videos=list(videos),
        skeletons=[skeleton],
        tracks=tracks,
        provenance=dict(provenance or {}),
    )


def with_suggestions(labels: sio.Labels, frames: Iterable[tuple[int, int]]) -> sio.Labels:
    """Return the same labels with other suggestions.

    Args:
        labels: The labels.
        frames: The (video, frame) to look at; each is suggested once, in this order.
    """
    suggestions = [
        sio.SuggestionFrame(video=labels.videos[video], frame_idx=frame)
        for video, frame in dict.fromkeys(frames)
    ]
    return sio.Labels(
        labeled_frames=labels.labeled_frames,
        videos=labels.videos,
        skeletons=labels.skeletons,
        tracks=labels.tracks,
        suggestions=suggestions,
        provenance=labels.provenance,
    )


def save_labels(
    labels: sio.Labels,
    path: str | Path,
    frames: str = NO_FRAMES,
    notes: list[str] | None = None,
    *,
    restore: bool = False,
    finish: Callable[[Path], None] | None = None,
) -> None:
    """Write a `.slp` file atomically; frames stay in their video files.

    Args:
        labels: The labels.
        path: The file. What lies there and may not be replaced becomes a `.bak` file.
        frames: Digest of the frames that the labels cover.
        notes: Gets a sentence about what was kept.
        restore: Where images are in a package, name the videos that they were taken from.
        finish: Changes the file before it appears at its place.

    Raises:
        RunError: The file cannot be written.
    """
    notes = [] if notes is None else notes
    for skeleton in labels.skeletons:
        for symmetry in skeleton.symmetries:
            object.__setattr__(symmetry, "nodes", _Pair(symmetry.nodes))
    with replacing_earlier(Path(path), frames, notes) as temporary, hdf5_errors():
        labels.save(
            str(temporary),
            format="slp",
            embed=False,
            restore_original_videos=restore,
            verbose=False,
        )
        if finish is not None:
            finish(temporary)


class _Pair(set[sio.Node]):
    """The nodes of a symmetry, in the order of their names.

    sleap-io writes a plain set in its order, which depends on memory addresses, so that the same
    labels would give other bytes in another process.
    """

    def __iter__(self) -> Iterator[sio.Node]:
        """Return the nodes one after the other."""
        return iter(sorted(super().__iter__(), key=lambda node: node.name))


def video_name(video: sio.Video) -> str:
    """Return the file a video was read from; for embedded frames the original file, if known."""
    # A video of unknown length is false.
    source = video if video.source_video is None else video.source_video
    name = source.filename
    return str(name[0] if isinstance(name, list) else name)
