"""Videos whose folders have moved since labels named them: `data.moved`."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from sleap_lab.errors import counted


def moved_path(name: str, moved: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the present path of a video and the prefix that leads to it; None without one.

    Prefixes are compared folder by folder, with `/` or backslashes; the case of letters does not
    matter for names with a drive. The longest prefix counts.

    Args:
        name: The path in the labels.
        moved: Prefix in labels -> prefix now.
    """
    parts = path_parts(name)
    for prefix in sorted(moved, key=lambda prefix: -len(path_parts(prefix))):
        own = path_parts(prefix)
        if own and _same(parts[: len(own)], own):
            now = Path(moved[prefix]).expanduser().absolute()
            return str(now.joinpath(*parts[len(own) :])), prefix
    return None


def moved_notes(
    names: Iterable[str], opened: Mapping[str, int], moved: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return a sentence on each prefix: those that lead to no video that fits, and the others.

    Args:
        names: Paths of the videos that are not where the labels say.
        opened: By prefix, how many of them were found by it.
        moved: Prefix in labels -> prefix now.
    """
    matched = {found[1] for name in names if (found := moved_path(name, moved)) is not None}
    notes, remarks = list[str](), list[str]()
    for prefix, now in moved.items():
        if count := opened.get(prefix):
            remarks.append(f"data.moved: {counted(count, 'video')} of {prefix} found in {now}.")
        elif prefix in matched:
            where = f"the places that {prefix} → {now} leads to"
            notes.append(f"data.moved: no video that fits is at {where}.")
        else:
            remarks.append(f"data.moved: no missing video is named below {prefix}.")
    return notes, remarks


def path_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a path of any system."""
    return PurePosixPath(name.replace("\\", "/")).parts


def _same(parts: tuple[str, ...], prefix: tuple[str, ...]) -> bool:
    if prefix[0][1:2] == ":":  # the file systems of drives know no case
        return [part.casefold() for part in parts] == [part.casefold() for part in prefix]
    return parts == prefix
