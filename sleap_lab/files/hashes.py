"""The content of a file or folder as a hash, which does not depend on its name."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any


def file_facts(path: Path) -> dict[str, Any]:
    """Return path, SHA-256 and size in bytes of a file, or of all files in a folder together.

    The hash of a folder is that of its sorted relative names and the hashes of the files. Hash and
    size of what does not exist are None.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
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
    stat = path.stat()
    return _hash(path.absolute(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _hash(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
