"""Conversion between the pose record and label files: all code that handles sleap-io's labels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, listed, one_line
from sleap_lab.files.atomic import hdf5_errors, replacing
from sleap_lab.media.headers import vet_labels
from sleap_lab.media.relink import relink
from sleap_lab.poses.record import Poses, Skeleton, make_poses


def read_labels(path: str | Path) -> sio.Labels:
    """Read a `.slp` or `.pkg.slp` file; videos that are moved are searched for beside it.

    A video without a matching file is a `MissingVideo`: it cannot be read, but its facts in the
    labels can. Nothing is downloaded.

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
        raise RunError(f"{path}: not a readable SLEAP labels file ({one_line(error)})") from error
    relink(labels, path)
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


class _Place(NamedTuple):
    """A frame with the instances that count.

    Attributes:
        video: Index of the video.
        frame: Frame index.
        entries: The labeled frames of this video and frame; several where projects were merged.
        instances: Instances that count.
        behind: Predictions that stay in the file and do not count, because a person overruled them.
    """

    video: int
    frame: int
    entries: list[sio.LabeledFrame]
    instances: list[sio.Instance]
    behind: list[sio.Instance]


def _is_user(instance: sio.Instance) -> bool:
    return not isinstance(instance, sio.PredictedInstance)


def _places(labels: sio.Labels, notes: list[str]) -> list[_Place]:
    """Return for each labeled frame, in file order, which of its instances count.

    A user instance hides the prediction it came from, as in SLEAP. A frame that is marked as empty
    hides all predictions. For a frame with several entries: entries with user instances win over
    those without; equal poses count once; predictions of a later entry replace those of an earlier
    one.
    """
    video_index = {id(video): i for i, video in enumerate(labels.videos)}
    entries: dict[tuple[int, int], list[sio.LabeledFrame]] = {}
    for labeled in labels.labeled_frames:
        entries.setdefault((video_index[id(labeled.video)], int(labeled.frame_idx)), []).append(
            labeled
        )
    places = [
        _Place(*where, own, *(_counting(own) if len(own) == 1 else _merged(own)))
        for where, own in entries.items()
    ]
    if twice := [place for place in places if len(place.entries) > 1]:
        lost = sum(
            sum(map(len, place.entries)) - len(place.instances) - len(place.behind)
            for place in twice
        )
        names = [
            f"frame {place.frame}" + (f" of video {place.video}" if len(labels.videos) > 1 else "")
            for place in twice
        ]
        notes.append(
            f"{len(twice)} frames are there more than once ({listed(names, 5)}): "
            "user instances win over predictions, equal poses count once, "
            f"and later predictions replace earlier ones; {lost} instances were left out."
        )
    if denied := sum(len(place.behind) for place in places if _marked_empty(place.entries)):
        notes.append(
            f"{denied} predictions are in frames that a person marked as empty, and do not count."
        )
    return places


def _marked_empty(entries: Sequence[sio.LabeledFrame]) -> bool:
    """Say whether a person marked a frame as empty, and labeled nothing in it."""
    return any(entry.is_negative for entry in entries) and not any(map(_is_user, chain(*entries)))


def _counting(entries: Sequence[sio.LabeledFrame]) -> tuple[list[sio.Instance], list[sio.Instance]]:
    """Split the instances of a frame into those that count and predictions that are overruled."""
    instances = list(chain(*entries))
    corrected = {id(instance.from_predicted) for instance in instances if _is_user(instance)}
    empty = _marked_empty(entries)
    behind = [
        instance
        for instance in instances
        if not _is_user(instance) and (empty or id(instance) in corrected)
    ]
    hidden = set(map(id, behind))
    return [instance for instance in instances if id(instance) not in hidden], behind


def _merged(entries: Sequence[sio.LabeledFrame]) -> tuple[list[sio.Instance], list[sio.Instance]]:
    """Do the same as `_counting` for a frame with several entries."""
    counting, behind = _counting(entries)
    counts = set(map(id, counting))
    users: list[sio.Instance] = []
    # Of equal poses, the one of the entry with most facts stays. Equal poses within an entry stay.
    for entry in sorted(entries, key=_known, reverse=True):
        users += [own for own in entry if _is_user(own) and not _among(own, users)]
    by_hand = [entry for entry in entries if any(map(_is_user, entry))]
    guesses = next(
        (
            entry
            for entry in reversed(by_hand or entries)
            if any(not _is_user(own) for own in entry)
        ),
        (),
    )
    predicted = [
        own
        for own in guesses
        if id(own) in counts and not _is_user(own) and not _among(own, [*users, *behind])
    ]
    if users:
        hidden = {id(own.from_predicted) for own in users}
        behind = [own for own in behind if id(own) in hidden]
    return [*users, *predicted], behind


