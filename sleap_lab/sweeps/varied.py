"""What varies between the jobs of a sweep, and the names that say so."""

from collections.abc import Sequence
from pathlib import PurePath

from sleap_lab.runs.summary import overridden
from sleap_lab.runs.titles import apart, last_parts, short_name, title
from sleap_lab.settings.overrides import unquote
from sleap_lab.settings.recordings import DATA


def varied_keys(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return the overridden keys whose values differ between jobs, given each job's overrides."""
    typed = [overridden(each) for each in overrides]
    return [
        key
        for key in dict.fromkeys(key for each in typed for key in each)
        if len({each.get(key) for each in typed}) > 1
    ]


def recording_names(overrides: Sequence[Sequence[str]]) -> list[str | None]:
    """Return the name of each job's recording, with folders where these tell names apart."""
    paths = [unquote(overridden(each).get(DATA, "")) or None for each in overrides]
    return apart(paths, _name)


def _name(path: str) -> str:
    """Return the name of a recording; of a list of them, what lists of paths become."""
    return last_parts(path) if path.startswith("[") else PurePath(path).name or path


def job_titles(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return what sets each job apart, as in `0.01, flow (oks_stddev, tracker)`.

    Short values come first. Empty where the jobs do not differ.
    """
    typed = [overridden(each) for each in overrides]
    columns = {
        key: recording_names(overrides) if key == DATA else apart([each.get(key) for each in typed])
        for key in varied_keys(overrides)
    }
    order = sorted(columns, key=lambda key: max(len(value or "") for value in columns[key]))
    return [
        title({key: value for key in order if (value := columns[key][job]) is not None})
        for job in range(len(typed))
    ]


def sweep_title(overrides: Sequence[Sequence[str]]) -> str:
    """Return the name of a sweep: the keys that vary, or the number of its jobs."""
    keys = varied_keys(overrides)
    videos = len({overridden(each).get(DATA) for each in overrides})
    names = ", ".join(
        f"{videos} recordings" if key == DATA else short_name(key, keys) for key in keys
    )
    return f"sweep of {names or f'{len(overrides)} jobs'}"
