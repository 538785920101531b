"""The file of each video of labels: the named file, one of that name beside the labels, or none.

Labels travel without their videos, and the videos of a rig often share names. A file is taken for a
video only if it fits the facts that the labels store of it, and if it cannot be another video of
these labels: poses of the wrong recording are worse than none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

import sleap_io as sio
from sleap_io.io.video_reading import CropVideoBackend, MediaVideo, VideoBackend

from sleap_lab.errors import RunError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.media.fit import (
    OTHER,
    Files,
    Fit,
    Stored,
    fit,
    open_backend,
    size_problem,
    stored_of,
)
from sleap_lab.media.headers import ADDRESS, vet_video
from sleap_lab.media.images import absent_images, display_path, is_there
from sleap_lab.media.missing import (
    IS_ADDRESS,
    NOT_THERE,
    absence_of,
    lacking,
    lacks_first,
    missing_of,
    partial_of,
)
from sleap_lab.media.moved import moved_notes, moved_path, path_parts

Name = str | tuple[str, ...]
"""The name of a video in labels; videos of the same name may share their file."""


Identity = Path | str
"""What is the same for the same file under any name."""


class Found(NamedTuple):
    """A candidate beside labels for one of their videos.

    Attributes:
        files: The file or images.
        identity: Identity of the file, or of the first image.
        rank: Whether it has the whole name of the video, and how well it fits.
    """

    files: Files
    identity: Identity
    rank: tuple[bool, Fit]


def relink(
    labels: sio.Labels, path: Path, moved: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[str], list[str]]:
    """Open the videos of labels, each from its file; videos without a file become missing ones.

    Args:
        labels: The labels, read without opening their videos.
        path: The file they were read from.
        moved: Prefixes of paths that have moved, as in `data.moved`.

    Returns:
        What `moved_notes` says of these prefixes, if videos are not where the labels say.
    """
    last = _last_labeled(labels)
    unopened: dict[sio.Video, str] = {}
    taken: dict[Identity, Name] = {}
    for video in _with_sources(labels.videos):
        if (reason := _open_original(video, path)) is None:
            taken.setdefault(file_identity(video.filename), _name(video))
        else:
            unopened[video] = reason
    names = [str(display_path(video.filename)) for video in unopened]
    found: dict[sio.Video, Found] = {}
    for video in unopened:
        choice, misfit = _beside(video, path, last[id(video)], taken, moved)
        if choice is not None:
            found[video] = choice
        elif misfit:
            unopened[video] += f", and {misfit}"
    opened = _open_found(unopened, found)
    _replace_videos(labels, unopened)
    places = Counter(
        where[1]
        for name, video in opened
        if (where := moved_path(name, moved)) is not None
        and Path(where[0]) == Path(display_path(video.filename))
    )
    return moved_notes(names, places, moved) if names else ([], [])


def _open_found(
    unopened: dict[sio.Video, str], found: Mapping[sio.Video, Found]
) -> list[tuple[str, sio.Video]]:
    """Open videos from the files found for them, where nothing else may be meant.

    Args:
        unopened: Videos, each with the reason why it is not open; those that are opened leave it,
            and reasons of others get what is wrong with the files found.
        found: The files.

    Returns:
        The opened videos, each with the name that it had.
    """
    rivals = {video: _rivals(video, found) for video in found}
    opened = []
    for video, reason in list(unopened.items()):
        name = str(display_path(video.filename))
        problem = _open_one(video, found.get(video), rivals.get(video, []))
        if problem is None or (
            # With nothing better beside the labels, the named file is the video.
            reason.startswith(OTHER) and _open(video, video.filename) is None
        ):
            del unopened[video]
            opened.append((name, video))
        else:
            unopened[video] += problem
    return opened


def _replace_videos(labels: sio.Labels, unopened: Mapping[sio.Video, str]) -> None:
    """Replace videos that are not open by missing ones, and those that lack their first image."""
    replaced: dict[sio.Video, sio.Video] = {
        video: missing_of(video, unopened[video]) if video in unopened else partial_of(video)
        for video in labels.videos
        if video in unopened or lacks_first(video)
    }
    if replaced:
        labels.replace_videos(video_map=replaced)


def refuse_mistaken(labels: sio.Labels) -> None:
    """Refuse open labels whose videos sleap-io found by name alone, where the files do not fit.

    Raises:
        RunError: The file of a video does not fit it, or is another video of the labels.
    """
    last = _last_labeled(labels)
    owners: dict[Identity, tuple[str, bool]] = {}
    for video in labels.videos:
        stored_name = video.backend_metadata.get("filename")
        if (
            not isinstance(video.filename, str)
            or not isinstance(stored_name, str)
            or stored_name == "."
            or video.backend is None
        ):
            continue
        moved = PurePosixPath(stored_name.replace("\\", "/")) != PurePosixPath(video.filename)
        owner, owner_moved = owners.setdefault(file_identity(video.filename), (stored_name, moved))
        problem = f"is {owner} as well" if owner != stored_name and (moved or owner_moved) else ""
        if moved and not problem:
            problem = fit(video, video.filename, last[id(video)])[1]
        if problem:
            raise RunError(
                f"the video {stored_name} of these labels is read from {video.filename}, "
                f"which {problem}; open them with data_path in place of input_labels, "
                "or name the right file: video.replace_filename(path)"
            )


def _last_labeled(labels: sio.Labels) -> dict[int, int]:
    """Return the last labeled frame by id of the video, -1 for a video without any."""
    last: dict[int, int] = defaultdict(lambda: -1)
    for frame in labels.labeled_frames:
        last[id(frame.video)] = max(last[id(frame.video)], int(frame.frame_idx))
    return last


def _with_sources(videos: Sequence[sio.Video]) -> Iterator[sio.Video]:
    """Yield videos and the original videos of their frames, each once."""
    seen: set[int] = set()
    for video in videos:
        current: sio.Video | None = video
        while current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            current = current.source_video


def _open_original(video: sio.Video, labels: Path) -> str | None:
    """Open a video from the place that the labels name; return the reason where that fails."""
    files = video.filename
    if isinstance(files, list):
        if missing := absent_images(files):
            return NOT_THERE if len(missing) == len(files) else lacking(missing, files)
    elif ADDRESS.match(files):
        return IS_ADDRESS
    elif (absence := absence_of(files)) is not None:
        return absence
    elif _same(files, labels):  # a package, which is checked as a whole
        return _open(video, files, vetted=True)
    if (problem := _open(video, files)) is not None:
        return problem
    if (size := size_problem(video)) is None:
        return None
    video.backend, video.open_backend = None, False
    return f"{OTHER} than the labels are of: {size}"


def _beside(
    video: sio.Video,
    labels: Path,
    last: int,
    taken: dict[Identity, Name],
    moved: Mapping[str, str],
) -> tuple[Found | None, str]:
    """Look for a video where its folder has moved to, and beside its labels.

    Args:
        video: The video.
        labels: The labels file.
        last: Last labeled frame of the video, -1 where there is none.
        taken: Files that are videos of the labels -> names of these videos.
        moved: Prefixes of paths that have moved.

    Returns:
        The file that fits, if any; otherwise the misfit of the first that has the name, if any.
    """
    misfit = ""
    named = [file_identity(_below(video.filename, labels.parent))]
    for files in chain(
        elsewhere := list(_elsewhere(video.filename, moved)),
        _candidates(video.filename, labels.parent),
    ):
        if (identity := file_identity(files)) == file_identity(video.filename):
            continue
        owner = taken.get(identity)
        if owner is not None and owner != _name(video):
            how, problem = Fit.NO, f"is the video {_short(owner)} of theirs"
        else:
            how, problem = fit(video, files, last)
        if how:
            return Found(files, identity, (files in elsewhere or identity in named, how)), ""
        misfit = misfit or f"{display_path(files)} {problem}"
    return None, misfit


def _elsewhere(name: Files, moved: Mapping[str, str]) -> Iterator[Files]:
    """Yield the files of a video where its folder has moved to, if they are there."""
    found = [moved_path(one, moved) for one in ([name] if isinstance(name, str) else name)]
    files = [where[0] for where in found if where is not None]
    if len(files) < len(found) or not files:
        return
    if isinstance(name, str):
        if absence_of(files[0]) is None:
            yield files[0]
    elif not absent_images(files):
        yield files


def _candidates(name: Files, folder: Path) -> Iterator[Files]:
    """Yield the files below a folder under the last parts of a video's name, the longest first."""
    parts = [_parts(one) for one in ([name] if isinstance(name, str) else name)]
    shared = min((len(own) for own in parts), default=0)
    while shared and any(own[: shared - 1] != parts[0][: shared - 1] for own in parts):
        shared -= 1
    for dropped in range(shared):
        first = str(folder.joinpath(*parts[0][dropped:]))
        if isinstance(name, str):
            if absence_of(first) is None:
                yield first
        elif is_there(first):
            # The images keep their places relative to each other.
            files = [str(folder.joinpath(*own[dropped:])) for own in parts]
            if not absent_images(files):
                yield files