def _known(entry: sio.LabeledFrame) -> int:
    """Return how many tracks and original predictions the user instances of an entry name."""
    return sum(
        (own.track is not None) + (own.from_predicted is not None) for own in entry if _is_user(own)
    )


def _among(instance: sio.Instance, others: Iterable[sio.Instance]) -> bool:
    """Say whether some other instance has the same pose."""
    points = instance.numpy()
    return any(np.array_equal(points, other.numpy(), equal_nan=True) for other in others)


def _used_skeleton(labels: sio.Labels, notes: list[str]) -> sio.Skeleton:
    """Return the skeleton that the instances use; those with the same nodes are one.

    Raises:
        RunError: There is none, or instances use several.
    """
    skeletons = {id(skeleton): skeleton for skeleton in labels.skeletons}
    counts: Counter[int] = Counter()
    for labeled in labels.labeled_frames:
        for instance in labeled.instances:
            skeletons.setdefault(id(instance.skeleton), instance.skeleton)
            counts[id(instance.skeleton)] += 1
    if not skeletons:
        raise RunError("the labels hold no skeleton")
    kinds: dict[tuple[str, ...], list[sio.Skeleton]] = {}
    # Used skeletons come first.
    for skeleton in sorted(skeletons.values(), key=lambda one: not counts[id(one)]):
        kinds.setdefault(tuple(sorted(skeleton.node_names)), []).append(skeleton)
    used = {
        nodes: total
        for nodes, twins in kinds.items()
        if (total := sum(counts[id(twin)] for twin in twins))
    }
    if len(used) > 1:
        found = " and ".join(
            f"{', '.join(kinds[nodes][0].node_names)} ({total} instances)"
            for nodes, total in used.items()
        )
        raise RunError(
            f"the labels mix skeletons, with nodes {found}; only one skeleton per file is supported"
        )
    chosen = next(iter(used), None) or next((nodes for nodes in kinds if nodes), ())
    if not chosen:
        raise RunError("the skeleton of the labels has no nodes")
    for nodes, (other, *_) in kinds.items():
        if nodes != chosen:
            notes.append(
                "no instance uses the skeleton with nodes "
                f"{', '.join(other.node_names) or 'none'}: it was left out."
            )
    return kinds[chosen][0]


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
    used = _used_skeleton(labels, notes)
    track_index = {id(track): i for i, track in enumerate(labels.tracks)}
    origin = {
        id(instance): i for i, instance in enumerate(chain.from_iterable(labels.labeled_frames))
    }
    places = _places(labels, notes)
    # In a merged frame, too, instances come in file order.
    rows = [
        (place.video, place.frame, instance)
        for place in places
        for instance in sorted(place.instances, key=lambda i: origin[id(i)])
    ]
    orders = {id(instance.skeleton): _order(instance.skeleton, used) for *_, instance in rows}
    predicted = [not _is_user(instance) for *_, instance in rows]
    nodes = len(used.nodes)

    def by_node(values: np.ndarray, instance: sio.Instance) -> np.ndarray:
        order = orders[id(instance.skeleton)]
        return values if order is None else values[order]

    return make_poses(
        to_skeleton(used),
        np.array([by_node(instance.numpy(), instance) for *_, instance in rows]).reshape(
            -1, nodes, 2
        ),
        video=[video for video, *_ in rows],
        frame=[frame for _, frame, _ in rows],
        point_scores=np.array(
            [
                by_node(instance.points["score"], instance)
                if is_predicted
                else np.full(nodes, np.nan)
                for (*_, instance), is_predicted in zip(rows, predicted, strict=True)
            ]
        ).reshape(-1, nodes),
        instance_scores=[
            instance.score if is_predicted else np.nan
            for (*_, instance), is_predicted in zip(rows, predicted, strict=True)
        ],
        tracks=[
            -1 if instance.track is None else track_index[id(instance.track)]
            for *_, instance in rows
        ],
        track_scores=[
            np.nan if instance.tracking_score is None else instance.tracking_score
            for *_, instance in rows
        ],
        user=np.logical_not(predicted),
        origin=[origin[id(instance)] for *_, instance in rows],
        track_names=[track.name for track in labels.tracks],
        frames=[(place.video, place.frame) for place in places],
    )


