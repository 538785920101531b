"""Git LFS pointers: a few lines of text under the name of a large file that is not fetched yet."""

from pathlib import Path

POINTER = b"version https://git-lfs.github.com/spec/"
"""How these lines begin."""


def is_pointer(path: Path) -> bool:
    """Return whether Git LFS left only a pointer where a file should be.

    Raises:
        OSError: It cannot be opened.
    """
    with open(path, "rb") as file:
        return file.read(len(POINTER)) == POINTER


def refuse_pointer(path: Path) -> None:
    """Refuse a pointer of Git LFS.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is one.
    """
    if is_pointer(path):
        raise ValueError(
            "it is a Git LFS pointer, not the file itself; fetch that with: git lfs pull"
        )