def _below(name: Files, folder: Path) -> Files:
    """Return a name as a path below a folder."""
    return str(folder / name) if isinstance(name, str) else [str(folder / one) for one in name]


def _rivals(video: sio.Video, found: Mapping[sio.Video, Found]) -> list[str]:
    """Return the names of other videos that fit the file found for a video no worse."""
    _, identity, rank = found[video]
    rivals = [
        _short(_name(other))
        for other, own in found.items()
        if own.identity == identity and own.rank >= rank and _name(other) != _name(video)
    ]
    return list(dict.fromkeys(rivals))


def _open_one(video: sio.Video, found: Found | None, rivals: Sequence[str]) -> str | None:
    """Open a video from the files found for it, or from those of its images that exist.

    Args:
        video: The video.
        found: What was found for it, if anything was.
        rivals: Names of other videos that the files may be as well; then it is not opened.

    Returns:
        None where it is open, otherwise words that follow the reason.
    """
    if found is not None and not rivals:
        return (
            None
            if (problem := _open(video, found.files)) is None
            else f", and {display_path(found.files)} {problem}"
        )
    if found is not None:
        folders = ", ".join([_short(_name(video)), *rivals])
        return (
            f", and {display_path(found.files)} may be {' or '.join(rivals)} as well; "
            f"put each beside the labels in its folder: {folders}"
        )
    if isinstance(video.filename, list) and len(absent_images(video.filename)) < len(
        video.filename
    ):
        return _open(video, video.filename)
    return ""


