"""Names of runs in MLflow, whose column of names shows some twenty letters.

So what tells a run from others comes first: values without their keys, paths without folders. The
keys follow in brackets.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from sleap_lab.runs.summary import overridden

MAX_NAME = 120
PRESET = "experiment"
BESIDE = ("data", "evaluator", "output", PRESET)  # groups that seldom tell runs apart
SHOWING = ("debug", "verbose")  # keys that change what is printed only
_FOLDERS = re.compile(r"[^\[\],]*[/\\](?=[^\[\],/\\])")


def run_title(overrides: Sequence[str]) -> str:
    """Return the name of a run by itself, as in `flow, 0.4, video.mp4 (tracker, …)`; may be empty.

    Settings of models, trackers and filters come first, then what is read and written.
    """
    typed = {
        key: value
        for key, value in overridden(overrides).items()
        if not key.startswith("logger.") and key not in SHOWING
    }

    def place(key: str) -> tuple[bool, bool, bool]:
        beside, is_path = key.partition(".")[0] in BESIDE, last_parts(typed[key]) != typed[key]
        return beside, is_path, key == PRESET

    order = sorted(typed, key=place)
    return title({key: last_parts(typed[key]) for key in order})


def title(values: Mapping[str, str]) -> str:
    """Return values in their order, with the short names of their keys behind them."""
    if not values:
        return ""
    keys = ", ".join(short_name(key, list(values)) for key in values)
    return shorten(f"{', '.join(map(_plain, values.values()))} ({keys})")


def last_parts(value: str) -> str:
    """Return a value in which every path has lost its folders."""
    return _FOLDERS.sub("", value)


def apart(
    values: Sequence[str | None], last: Callable[[str], str] = last_parts
) -> list[str | None]:
    """Shorten the values of one key: paths lose their folders, as far as all stay different.

    Where folders tell paths apart, those that all of them begin with are left out.

    Args:
        values: The values.
        last: Returns a value without folders.
    """
    shorter = [None if value is None else last(value) for value in values]
    if len(set(shorter)) == len(set(values)):
        return shorter
    split = [re.split(r"(?<=[/\\])", value) for value in values if value is not None]
    shared = 0
    while len({tuple(parts[: shared + 1]) for parts in split}) == 1:
        shared += 1
    return [
        None if value is None else "".join(re.split(r"(?<=[/\\])", value)[shared:])
        for value in values
    ]


def _plain(value: str) -> str:
    """Return a value without the brackets of a list."""
    return "+".join(value[1:-1].split(",")) if value[:1] + value[-1:] == "[]" else value


def short_name(name: str, names: Sequence[str]) -> str:
    """Return the last part of a dotted or slashed name, or all of it if another name ends alike."""

    def last(text: str) -> str:
        return text.replace("/", ".").rpartition(".")[2]

    return last(name) if sum(last(other) == last(name) for other in names) == 1 else name


def shorten(text: str) -> str:
    """Return a text cut to `MAX_NAME` characters."""
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 1]}…"
