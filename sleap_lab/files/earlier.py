"""What lies where a run writes: results of earlier runs make room, all else is left alone.

HDF5 files and zip archives that a run writes end with a mark: a digest of all before it, and a
digest of the frames that the run covers. So a file itself says whether a run wrote it, whether it
has changed since, and whether another run covers the same frames. Tables and JSON files have no
place for a mark; they are known by how they begin, and never replaced by others.

Two moments count. Before any work, `refuse_others` refuses to write where something lies that is no
result of a run. When a file is written, `replacing_earlier` keeps what lies there as a `.bak`
unless nothing is lost with it.
"""

import filecmp
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from itertools import count
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from sleap_lab.errors import ConfigError, counted
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.atomic import replacing

MARK = re.compile(rb"sleap_lab:([0-9a-f]{32}):([0-9a-f]{32})")
MARK_LENGTH = len("sleap_lab:") + 32 + 1 + 32
BAK = re.compile(r"\.bak\d*$")
HDF5_BEGINS = b"\x89HDF\r\n\x1a\n"
ZIP_BEGINS = b"PK"
TEXT_BEGINS = (
    b"track,frame_idx,instance.score",
    b"video,animal,node,",
    b"video,frame,",
    b'{\n  "images": [',
    b'{\n "voc_metrics": {',
)
"""Beginnings of the tables and JSON files that runs write."""
OTHER_PLACE = "choose another place, or move this file away"


class Kind(Enum):
    """What lies at a path."""

    NOTHING = "nothing"
    OWN = "a result of a run, as the run wrote it"
    LIKELY = "a result of a run, which may have changed since"
    OTHER = "something else"


NO_FRAMES = "0" * 32
"""In place of the digest of the frames, where they do not matter."""


def what_is(path: Path) -> Kind:
    """Say what lies at a path."""
    if not os.path.lexists(path) or (path.is_file() and path.stat().st_size == 0):
        return Kind.NOTHING
    try:
        if (found := _mark(path)) is not None:
            return Kind.OWN if found[0] == _digest(path, found[1]) else Kind.OTHER
        with path.open("rb") as file:
            head = file.read(max(map(len, TEXT_BEGINS)))
    except OSError:
        return Kind.OTHER
    if head.startswith(HDF5_BEGINS):
        labels = _labels(path)
        # Labels that `run_inference` returned, and that were saved by sleap-io.
        ours = labels is not None and labels.is_ours and not labels.user
        return Kind.LIKELY if ours else Kind.OTHER
    return Kind.LIKELY if head.startswith(TEXT_BEGINS) else Kind.OTHER


def refuse_others(key: str, paths: Iterable[Path], inputs: Iterable[tuple[str, Path]] = ()) -> None:
    """Refuse to write where something lies that is no result of a run, or that changed since.

    Args:
        key: The setting that names the place.
        paths: The files to be written.
        inputs: The files that the run reads, each with the setting that names it.

    Raises:
        ConfigError: Naming the file, what it holds, and what to do.
    """
    inputs = list(inputs)
    for path in paths:
        for name, source in inputs:
            if _is_same(path, source):
                raise ConfigError(f"{key}: {path} is the file that {name} reads; choose another")
        if path.exists() and not path.is_file():
            raise ConfigError(f"{key}: {path} exists and is not a file; choose another")
        kind = what_is(path)
        if kind is Kind.OTHER:
            changed = _was_marked(path)
            why = "it has changed since a run wrote it" if changed else "no run wrote it"
            raise ConfigError(
                f"{key}: {path} holds {contents(path)}, and {why}; nothing was overwritten. "
                f"Accepted: {OTHER_PLACE}"
            )
        if kind is not Kind.NOTHING and not os.access(path, os.W_OK):
            raise ConfigError(
                f"{key}: {path} is write-protected; nothing was overwritten. "
                f"Accepted: {OTHER_PLACE}"
            )


@contextmanager
def replacing_earlier(path: Path, frames: str, notes: list[str]) -> Iterator[Path]:
    """Write a result as `replacing` does, with a mark, and keep what it must not replace.

    An earlier result over the same frames is replaced. All else that lies there by now becomes a
    `.bak` file. Of processes that write the same file at the same time, each sees what the one
    before it wrote.

    Args:
        path: The result.
        frames: Digest of the frames that it covers.
        notes: Gets a sentence about what was kept.

    Raises:
        RunError: The file cannot be written.
    """
    with ExitStack() as alone, replacing(path) as temporary:
        yield temporary
        _add_mark(temporary, frames)
        alone.enter_context(_alone(path))  # until the new file has its name
        if not _makes_room(path, temporary, frames):
            held = contents(path)
            kept = keep(path)
            notes.append(f"{path} held {held}, and other frames or poses: it is kept as {kept}.")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others from replacing a file; its lock is a hidden file, there only meanwhile."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire()
    except (OSError, NotImplementedError):  # the file system knows no locks
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps a file that another process has open
            Path(lock.lock_file).unlink()  # who waits for it notices, and makes another
        lock.release()


