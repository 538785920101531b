"""The stage cache: a result that was computed once is never computed again.

An entry is two files named by the fingerprint of what the result depends on: its arrays (`.npz`),
and a header of plain facts (`.json`). The header is written last, describes the entry and holds a
digest of both. Nothing in the files can run code. Truncated and damaged entries are detected. A
fault of the cache costs time only: the result is computed as if there were no cache.

Several processes that need the same entry compute it once: each entry has a lock, which the system
releases when its holder ends for whatever reason. The least recently used entries make room for new
ones; locked entries are left alone.
"""

import hashlib
import io
import json
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from sleap_lab.errors import RunError, system_reason
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.atomic import replacing
from sleap_lab.files.safe_load import read_arrays, read_json
from sleap_lab.settings.config import OUTPUTS

log = logging.getLogger(__name__)

Facts = dict[str, Any]

DEFAULT_FOLDER = Path(OUTPUTS) / "cache"
GB = 10**9
CACHE_FILE = re.compile(r"\.?([0-9a-f]{64})\.(?:[0-9a-f]+\.)?(?:json|npz|lock)")
"""Names of the cache's files: both files of an entry, their temporary versions, and its lock."""


@dataclass(frozen=True)
class Cache:
    """A stage cache: its folder, and whether it may be read and written.

    Attributes:
        folder: Folder of the cache; made when something is stored.
        mode: `rw` reads and stores, `read` only reads, `off` does neither.
        max_bytes: Size that storing keeps the folder below.
        seeds: Folders of other caches, of other people or machines, where entries are looked for
            that this one lacks. Nothing is written into them.
        warn: Called with a sentence for each fault of the cache.
        note: Called with a sentence where another process is waited for.
        used: Gets the key of each entry that was stored or read.
    """

    folder: Path
    mode: str = "rw"
    max_bytes: float = np.inf
    seeds: tuple[Path, ...] = ()
    warn: Callable[[str], None] = log.warning
    note: Callable[[str], None] = log.info
    used: set[str] = field(default_factory=set, compare=False)


@dataclass(frozen=True)
class StageResult:
    """What a stage computes and the cache keeps.

    Attributes:
        arrays: Arrays by name; numbers and text, no objects.
        facts: Facts about them that JSON can hold.
        complete: Whether to store the result; false where input could not be read.
    """

    arrays: Mapping[str, np.ndarray]
    facts: Facts = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True)
class Entry:
    """Description of one entry of the cache.

    Attributes:
        key: Fingerprint of what the result depends on.
        stage: Stage that computed it.
        about: Description of the result, for people.
        size: Bytes of its files.
        created: When it was stored, seconds since the epoch.
        used: When it was last used, seconds since the epoch.
    """

    key: str
    stage: str
    about: str
    size: int
    created: float
    used: float


def remember(
    cache: Cache,
    key: str,
    compute: Callable[[], StageResult],
    *,
    stage: str,
    about: str = "",
    fits: Callable[[StageResult], bool] = lambda result: True,
) -> tuple[StageResult, bool]:
    """Return a stored result, or compute and store it.

    Args:
        cache: The cache.
        key: Fingerprint of the result.
        compute: Makes the result; its errors are not caught.
        stage: Name of the stage, for people.
        about: Description of the result, for people.
        fits: Whether a stored result is enough. If it is not, or if this raises an error, the
            result is computed again and replaced.

    Returns:
        The result, and whether it was in the cache.
    """
    if cache.mode == "off":
        return compute(), False
    with _locked(cache, key) as writable:
        cache.used.add(key)
        if (found := _load(cache, key, fits)) is not None:
            return found, True
        result = compute()
        if writable and result.complete:
            _store(cache, key, result, stage=stage, about=about)
    if writable:
        _evict(cache, key)
    return result, False


def recall(cache: Cache, key: str, fits: Callable[[StageResult], bool]) -> StageResult | None:
    """Return a stored result; None where there is none, it does not fit, or the cache is off."""
    return None if cache.mode == "off" else _load(cache, key, fits)


@contextmanager
def _locked(cache: Cache, key: str) -> Iterator[bool]:
    """Hold the lock of an entry, after waiting for another holder.

    Yields:
        Whether the lock is held; false, without waiting, where the cache may not or cannot be
        written.
    """
    lock: FileLock | None = None
    if cache.mode == "rw":
        try:
            cache.folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(cache.folder, key)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                cache.note(
                    "waiting for another process that computes the same (cache=off does not wait)"
                )
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            lock = None
            cache.warn(
                f"cache_dir: {cache.folder} cannot be written to ({system_reason(error)}); "
                "nothing is stored"
            )
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def _lock(folder: Path, key: str) -> FileLock:
    return FileLock(folder / f"{key}.lock")


def _load(cache: Cache, key: str, fits: Callable[[StageResult], bool]) -> StageResult | None:
    """Return a stored result; None where there is none that is intact and fits."""
    for folder in (cache.folder, *cache.seeds):
        if (found := _load_from(folder, cache, key, fits)) is not None:
            if folder == cache.folder:
                with suppress(OSError):
                    os.utime(folder / f"{key}.json")  # the time of its last use
            return found
    return None


