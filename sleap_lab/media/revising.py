"""Changing labels in place: poses put back, frames left out; all else in them stays."""

from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
import sleap_io as sio

from sleap_lab.media.counting import (
    CountedFrame,
    counted_frames,
    is_marked_empty,
    is_user,
    node_order,
    used_skeleton,
)
from sleap_lab.poses.record import Poses

ANNOTATIONS = ("centroids", "bboxes", "masks", "label_images", "rois")
"""Annotations of a sleap-io labeled frame other than instances."""


def kept_tracks(labels: sio.Labels) -> list[sio.Track]:
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
    kept = kept_tracks(labels)
    tracks = [sio.Track(name) for name in poses.track_names]
    skeleton = used_skeleton(labels, [])
    row_of = _row_of(labels, poses)
    number = {id(video): i for i, video in enumerate(videos)}
    order = {(video, frame): i for i, (video, frame) in enumerate(poses.frames.tolist())}
    revised: dict[int, sio.LabeledFrame] = {}
    merged: dict[int, sio.LabeledFrame] = {}
    for frame in counted_frames(labels, []):
        position = order.get((number.get(id(labels.videos[frame.video]), -1), frame.number))
        if position is None:
            continue
        if tracked:
            _retrack(frame, row_of, poses, tracks)
        revised[position] = _one_frame(frame.entries, _kept(frame, row_of), skeleton)
        merged |= {id(entry): revised[position] for entry in frame.entries}
    labels.labeled_frames = [revised[position] for position in sorted(revised)]
    labels.skeletons = [skeleton]
    if tracked:
        labels.tracks = [*tracks, *kept]
    labels.provenance = {**labels.provenance, **(provenance or {})}
    _leave_out_videos(labels, videos)
    _prune_sessions(labels, merged)
    labels.reindex()
    return labels


def _row_of(labels: sio.Labels, poses: Poses) -> dict[int, int]:
    """Return by id of an instance its row in the poses; instances that were left out have none."""
    row_of = {origin: row for row, origin in enumerate(poses.origin.tolist())}
    instances = enumerate(chain.from_iterable(labels.labeled_frames))
    return {id(instance): row_of[i] for i, instance in instances if i in row_of}


def _kept(frame: CountedFrame, row_of: Mapping[int, int]) -> set[int]:
    """Return the ids of the instances of a frame that stay in it.

    These are the instances that the poses have, the predictions behind those of a person, and all
    overruled predictions of a frame that is marked as empty.
    """
    kept = {id(own) for own in frame.instances if id(own) in row_of}
    overruled = {id(own) for own in frame.overruled}
    if is_marked_empty(frame.entries):
        return kept | overruled
    corrected = {
        id(own.from_predicted) for own in frame.instances if id(own) in kept and is_user(own)
    }
    return kept | (corrected & overruled)


def _retrack(
    frame: CountedFrame, row_of: Mapping[int, int], poses: Poses, tracks: Sequence[sio.Track]
) -> None:
    """Give the instances of a frame their new tracks.

    Args:
        frame: The frame. Its instances are changed.
        row_of: By id of an instance, its row in the poses.
        poses: The tracked poses.
        tracks: Their tracks.
    """
    overruled = {id(own) for own in frame.overruled}
    if is_marked_empty(frame.entries):
        for own in frame.overruled:
            own.track, own.tracking_score = None, None
    for own in frame.instances:
        if (row := row_of.get(id(own))) is None:
            continue
        track, score = int(poses.tracks[row]), float(poses.track_scores[row])
        own.track = tracks[track] if track >= 0 else None
        own.tracking_score = None if np.isnan(score) else score
        if is_user(own) and id(predicted := own.from_predicted) in overruled:
            predicted.track, predicted.tracking_score = own.track, None


def _one_frame(
    entries: Sequence[sio.LabeledFrame], kept: set[int], skeleton: sio.Skeleton
) -> sio.LabeledFrame:
    """Merge the entries of a frame into the first.

    Args:
        entries: The entries. They are changed.
        kept: Ids of the instances that stay.
        skeleton: Skeleton of the result.
    """
    first, *others = entries
    first.is_negative = is_marked_empty(entries) if others else first.is_negative
    first.instances = [own for own in chain(*entries) if id(own) in kept]
    for other in others:
        for name in ANNOTATIONS:
            getattr(first, name).extend(getattr(other, name))
    for own in first.instances:
        if own.skeleton is not skeleton:
            if (order := node_order(own.skeleton, skeleton)) is not None:
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
    labels: sio.Labels, merged: Mapping[int, sio.LabeledFrame] = MappingProxyType({})
) -> None:
    """Remove frames and instances that labels no longer hold from the groups of sessions.

    sleap-io has no public API for it.

    Args:
        labels: The labels. They are changed.
        merged: By id of a former frame, the frame that took its place.
    """
    frames = {id(frame): frame for frame in labels.labeled_frames}
    instances = set(map(id, chain.from_iterable(labels.labeled_frames)))
    for session in labels.sessions:
        for index, group in list(session.frame_groups.items()):
            now = {
                camera: merged.get(id(frame), frame)
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