def contents(path: Path) -> str:
    """Return what a file holds, for messages."""
    labels = _labels(path)
    if labels is None:
        return f"{path.stat().st_size:,} bytes" if path.is_file() else "something that is no file"
    parts = [
        *([counted(labels.user, "user-labelled instance")] if labels.user else []),
        *([counted(labels.embedded, "embedded video")] if labels.embedded else []),
        counted(labels.predicted, "predicted instance"),
    ]
    return f"{', '.join(parts)} in {counted(labels.frames, 'frame')}"


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two names are one file, by links of any kind, or would be."""
    try:
        return path.samefile(other)
    except OSError:
        return path.resolve() == other.resolve()


def _makes_room(path: Path, new: Path, frames: str) -> bool:
    """Return whether nothing is lost when a new file replaces the one at a path."""
    kind = what_is(path)
    if kind is Kind.NOTHING or (path.is_file() and filecmp.cmp(path, new, shallow=False)):
        return True
    same = kind is Kind.OWN and (_mark(path) or ("", ""))[1] == frames
    labels = _labels(path) if same else None
    return same and not (labels is not None and labels.user)


def keep(path: Path) -> str:
    """Give a file a name that ends with `.bak` and that no other has; return that name."""
    for number in count(1):
        kept = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        try:
            os.link(path, kept, follow_symlinks=False)
            path.unlink()
        except FileExistsError:
            continue
        except (OSError, NotImplementedError):  # the file system knows no links
            if os.path.lexists(kept):
                continue
            path.rename(kept)
        return kept.name
    raise AssertionError


def is_kept(path: Path) -> bool:
    """Return whether a file has a name that `keep` gives."""
    return BAK.search(path.name) is not None


def _add_mark(path: Path, frames: str) -> None:
    """Put the mark at the end of a complete file; files without a place for it stay as they are."""
    with path.open("rb") as file:
        head = file.read(len(HDF5_BEGINS))
    placeholder = b"0" * MARK_LENGTH
    if head.startswith(HDF5_BEGINS):
        with path.open("ab") as file:  # HDF5 ignores what follows its own end
            file.write(placeholder)
    elif head.startswith(ZIP_BEGINS):
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = placeholder
    else:
        return
    mark = f"sleap_lab:{_digest(path, frames)}:{frames}".encode()
    with path.open("rb+") as file:
        file.seek(-MARK_LENGTH, os.SEEK_END)
        file.write(mark)


def _mark(path: Path) -> tuple[str, str] | None:
    """Return the digests in the mark of a file, of content and frames; None without a mark."""
    if path.stat().st_size < MARK_LENGTH:
        return None
    with path.open("rb") as file:
        file.seek(-MARK_LENGTH, os.SEEK_END)
        found = MARK.fullmatch(file.read())
    return None if found is None else (found[1].decode(), found[2].decode())


def _digest(path: Path, frames: str) -> str:
    """Return the digest of a file without its mark, and of the digest of its frames."""
    digest = hashlib.blake2b(frames.encode(), digest_size=16)
    left = path.stat().st_size - MARK_LENGTH
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def _was_marked(path: Path) -> bool:
    """Return whether a run wrote a file that has changed since."""
    with suppress(OSError):
        labels = _labels(path)
        return _mark(path) is not None or (labels is not None and labels.is_ours)
    return False


class _Labels(NamedTuple):
    """What a labels file holds: numbers of instances, frames and videos with images.

    `is_ours` says whether this program made it.
    """

    user: int
    predicted: int
    frames: int
    embedded: int
    is_ours: bool


def _labels(path: Path) -> _Labels | None:
    """Return what a labels file holds; None for any other file."""
    import h5py  # slow to import, and most paths are free

    try:
        with h5py.File(path, "r") as file:
            kinds = file["instances"]["instance_type"]
            facts = json.loads(file["metadata"].attrs["json"])
            return _Labels(
                user=int((kinds == 0).sum()),
                predicted=int((kinds != 0).sum()),
                frames=len(file["frames"]),
                embedded=sum(f"{name}/video" in file for name in file),
                is_ours=(facts.get("provenance") or {}).get("generator") == "sleap_lab",
            )
    except Exception as error:  # anything can be wrong with a file that is no labels file
        raise_interruption(error)
        return None
