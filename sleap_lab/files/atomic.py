"""Writing files so that a reader, or a crash, only ever sees a whole one."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from sleap_lab.errors import HDF5_REASON, RunError, system_reason

_printing = threading.Lock()


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
                os.fsync(
                    file.fileno()
                )  # or a power cut could leave an empty file under the final name
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({system_reason(error)})") from error


@contextmanager
def hdf5_errors() -> Iterator[None]:
    """Raise what goes wrong in HDF5 as errors of the system, what goes wrong late included.

    A dataset may be written when it is closed, which h5py does when nobody holds it any more. All that Python can do with an error
    there is to print it, and the file would lack what was to be written.

    Raises:
        OSError: HDF5 could not write something.
    """
    late: list[str] = []
    with _printing:
        hooks = sys.unraisablehook, sys.excepthook

        def keep(found: "sys.UnraisableHookArgs") -> None:
            if "h5py" in str(found.object) and found.exc_value is not None:
                late.append(system_reason(found.exc_value))
            else:
                hooks[0](found)

        sys.unraisablehook, sys.excepthook = (
            keep,
            lambda *error: None,
        )  # h5py has the error printed as well
        try:
            yield
        except RuntimeError as error:
            if HDF5_REASON.search(str(error)) is None:
                raise
            raise OSError(system_reason(error)) from error
        finally:
            sys.unraisablehook, sys.excepthook = hooks
    if late:
        raise OSError(late[0])