def before_corrections(labels: sio.Labels, poses: Poses) -> Poses:
    """Return the poses of labels with user instances replaced by the predictions they came from.

    A user instance without such a prediction in the labels stays.
    """
    used = _used_skeleton(labels, [])
    instances = list(chain.from_iterable(labels.labeled_frames))
    points, point_scores, scores, user = (
        getattr(poses, name).copy()
        for name in ("points", "point_scores", "instance_scores", "user")
    )
    for row in np.flatnonzero(user):
        guess = instances[poses.origin[row]].from_predicted
        if isinstance(guess, sio.PredictedInstance):
            order = _order(guess.skeleton, used) or slice(None)
            points[row], point_scores[row] = guess.numpy()[order], guess.points["score"][order]
            scores[row], user[row] = guess.score, False
    return replace(
        poses, points=points, point_scores=point_scores, instance_scores=scores, user=user
    )


def _order(skeleton: sio.Skeleton, used: sio.Skeleton) -> list[int] | None:
    """Return the places of the used skeleton's nodes in another one; None if the order is equal."""
    names = skeleton.node_names
    return None if names == used.node_names else [names.index(name) for name in used.node_names]


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


ANNOTATIONS = ("centroids", "bboxes", "masks", "label_images", "rois")
"""Annotations of a sleap-io labeled frame other than instances."""


def staying_tracks(labels: sio.Labels) -> list[sio.Track]:
    """Return the tracks of labels that stay when their poses are tracked anew.

    These are the tracks that no pose uses, and those of other annotations.
    """
    replaced = {id(instance.track) for frame in labels.labeled_frames for instance in frame}
    on_frames = (getattr(frame, name) for frame in labels.labeled_frames for name in ANNOTATIONS)
    named = {id(getattr(item, "track", None)) for item in chain(*on_frames, labels.static_rois)}
    named |= {id(who) for event in labels.events for who in (event.subject, event.target)}
    return [track for track in labels.tracks if id(track) in named or id(track) not in replaced]


def revise_labels(
    labels: sio.Labels,
    poses: Poses,
    videos: Sequence[sio.Video],
    *,
    tracked: bool,
    provenance: Mapping[str, Any] | None = None,
) -> sio.Labels:
    """Put changed poses back into the labels that they came from; all else in them stays.

    The labels can be revised once. Frames that are not requested and instances that are filtered
    out are removed. Where the poses have new tracks, the prediction behind a user instance gets the
    track of the instance, and a prediction in a frame marked as empty gets none. Of several
    skeletons, the used one stays.

    Args:
        labels: The labels that the poses were read from. They are changed.
        poses: The changed poses, with their `origin`; `poses.video` indexes `videos`.
        videos: Videos of the result, among those of the labels.
        tracked: Whether the poses have new tracks.
        provenance: Plain facts about the change, added to those of the labels.
    """
    staying = staying_tracks(labels)
    tracks = [sio.Track(name) for name in poses.track_names]
    used = _used_skeleton(labels, [])
    row_of = {origin: row for row, origin in enumerate(poses.origin.tolist())}
    rows = {
        id(own): row_of[i]
        for i, own in enumerate(chain.from_iterable(labels.labeled_frames))
        if i in row_of
    }
    number = {id(video): i for i, video in enumerate(videos)}
    order = {(video, frame): i for i, (video, frame) in enumerate(poses.frames.tolist())}
    found: dict[int, sio.LabeledFrame] = {}
    moved: dict[int, sio.LabeledFrame] = {}
    for place in _places(labels, []):
        where = order.get((number.get(id(labels.videos[place.video]), -1), place.frame))
        if where is None:
            continue
        stay = {id(own) for own in place.instances if id(own) in rows}
        behind = {id(own) for own in place.behind}
        if _marked_empty(place.entries):
            stay |= behind
            for own in place.behind if tracked else ():
                own.track, own.tracking_score = None, None
        for own in place.instances:
            if id(own) not in stay:
                continue
            if tracked:
                track, score = poses.tracks[rows[id(own)]], poses.track_scores[rows[id(own)]]
                own.track, own.tracking_score = (
                    tracks[track] if track >= 0 else None,
                    None if np.isnan(score) else float(score),
                )
            if id(guess := own.from_predicted) in behind and _is_user(own):
                stay.add(id(guess))
                if tracked:
                    guess.track, guess.tracking_score = own.track, None
        found[where] = _one_frame(place.entries, stay, used)
        moved |= {id(entry): found[where] for entry in place.entries}
    labels.labeled_frames = [found[where] for where in sorted(found)]
    labels.skeletons = [used]
    if tracked:
        labels.tracks = [*tracks, *staying]
    labels.provenance = {**labels.provenance, **(provenance or {})}
    _leave_out_videos(labels, videos)
    _prune_sessions(labels, moved)
    labels.reindex()
    return labels


