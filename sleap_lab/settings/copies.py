"""The copies of files on servers that settings name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sleap_lab.files.remote import local_copy
from sleap_lab.settings.config import OUTPUTS
from sleap_lab.settings.credentials import conceal, whole

REMOTE = ("data.path", "evaluator.ground_truth_path")
"""Keys that may name files on servers."""

_made: dict[str, Path] = {}
_given: dict[str, Path] = {}


def copy_of(url: str) -> Path:
    """Return the copy of a file on a server, and make it unless there is one of this version.

    Args:
        url: The file; its secrets may be concealed, where this process knows them.

    Raises:
        ConfigError: The file cannot be read, or the secrets are not known.
        RunError: The copy cannot be written.
    """
    shown = conceal(url)
    if shown in _given:
        return _given[shown]
    _made[shown] = local_copy(whole(url), Path(OUTPUTS).absolute() / "inputs")
    return _made[shown]


def copies() -> dict[str, Path]:
    """Return the copies that this process has made or found, by their URLs without secrets."""
    return dict(_made)


@contextmanager
def given(known: Mapping[str, Path]) -> Iterator[None]:
    """Take these copies as they are, as long as the block runs; no server is asked.

    Args:
        known: Copies by their URLs without secrets.
    """
    _given.update(known)
    try:
        yield
    finally:
        _given.clear()
