"""Which instances of labels count: user input before predictions, each frame and pose once.

`docs/proofreading.md` says it for users.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, counted, listed


class CountedFrame(NamedTuple):
    """A frame with the instances that count.

    Attributes:
        video: Index of the video.
        number: Frame number.
        entries: The labeled frames of this video and frame; several where projects were merged.
        instances: Instances that count.
        overruled: Predictions that do not count, because a person overruled them. They stay in the
            file.
    """

    video: int
    number: int
    entries: list[sio.LabeledFrame]
    instances: list[sio.Instance]
    overruled: list[sio.Instance]


def is_user(instance: sio.Instance) -> bool:
    """Return whether a person placed an instance."""
    return not isinstance(instance, sio.PredictedInstance)


def counted_frames(labels: sio.Labels, notes: list[str]) -> list[CountedFrame]:
    """Return for each labeled frame, in file order, which of its instances count.

    A user instance hides the prediction it came from, as in SLEAP. A frame that is marked as empty
    hides all predictions. For a frame with several entries: entries with user instances win over
    those without; equal poses count once; predictions of a later entry replace those of an earlier
    one.

    Args:
        labels: The labels; they are not changed.
        notes: Gets a sentence on each kind of instances that do not count.
    """
    video_index = {id(video): i for i, video in enumerate(labels.videos)}
    entries: dict[tuple[int, int], list[sio.LabeledFrame]] = {}
    for labeled in labels.labeled_frames:
        entries.setdefault((video_index[id(labeled.video)], int(labeled.frame_idx)), []).append(
            labeled
        )
    frames = [
        CountedFrame(*where, own, *(_split(own) if len(own) == 1 else _merged(own)))
        for where, own in entries.items()
    ]
    notes += _notes(frames, several=len(labels.videos) > 1)
    return frames


def _notes(frames: Sequence[CountedFrame], *, several: bool) -> list[str]:
    """Return a sentence on each kind of instances that do not count.

    Args:
        frames: The frames.
        several: Whether there are several videos.
    """
    notes = []
    if repeated := [frame for frame in frames if len(frame.entries) > 1]:
        left_out = sum(
            sum(map(len, frame.entries)) - len(frame.instances) - len(frame.overruled)
            for frame in repeated
        )
        names = [
            f"frame {frame.number}" + (f" of video {frame.video}" if several else "")
            for frame in repeated
        ]
        notes.append(
            f"{counted(len(repeated), 'frame is', 'frames are')} there more than once "
            f"({listed(names, 5)}): "
            "user instances win over predictions, equal poses count once, "
            "and later predictions replace earlier ones; "
            f"{counted(left_out, 'instance was', 'instances were')} left out."
        )
    if marked := sum(len(frame.overruled) for frame in frames if is_marked_empty(frame.entries)):
        notes.append(
            f"{marked} predictions are in frames that a person marked as empty, and do not count."
        )
    return notes


def is_marked_empty(entries: Sequence[sio.LabeledFrame]) -> bool:
    """Return whether a person marked a frame as empty, and labeled nothing in it."""
    return any(entry.is_negative for entry in entries) and not any(map(is_user, chain(*entries)))


def _split(entries: Sequence[sio.LabeledFrame]) -> tuple[list[sio.Instance], list[sio.Instance]]:
    """Split the instances of a frame into those that count and predictions that are overruled."""
    instances = list(chain(*entries))
    corrected = {id(instance.from_predicted) for instance in instances if is_user(instance)}
    empty = is_marked_empty(entries)
    overruled = [
        instance
        for instance in instances
        if not is_user(instance) and (empty or id(instance) in corrected)
    ]
    hidden = set(map(id, overruled))
    return [instance for instance in instances if id(instance) not in hidden], overruled


def _merged(entries: Sequence[sio.LabeledFrame]) -> tuple[list[sio.Instance], list[sio.Instance]]:
    """Do the same as `_split` for a frame with several entries."""
    counting, overruled = _split(entries)
    counts = set(map(id, counting))
    users: list[sio.Instance] = []
    # Of equal poses, the one of the entry with most facts stays. Equal poses within an entry stay.
    for entry in sorted(entries, key=_n_facts, reverse=True):
        users += [own for own in entry if is_user(own) and not _is_among(own, users)]
    with_users = [entry for entry in entries if any(map(is_user, entry))]
    predictions = [
        [own for own in entry if not is_user(own)] for entry in reversed(with_users or entries)
    ]
    predicted = [
        own
        for own in next(filter(None, predictions), [])
        if id(own) in counts and not _is_among(own, [*users, *overruled])
    ]
    if users:
        hidden = {id(own.from_predicted) for own in users}
        overruled = [own for own in overruled if id(own) in hidden]
    return [*users, *predicted], overruled


def _n_facts(entry: sio.LabeledFrame) -> int:
    """Return how many tracks and original predictions the user instances of an entry name."""
    return sum(
        (own.track is not None) + (own.from_predicted is not None) for own in entry if is_user(own)
    )


def _is_among(instance: sio.Instance, others: Iterable[sio.Instance]) -> bool:
    """Return whether some other instance has the same pose."""
    points = instance.numpy()
    return any(np.array_equal(points, other.numpy(), equal_nan=True) for other in others)


def used_skeleton(labels: sio.Labels, notes: list[str]) -> sio.Skeleton:
    """Return the skeleton that the instances use; those with the same nodes are one.

    Args:
        labels: The labels.
        notes: Gets a sentence on each skeleton that is left out.

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
            f"{', '.join(kinds[nodes][0].node_names)} ({counted(total, 'instance')})"
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


def node_order(skeleton: sio.Skeleton, used: sio.Skeleton) -> list[int] | None:
    """Return where another skeleton has the nodes of the used one; None if the order is equal."""
    names = skeleton.node_names
    return None if names == used.node_names else [names.index(name) for name in used.node_names]