def _load_from(
    folder: Path, cache: Cache, key: str, fits: Callable[[StageResult], bool]
) -> StageResult | None:
    """Return the result that one folder holds; None where it has none that is intact and fits."""
    try:
        header = read_json(folder / f"{key}.json")
        content = (folder / f"{key}.npz").read_bytes()
        if header.pop("digest") != _digest(header, content):
            raise ValueError("it has changed since it was stored")
        result = StageResult(read_arrays(io.BytesIO(content)), header["facts"])
        if not fits(result):
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # damaged in any way: computing again is always right
        raise_interruption(error)
        where = "" if folder == cache.folder else f" in {folder}"
        cache.warn(
            f"entry {key[:8]} of the cache{where} cannot be used ({system_reason(error)}) "
            "and is computed again"
        )
        return None
    return result


def _digest(header: Mapping[str, Any], content: bytes) -> str:
    """Return the SHA-256 of the file of an entry's arrays and of its header."""
    digest = hashlib.sha256(content)
    digest.update(json.dumps(header, sort_keys=True).encode())
    return digest.hexdigest()


def _store(cache: Cache, key: str, result: StageResult, *, stage: str, about: str) -> None:
    """Write an entry whose lock is held; warn where that is not possible."""
    buffer = io.BytesIO()
    # For mypy the names of the arrays could be NumPy's own options.
    np.savez_compressed(buffer, **result.arrays)  # type: ignore[arg-type]
    content = buffer.getvalue()
    if len(content) > cache.max_bytes:
        cache.warn(
            f"{stage}: {len(content) / GB:.3g} GB are more than "
            f"cache_max_gb={cache.max_bytes / GB:g} and are not stored"
        )
        return
    header = {"stage": stage, "about": about, "created": time.time(), "facts": result.facts}
    header["digest"] = _digest(header, content)
    try:
        with replacing(cache.folder / f"{key}.npz") as temporary:
            temporary.write_bytes(content)
        with replacing(cache.folder / f"{key}.json") as temporary:
            temporary.write_text(json.dumps(header, indent=1), encoding="utf-8")
    except RunError as error:
        cache.warn(f"{stage}: not stored in the cache: {error}")


def _evict(cache: Cache, key: str) -> None:
    """Remove the least recently used entries beyond the limit, and leftovers of killed writers.

    The entry of `key` stays.
    """
    known = entries(cache.folder)
    for leftover in _keys(cache.folder) - {entry.key for entry in known}:
        _remove(cache.folder, leftover)
    size = sum(entry.size for entry in known)
    for entry in sorted(known, key=lambda entry: entry.used):
        if size > cache.max_bytes and entry.key != key and _remove(cache.folder, entry.key):
            log.info("cache: entry %s (%s, %s) made room", entry.key[:8], entry.stage, entry.about)
            size -= entry.size


def _keys(folder: Path) -> set[str]:
    """Return the keys of all entries, complete or not; ignores files that are not of the cache."""
    with suppress(OSError):
        return {match[1] for path in folder.iterdir() if (match := CACHE_FILE.fullmatch(path.name))}
    return set()


def _remove(folder: Path, key: str) -> bool:
    """Remove the files of an entry that is not in use; return whether they were removed."""
    try:
        with _lock(folder, key).acquire(timeout=0):
            for path in (
                folder / f"{key}.json",
                folder / f"{key}.npz",
                *folder.glob(f".{key}.*"),
                folder / f"{key}.lock",
            ):
                path.unlink(missing_ok=True)
    except (OSError, NotImplementedError):
        return False
    return True


def entries(folder: Path) -> list[Entry]:
    """Return the entries of a cache, the most recently used first; none without such a folder."""
    found = []
    for key in _keys(folder):
        header_path, arrays_path = folder / f"{key}.json", folder / f"{key}.npz"
        try:
            size = header_path.stat().st_size + arrays_path.stat().st_size
            used, header = header_path.stat().st_mtime, read_json(header_path)
            stage, about = str(header["stage"]), str(header["about"])
            found.append(Entry(key, stage, about, size, float(header["created"]), used))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # being written, being removed, or damaged
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def stored_among(cache: Cache) -> list[str]:
    """Return the keys of the entries that a cache was used for and still has."""
    return sorted(key for key in cache.used if (cache.folder / f"{key}.json").is_file())


def clear(folder: Path, keys: Collection[str] = ()) -> tuple[list[Entry], list[Entry]]:
    """Remove entries.

    Args:
        folder: The cache.
        keys: Prefixes of the keys to remove; all by default.

    Returns:
        The removed entries, and those that stay because they are in use.
    """
    known = entries(folder)
    chosen = [entry for entry in known if not keys or entry.key.startswith(tuple(keys))]
    if not keys:
        for leftover in _keys(folder) - {entry.key for entry in known}:
            _remove(folder, leftover)
    done = {entry.key: _remove(folder, entry.key) for entry in chosen}
    return [entry for entry in chosen if done[entry.key]], [
        entry for entry in chosen if not done[entry.key]
    ]
