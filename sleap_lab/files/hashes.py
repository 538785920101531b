"""The content of a file or folder as a hash, which does not depend on its name."""

import hashlib
import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any


def file_facts(path: Path, counting: Iterable[Path] | None = None) -> dict[str, Any]:
    """Return path, SHA-256 and size in bytes of a file, or of files in a folder together.

    The hash of a folder is that of its sorted relative names and the hashes of the files. Hash and
    size of what does not exist are None.

    Args:
        path: The file or folder.
        counting: The files of a folder that count; by default all, also in folders in it.
    """
    if path.is_dir():
        files = _files_in(path, counting)
        listing = [[file.relative_to(path).as_posix(), file_hash(file)] for file in files]
        return {
            "path": str(path.absolute()),
            "sha256": hashlib.sha256(json.dumps(listing).encode()).hexdigest(),
            "size": sum(file.stat().st_size for file in files),
        }
    exists = path.is_file()
    return {
        "path": str(path.absolute()),
        "sha256": file_hash(path) if exists else None,
        "size": path.stat().st_size if exists else None,
    }


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces; an unchanged file is read once per process."""
    return _hash(path.absolute(), _stamp(path.stat()))


def file_stamp(path: Path, counting: Iterable[Path] | None = None) -> str | None:
    """Return what the file system says of a file, or of files in a folder; None without it.

    Whoever writes into a file changes its stamp, even where size and time of its content are put
    back. Copies and backups change it, too, so another stamp does not mean another content.

    Args:
        path: The file or folder.
        counting: The files of a folder that count; by default all, also in folders in it.
    """
    if not path.exists():
        return None
    files = _files_in(path, counting) if path.is_dir() else [path]
    listing = [[str(file.relative_to(path)), *_stamp(file.stat())] for file in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]


def _files_in(folder: Path, counting: Iterable[Path] | None) -> list[Path]:
    """Return the files of a folder that count, sorted; by default all, also in folders in it."""
    return sorted(
        file for file in (folder.rglob("*") if counting is None else counting) if file.is_file()
    )


def _stamp(stat: os.stat_result) -> tuple[int, int, int, int]:
    """Return size, number, and times of the last change of content and of anything, in ns."""
    return stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=4096)
def _hash(path: Path, stamp: tuple[int, int, int, int]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
