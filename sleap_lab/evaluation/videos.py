"""Which video of the predictions is which video of the ground truth, and why."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.media.moved import path_parts

if TYPE_CHECKING:
    import sleap_io as sio

log = logging.getLogger(__name__)

KEY = "evaluator.video_map"
SAME_FILE = "same file, another number of frames"
RENAME = "give the same videos the same names in both files"


class VideoMatch(NamedTuple):
    """A video of the predictions and the video of the ground truth it is compared with.

    Attributes:
        predicted: Index in the predictions; None for a video that they lack.
        predicted_name: Its file.
        truth: Index in the ground truth; None for a video that is not compared.
        truth_name: Its file.
        reason: Why the two are the same, or why there is no pair.
    """

    predicted: int | None
    predicted_name: str
    truth: int | None
    truth_name: str
    reason: str


def compared(matches: Sequence[VideoMatch]) -> dict[int, int]:
    """Return index in the predictions -> index in the ground truth of the compared videos."""
    return {
        match.predicted: match.truth
        for match in matches
        if match.predicted is not None and match.truth is not None
    }


def match_videos(
    truth: "sio.Labels",
    labels: "sio.Labels",
    video_map: Mapping[Any, Any] | None = None,
    *,
    mappable: bool = True,
) -> list[VideoMatch]:
    """Find each video of the predictions in the ground truth.

    Videos are recognised by file, path, unique path ending or identical poses, as sleap-io does,
    unless the map names them.

    Args:
        truth: Ground truth.
        labels: Predictions.
        video_map: Name or index of a video of the predictions -> name or index of the same video in
            the ground truth, or None for a video that is not to be compared.
        mappable: Whether the user can give a map; errors then propose one.

    Returns:
        One row per video of the predictions, then one per video of the ground truth that is not
        among them.

    Raises:
        ConfigError: The map names a video that does not exist, or videos cannot be told apart.
    """
    from sleap_lab.media.labels import video_name  # sleap-io is not needed to import this module

    names, true_names = ([video_name(video) for video in side.videos] for side in (labels, truth))
    mapped = {
        _find(key, names, "predictions"): None
        if value is None
        else _find(value, true_names, "ground truth")
        for key, value in (video_map or {}).items()
    }
    found, reasons = _recognised(truth, labels, mapped)
    _refuse_shared(found, names, true_names, mappable=mappable)
    unmatched = {i for i in found if found[i] is None and i not in mapped}
    possible = _candidates(truth, labels, unmatched, set(found.values()))
    _refuse_ambiguous(possible, names, true_names, mappable=mappable)
    matches = [
        VideoMatch(i, names[i], j, "" if j is None else true_names[j], reasons[i])
        for i, j in found.items()
    ]
    matches += [
        VideoMatch(None, "", j, name, "no such video in the predictions")
        for j, name in enumerate(true_names)
        if j not in found.values()
    ]
    for match in matches:
        log.info(
            "videos: %s = %s (%s)",
            match.predicted_name or "–",
            match.truth_name or "–",
            match.reason,
        )
    return matches


def map_notes(
    matches: Sequence[VideoMatch], videos: Sequence["sio.Video"], true_videos: Sequence["sio.Video"]
) -> list[str]:
    """Say which paired videos have other pictures; poses are compared as they are.

    Only those that the map pairs can, and the same file with another number of frames.

    Args:
        matches: The videos that are compared.
        videos: Videos of the predictions.
        true_videos: Videos of the ground truth.
    """
    notes = []
    for match in matches:
        if match.predicted is None or match.truth is None or match.reason not in (KEY, SAME_FILE):
            continue
        own, other = videos[match.predicted], true_videos[match.truth]
        if own.shape is None or other.shape is None:
            continue
        (frames, height, width), (others, high, wide) = own.shape[:3], other.shape[:3]
        lists = isinstance(own.filename, list) and isinstance(other.filename, list)
        names = f"{match.predicted_name} has {{}}, {match.truth_name} of the ground truth {{}}; "
        between = f"{KEY}: {names}" if match.reason == KEY else names
        if (height, width) != (high, wide):
            sizes = between.format(f"{width}x{height} px", f"{wide}x{high} px")
            notes.append(f"{sizes}poses are compared as they are, in px of their own video")
        if frames != others and not lists:  # images are paired by their files
            notes.append(f"{between.format(f'{frames} frames', others)}frames are paired by number")
    return notes


def _recognised(
    truth: "sio.Labels", labels: "sio.Labels", mapped: Mapping[int, int | None]
) -> tuple[dict[int, int | None], dict[int, str]]:
    """Return which video of the truth each video of the predictions is, and the reason.

    Args:
        truth: Ground truth.
        labels: Predictions.
        mapped: What the map says, by index; None for a video that is not to be compared.
    """
    same = truth.match(labels).video_map
    found: dict[int, int | None] = {}
    reasons: dict[int, str] = {}
    for i, video in enumerate(labels.videos):
        if i in mapped:
            found[i], reasons[i] = mapped[i], KEY if mapped[i] is not None else f"left out by {KEY}"
        elif (true_video := same.get(video)) is not None:
            found[i], reasons[i] = truth.videos.index(true_video), _reason(true_video, video)
        elif (j := _same_file(truth.videos, video)) is not None:
            found[i], reasons[i] = j, SAME_FILE
        else:
            found[i], reasons[i] = None, "no such video in the ground truth"
    return found, reasons


def _same_file(true_videos: Sequence["sio.Video"], video: "sio.Video") -> int | None:
    """Return the only video of the truth that has the file of a video, and its size, if any.

    Numbers of frames may differ, as labels store what a header says; `map_notes` tells it.
    """
    from sleap_io.model.matching import is_same_file

    same = [
        j
        for j, other in enumerate(true_videos)
        if is_same_file(other, video)
        and other.shape is not None
        and video.shape is not None
        and other.shape[1:3] == video.shape[1:3]
    ]
    return same[0] if len(same) == 1 else None


def _find(requested: Any, names: Sequence[str], side: str) -> int:
    """Return the index of the video that a name, the end of a path, or an index stands for."""
    text = str(requested)
    if text.isdigit() and int(text) < len(names):
        return int(text)
    parts = path_parts(text)
    hits = [i for i, name in enumerate(names) if name == text] or [
        i for i, name in enumerate(names) if path_parts(name)[-len(parts) :] == parts
    ]
    if len(hits) == 1:
        return hits[0]
    listed = ", ".join(f"{i} {name}" for i, name in enumerate(names))
    problem = (
        f"{len(hits)} videos of the {side} are called so"
        if hits
        else f"the {side} have no such video"
    )
    raise ConfigError(
        f"{KEY}: {text}: {problem}; accepted is an index or a name of: {listed}."
        f"{did_you_mean(text, names)}"
    )


def _reason(truth: "sio.Video", video: "sio.Video") -> str:
    """State by what sleap-io recognised a video."""
    from sleap_io.model.matching import is_same_file, shapes_compatible

    from sleap_lab.media.labels import video_name

    if is_same_file(truth, video):
        return "same file"
    ending: list[str] = []
    for ours, theirs in zip(
        reversed(path_parts(video_name(video))),
        reversed(path_parts(video_name(truth))),
        strict=False,
    ):
        if ours != theirs:
            break
        ending.insert(0, ours)
    if not ending:
        return "same poses"
    shape = (
        "same size and number of frames"
        if shapes_compatible(truth, video)
        else "size or number of frames not known"
    )
    return f"same name {'/'.join(ending)}, {shape}"


def _refuse_shared(
    found: Mapping[int, int | None],
    names: Sequence[str],
    true_names: Sequence[str],
    *,
    mappable: bool,
) -> None:
    """Refuse two videos of the predictions that would be compared with one of the ground truth."""
    takers: dict[int, list[int]] = defaultdict(list)
    for i, j in found.items():
        if j is not None:
            takers[j].append(i)
    for j, users in takers.items():
        if len(users) > 1:
            both = " and ".join(f"{i} {names[i]}" for i in users)
            raise ConfigError(
                f"{KEY if mappable else 'videos'}: the videos {both} of the predictions would both "
                f"be compared with {j} {true_names[j]} of the ground truth; "
                + (
                    f"say which one it is, e.g. {KEY}={{{users[0]}:{j},{users[1]}:null}}"
                    if mappable
                    else RENAME
                )
            )


def _candidates(
    truth: "sio.Labels", labels: "sio.Labels", unmatched: set[int], taken: set[int | None]
) -> dict[int, list[int]]:
    """Return the videos of the truth that a video of the predictions with frames could be."""
    from sleap_io.model.matching import original_videos_conflict, shapes_compatible

    with_frames = {id(frame.video) for frame in labels.labeled_frames}
    return {
        i: [
            j
            for j, candidate in enumerate(truth.videos)
            if j not in taken
            and shapes_compatible(candidate, labels.videos[i]) is not False
            and not original_videos_conflict(candidate, labels.videos[i])
        ]
        for i in sorted(unmatched)
        if id(labels.videos[i]) in with_frames
    }


def _refuse_ambiguous(
    possible: Mapping[int, Sequence[int]],
    names: Sequence[str],
    true_names: Sequence[str],
    *,
    mappable: bool,
) -> None:
    """Refuse a video of the predictions that could be any of several of the ground truth."""
    for i, candidates in possible.items():
        if len(candidates) > 1:
            listed = ", ".join(f"{j} {true_names[j]}" for j in candidates)
            raise ConfigError(
                f"{KEY if mappable else 'videos'}: video {i} {names[i]} of the predictions could "
                f"be any of these of the ground truth: {listed}; "
                + (
                    f"say which one it is, e.g. {KEY}={{{i}:{candidates[0]}}}, "
                    f"or {KEY}={{{i}:null}} if it is none of them"
                    if mappable
                    else RENAME
                )
            )
