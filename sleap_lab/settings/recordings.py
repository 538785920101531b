"""Many recordings in a sweep: `data.path` names several, and each becomes a job.

    videos/*.mp4        a glob, or a folder of videos
    cohort.txt          a list of paths, one per line
    cohort.csv          a table: the column data.path, and columns named by keys or groups

A list in brackets stays one job, which reads all of its recordings.
"""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sleap_lab.errors import ConfigError, listed
from sleap_lab.files.remote import is_url
from sleap_lab.settings.config import GROUPS, keys
from sleap_lab.settings.copies import REMOTE
from sleap_lab.settings.credentials import conceal
from sleap_lab.settings.inputs import (
    MANIFEST,
    TABLE,
    Input,
    expanded,
    has_suffix,
    is_glob,
    joined,
    manifest_lines,
    manifest_text,
    named_in,
)
from sleap_lab.settings.overrides import parse_overrides, quote, unknown_key

DATA = "data.path"
LONGEST_STEM = 80
"""Bytes of the name of a recording in the name of its job's folder."""


class Recording(NamedTuple):
    """A recording that a sweep runs on: its path, and the settings that its row of a table gives.

    Attributes:
        path: A file, or the folder of a video's images.
        settings: Overrides, key by key.
        place: Where it is named, for messages.
    """

    path: str
    settings: Mapping[str, str] = {}
    place: str = ""


def job_per_recording(
    batches: Sequence[Sequence[str]], configured: object
) -> tuple[list[list[str]], list[str | None]]:
    """Give each recording that `data.path` names a job of its own.

    Args:
        batches: Overrides of each job.
        configured: `data.path` where no override gives it.

    Returns:
        Overrides of each job, and the name of its recording where `data.path` named several.

    Raises:
        ConfigError: A list or table cannot be read, names a recording twice, or sets what the
            command line sets, too.
    """
    jobs: list[list[str]] = []
    names: list[str | None] = []
    known: dict[str, list[Recording]] = {}
    for words in batches:
        given = parse_overrides([word for word in words if word.startswith(f"{DATA}=")])
        path = given[-1].value() if given else configured
        if isinstance(path, str) and path not in known:
            known[path] = recordings(path)
        found = known[path] if isinstance(path, str) else []
        if not found:
            jobs.append(list(words))
            names.append(None)
            continue
        parsed = parse_overrides(words)
        typed = {override.key_or_group: override.value() for override in parsed}
        rest = [
            word
            for word, override in zip(words, parsed, strict=True)
            if override.key_or_group != DATA
        ]
        for recording in found:
            if both := sorted(typed.keys() & recording.settings.keys()):
                raise ConfigError(
                    f"{both[0]}: given on the command line and by {recording.place}; "
                    "leave one of them out"
                )
            own = [f"{DATA}={quote(recording.path)}", *recording.settings.values()]
            jobs.append([*own, *rest])
            names.append(Path(recording.path).stem)
    return jobs, names


def folder_name(name: str, number: int, jobs: int) -> str:
    """Return the name of a job's folder: its number, with zeros in front, and its recording."""
    plain = re.sub(r"[^\w .+=()-]+", "_", name)
    cut = plain.encode()[:LONGEST_STEM].decode(errors="ignore").strip(" .")
    return f"{number:0{len(str(jobs - 1))}d}_{cut or 'recording'}"


def recordings(path: str) -> list[Recording]:
    """Return the recordings that a path stands for; none where it is that of a single recording.

    Raises:
        ConfigError: A list or table cannot be read, or names a recording twice.
    """
    if is_url(path):  # its `?` begins a query
        return []
    place = Path(os.path.expanduser(path))  # noqa: PTH111
    if has_suffix(place, TABLE) and place.is_file():
        return _without_repeats(list(_rows(place)))
    if has_suffix(place, MANIFEST) and place.is_file():
        return _without_repeats(
            [
                Recording(found, place=f"line {number} of {place}")
                for number, line in manifest_lines(place)
                for found in _each(line)
            ]
        )
    if not place.is_dir() and (place.exists() or not is_glob(place)):
        return []
    found = _each(place)
    return [Recording(each) for each in found] if is_glob(place) or len(found) > 1 else []


