"""Writing files so that a reader, or a crash, only ever sees a whole one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from sleap_lab.errors import RunError, system_reason


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path to write to that takes the place of `path` when all went well, and leaves nothing behind when not.

    Missing folders are made. The temporary file has the same suffix, for writers that look at it.

    Raises:
        RunError: The file cannot be written.
    """
    path = Path(path)
    # Numbers of processes are not enough of a name: in containers that share a folder they are all alike.
    temporary = path.with_name(f".{path.stem}.{token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())  # or a power cut could leave an empty file under the final name
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({system_reason(error)})") from error