def _open(video: sio.Video, files: Files, *, vetted: bool = False) -> str | None:
    """Open a video from a file with the reader that the labels name; return why it fails, if so."""
    metadata = video.backend_metadata
    try:
        if isinstance(files, str) and not vetted and Path(files).is_file():
            vet_video(Path(files))
        shape = metadata.get("source_shape") or metadata.get("shape")
        reader = open_backend(
            video, files, metadata.get("grayscale", shape[-1] == 1 if shape else None)
        )
        if isinstance(files, list) and not is_there(files[0]):
            _tell_shape(reader, stored_of(video), files)
        if (crop := metadata.get("crop")) is not None:
            reader = CropVideoBackend.wrap(
                inner=reader, crop=tuple(crop), fill=metadata.get("crop_fill", 0)
            )
    except Exception as error:  # every reader has its own errors for a file it cannot read
        raise_interruption(error)
        return f"cannot be read ({one_line(error)})"
    if (rate := metadata.get("fps")) is not None and not isinstance(reader, MediaVideo):
        reader._fps = rate
    video.filename, video.backend, video.open_backend = files, reader, True
    if isinstance(files, list):
        metadata["filename"], metadata["filenames"] = files[0], files
    elif metadata.get("filename") != ".":
        metadata["filename"] = files
    return None


def _tell_shape(reader: VideoBackend, stored: Stored, files: Sequence[str]) -> None:
    """Set the shape of a reader of images, which it would read from the missing first image."""
    there = next(file for file in files if is_there(file))
    height, width, channels = VideoBackend.from_filename(
        [there], grayscale=reader.grayscale
    ).img_shape
    reader.grayscale = (stored.channels or channels) == 1
    reader._cached_shape = (len(files), height, width, 1 if reader.grayscale else 3)


def _name(video: sio.Video) -> Name:
    return tuple(video.filename) if isinstance(video.filename, list) else video.filename


def _short(name: Name) -> str:
    """Return the end of a name: a file and its folder; for images, their folder and its parent."""
    return "/".join(_parts(name)[-2:] if isinstance(name, str) else _parts(name[0])[-3:-1])


def _parts(name: str) -> tuple[str, ...]:
    """Return the parts of a path of any system, without those that lead upwards."""
    return tuple(part for part in path_parts(name) if part not in ("/", "//", ".."))


def file_identity(files: Files) -> Identity:
    """Return the identity of a file; of images, that of the first."""
    name = files if isinstance(files, str) else files[0]
    try:
        return Path(name).resolve(strict=True)
    except (OSError, ValueError):
        return name


def _same(name: str, path: Path) -> bool:
    try:
        return Path(name).samefile(path)
    except (OSError, ValueError):
        return False