def _each(path: Path) -> list[str]:
    """Return the recordings at a path: files, and folders of images."""
    inputs = joined(expanded(path))
    return [_name(item, path, alone=len(inputs) == 1) for item in inputs]


def _name(item: Input, path: Path, *, alone: bool) -> str:
    if isinstance(item, Path):
        return str(item.absolute())
    return str((path if alone else item[0].parent).absolute())


def _rows(table: Path) -> Iterator[Recording]:
    """Yield the recordings of a table, with the settings of their rows."""
    lines = manifest_text(table).splitlines()
    head = lines[0] if lines else ""
    rows = csv.reader(lines, delimiter=max(",;\t", key=head.count))
    columns = [name.strip() for name in next(rows, [])]
    _check_columns(columns, table)
    named = False
    for cells in rows:
        if not any(map(str.strip, cells)):
            continue
        place = f"line {rows.line_num} of {table}"
        if len(cells) != len(columns):
            raise ConfigError(
                f"{DATA}: {place} has {len(cells)} cells; accepted: {len(columns)}, as the first "
                "line has"
            )
        row = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
        if not (path := row.pop(DATA)):
            raise ConfigError(f"{DATA}: {place} names no recording")
        named = True
        settings = {name: _setting(name, cell, table, place) for name, cell in row.items() if cell}
        for found in _found_at(path, table, place):
            yield Recording(found, settings, place)
    if not named:
        raise ConfigError(f"{DATA}: {table} names no recording")


def _check_columns(columns: Sequence[str], table: Path) -> None:
    """Refuse a table without the column of paths, or with columns that are no settings."""
    if DATA not in columns:
        raise ConfigError(
            f"{DATA}: {table} has the columns {listed(columns, 5) or 'of an empty file'}; "
            f"accepted: {DATA}, and further keys"
        )
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise ConfigError(f"{DATA}: {table} has the column {twice[0]!r} twice")
    for name in columns:
        if name not in keys() and name not in GROUPS:
            raise ConfigError(f"{DATA}: {table}, column {name!r}: {unknown_key(name)}")


def _found_at(path: str, table: Path, place: str) -> list[str]:
    try:
        return _each(named_in(table, path))
    except ConfigError as error:
        raise ConfigError(f"{error} ({place})") from error


def _setting(name: str, cell: str, table: Path, place: str) -> str:
    """Return the override that a cell stands for; paths are relative to the table's folder."""

    def path(item: str) -> str:
        if is_url(item) and name not in REMOTE:
            return conceal(item)  # the check of the key says what it accepts
        return str(named_in(table, item, name).absolute())

    is_path = name in keys() and keys()[name].metadata["path"]
    try:
        override = f"{name}={cell}"
        (parsed,) = parse_overrides([override])
        if parsed.is_sweep_override():  # text with commas, as in 0-99,200-299
            override = f"{name}={quote(cell)}"
        value = cell if parsed.is_sweep_override() else parsed.value()
    except ConfigError:
        override, value = f"{name}={quote(cell)}", cell
    if not is_path or value is None:
        return override
    if isinstance(value, list):
        return f"{name}={quote([path(str(item)) for item in value])}"
    return f"{name}={quote(path(cell))}"


def _without_repeats(found: list[Recording]) -> list[Recording]:
    """Refuse a recording that is named twice with the same settings."""
    seen: dict[tuple[Path, tuple[str, ...]], Recording] = {}
    for each in found:
        same = (Path(each.path).resolve(), tuple(each.settings.values()))
        if (first := seen.setdefault(same, each)) is not each:
            raise ConfigError(
                f"{DATA}: {each.path} is named twice, by {first.place} and {each.place}; "
                "accepted: once, or with different settings in a .csv table"
            )
    return found
