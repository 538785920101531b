"""Entries of the stage cache, as `sleap-lab cache` lists them."""

import time
from collections.abc import Collection

from sleap_lab.errors import counted
from sleap_lab.inference.cache import GB, Entry
from sleap_lab.report.written import aligned


def as_text(listed: Collection[Entry]) -> str:
    """Return entries as a table with their number and total size."""
    rows = [
        (
            entry.key[:8],
            entry.stage,
            _size(entry.size),
            _ago(entry.created),
            _ago(entry.used),
            entry.about,
        )
        for entry in listed
    ]
    total = (
        f"{counted(len(rows), 'entry', 'entries')}, {_size(sum(entry.size for entry in listed))}"
    )
    if not rows:
        return total
    header = ("key", "stage", "size", "stored", "last used", "what")
    return f"{aligned([header, *rows])}\n{total}"


def _size(count: int) -> str:
    return next(
        (
            f"{count / unit:.1f} {name}"
            for name, unit in (("GB", GB), ("MB", 10**6), ("kB", 10**3))
            if count >= unit
        ),
        f"{count} B",
    )


def _ago(then: float) -> str:
    seconds = max(time.time() - then, 0)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    return next(
        f"{seconds / unit:.0f} {name} ago" for name, unit in units if seconds >= unit or unit == 1
    )
