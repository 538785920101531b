"""Between the pose record and label files: everything that touches sleap-io's label objects."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.atomic import hdf5_errors, replacing
from sleap_lab.errors import RunError, one_line
from sleap_lab.poses import Poses, Skeleton, make_poses
from sleap_lab.relink import relink
from sleap_lab.vetting import vet_labels


def read_labels(path: str | Path) -> sio.Labels:
    """Read a `.slp` or `.pkg.slp` file; videos that are not where the file says are looked for beside it.

    Those that no file is taken for are `MissingVideo`: they cannot be read, what the labels say of them can. Nothing is fetched.

    Raises:
        RunError: The file is missing, is not a SLEAP labels file, or reaches beyond itself.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"{path}: no such labels file")
    try:
        vet_labels(path)
        labels = sio.load_slp(str(path), open_videos=False)
        if frames := [frame.frame_idx for frame in labels.labeled_frames if not 0 <= frame.frame_idx < 2**31]:
            raise ValueError(f"it has a frame of the number {frames[0]}")
    except Exception as error:  # whatever h5py and sleap-io raise for a broken file
        raise RunError(f"{path}: not a readable SLEAP labels file ({one_line(error)})") from error
    relink(labels, path)
    return labels


def to_skeleton(skeleton: sio.Skeleton) -> Skeleton:
    """Convert a sleap-io skeleton."""
    return Skeleton(
        nodes=tuple(skeleton.node_names),
        edges=tuple((int(a), int(b)) for a, b in skeleton.edge_inds),
        symmetries=tuple((int(a), int(b)) for a, b in (sorted(pair) for pair in skeleton.symmetry_inds)),
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


def to_poses(labels: sio.Labels) -> Poses:
    """Convert labels to a pose record, instances in file order, every labeled frame kept as processed.

    Raises:
        RunError: The labels have no skeleton, or instances of different skeletons.
    """
    if not labels.skeletons:
        raise RunError("the labels hold no skeleton")
    skeleton = to_skeleton(labels.skeletons[0])
    if not skeleton.nodes:
        raise RunError("the skeleton of the labels has no nodes")
    video_index = {id(video): i for i, video in enumerate(labels.videos)}
    track_index = {id(track): i for i, track in enumerate(labels.tracks)}
    frames: dict[tuple[int, int], None] = {}
    rows: list[tuple[int, int, Any]] = []
    for labeled in labels.labeled_frames:
        where = (video_index[id(labeled.video)], int(labeled.frame_idx))
        frames[where] = None
        rows += [(*where, instance) for instance in labeled.instances]
    for *_, instance in rows:
        if instance.skeleton is not labels.skeletons[0] and tuple(instance.skeleton.node_names) != skeleton.nodes:
            raise RunError(
                f"the labels mix skeletons, with nodes {', '.join(skeleton.nodes)} and {', '.join(instance.skeleton.node_names)}; "
                "only one skeleton per file is supported"
            )
    predicted = [isinstance(instance, sio.PredictedInstance) for *_, instance in rows]
    nodes = len(skeleton.nodes)
    return make_poses(
        skeleton,
        np.array([instance.numpy() for *_, instance in rows]).reshape(-1, nodes, 2),
        video=[video for video, *_ in rows],
        frame=[frame for _, frame, _ in rows],
        point_scores=np.array(
            [
                instance.points["score"] if is_predicted else np.full(nodes, np.nan)
                for (*_, instance), is_predicted in zip(rows, predicted, strict=True)
            ]
        ).reshape(-1, nodes),
        instance_scores=[instance.score if is_predicted else np.nan for (*_, instance), is_predicted in zip(rows, predicted, strict=True)],
        tracks=[-1 if instance.track is None else track_index[id(instance.track)] for *_, instance in rows],
        track_scores=[np.nan if instance.tracking_score is None else instance.tracking_score for *_, instance in rows],
        user=np.logical_not(predicted),
        track_names=[track.name for track in labels.tracks],
        frames=list(frames),
    )


def to_labels(poses: Poses, videos: Sequence[sio.Video], *, provenance: Mapping[str, Any] | None = None) -> sio.Labels:
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
            "tracking_score": None if np.isnan(poses.track_scores[row]) else float(poses.track_scores[row]),
        }
        if poses.user[row]:
            return sio.Instance.from_numpy(**common)
        return sio.PredictedInstance.from_numpy(**common, point_scores=poses.point_scores[row], score=float(poses.instance_scores[row]))

    return sio.Labels(
        labeled_frames=[
            sio.LabeledFrame(video=videos[video], frame_idx=frame, instances=[instance(row) for row in rows])
            for video, frame, rows in poses.by_frame()
        ],
        videos=list(videos),
        skeletons=[skeleton],
        tracks=tracks,
        provenance=dict(provenance or {}),
    )


def with_suggestions(labels: sio.Labels, frames: Iterable[tuple[int, int]]) -> sio.Labels:
    """Return the same labels with other suggestions: the (video, frame) to look at, each once, in this order."""
    suggestions = [sio.SuggestionFrame(video=labels.videos[video], frame_idx=frame) for video, frame in dict.fromkeys(frames)]
    return sio.Labels(
        labeled_frames=labels.labeled_frames,
        videos=labels.videos,
        skeletons=labels.skeletons,
        tracks=labels.tracks,
        suggestions=suggestions,
        provenance=labels.provenance,
    )


def save_labels(labels: sio.Labels, path: str | Path) -> None:
    """Write a `.slp` file atomically; frames stay in their video files.

    Raises:
        RunError: The file cannot be written.
    """
    with replacing(path) as temporary, hdf5_errors():
        labels.save(str(temporary), format="slp", embed=False, restore_original_videos=False, verbose=False)


def video_name(video: sio.Video) -> str:
    """Return the file a video was read from; for embedded frames the original file, if known."""
    source = video.source_video or video
    name = source.filename
    return str(name[0] if isinstance(name, list) else name)
