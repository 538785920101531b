"""Names in files: of videos, tracks and nodes, as other programs accept and tell them apart."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath, PureWindowsPath

import sleap_io as sio

from sleap_lab.errors import listed
from sleap_lab.media.labels import video_name
from sleap_lab.poses.record import Poses, distinct

LONGEST_STEM = 48
"""Letters of a video's name in a file name.

File systems allow 255 bytes, and a letter may take four of them.
"""


def unique_names(
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


def renamed(where: str, before: Poses, after: Poses) -> list[str]:
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


def file_stem(video: sio.Video) -> str:
    """Return the start of a video's name without suffix; for images, of their folder's name."""
    path = as_path(video_name(video))
    stem = (
        path.parent.name if isinstance((video.source_video or video).filename, list) else path.stem
    )
    return stem[:LONGEST_STEM]


def as_path(name: str) -> PurePath:
    """Return a name as a path: one of this system, or a Windows path, which has no folder here."""
    foreign = PureWindowsPath(name)
    return (
        foreign
        if (foreign.drive or "\\" in name) and not isinstance(Path(), PureWindowsPath)
        else Path(name)
    )


def described(video: sio.Video, poses: Poses) -> sio.Video:
    """Return a video object with name and shape for a file, without reading the video again.

    The frames of a package have the name of their original video. An unknown length ends with the
    last processed frame.
    """
    original = video.source_video or video
    name = as_path(video_name(video))
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