def _one_frame(
    entries: Sequence[sio.LabeledFrame], stay: set[int], skeleton: sio.Skeleton
) -> sio.LabeledFrame:
    """Merge the entries of a frame into the first, with the instances that stay."""
    first, *others = entries
    first.is_negative = _marked_empty(entries) if others else first.is_negative
    first.instances = [own for own in chain(*entries) if id(own) in stay]
    for other in others:
        for name in ANNOTATIONS:
            getattr(first, name).extend(getattr(other, name))
    for own in first.instances:
        if own.skeleton is not skeleton:
            if (order := _order(own.skeleton, skeleton)) is not None:
                own.points = own.points[order]
            own.skeleton = skeleton
    return first


def _leave_out_videos(labels: sio.Labels, videos: Sequence[sio.Video]) -> None:
    """Remove videos other than these from labels, with sessions, suggestions and events of them."""
    kept = set(map(id, videos))
    for session in labels.sessions:
        for video in [video for video in session.videos if id(video) not in kept]:
            session.remove_video(video)
    labels.sessions = [
        session
        for session in labels.sessions
        if session.videos or len(videos) == len(labels.videos)
    ]
    labels.suggestions = [
        suggestion for suggestion in labels.suggestions if id(suggestion.video) in kept
    ]
    labels.events = [
        event for event in labels.events if event.video is None or id(event.video) in kept
    ]
    labels.videos = list(videos)


def _prune_sessions(
    labels: sio.Labels, moved: Mapping[int, sio.LabeledFrame] = MappingProxyType({})
) -> None:
    """Remove lost frames and instances from the groups of sessions; sleap-io has no public API."""
    frames = {id(frame): frame for frame in labels.labeled_frames}
    instances = set(map(id, chain.from_iterable(labels.labeled_frames)))
    for session in labels.sessions:
        for index, group in list(session.frame_groups.items()):
            now = {
                camera: moved.get(id(frame), frame)
                for camera, frame in group._labeled_frame_by_camera.items()
            }
            group._labeled_frame_by_camera = {
                camera: frame for camera, frame in now.items() if id(frame) in frames
            }
            for animal in group._instance_groups:
                animal._instance_by_camera = {
                    camera: own
                    for camera, own in animal.instance_by_camera.items()
                    if id(own) in instances
                }
            group._instance_groups = [
                animal for animal in group._instance_groups if animal.instance_by_camera
            ]
            if not group._labeled_frame_by_camera:
                del session.frame_groups[index]


def leave_out_empty_frames(labels: sio.Labels) -> None:
    """Remove the frames without poses from labels.

    A frame that a person marked as empty, or that holds other annotations, stays.
    """
    labels.labeled_frames = [
        frame
        for frame in labels.labeled_frames
        if len(frame) or frame.is_negative or any(getattr(frame, name) for name in ANNOTATIONS)
    ]
    _prune_sessions(labels)
    labels.reindex()


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


def save_labels(labels: sio.Labels, path: str | Path) -> None:
    """Write a `.slp` file atomically; frames stay in their video files.

    Raises:
        RunError: The file cannot be written.
    """
    with replacing(path) as temporary, hdf5_errors():
        labels.save(
            str(temporary), format="slp", embed=False, restore_original_videos=False, verbose=False
        )


def video_name(video: sio.Video) -> str:
    """Return the file a video was read from; for embedded frames the original file, if known."""
    source = video.source_video or video
    name = source.filename
    return str(name[0] if isinstance(name, list) else name)
