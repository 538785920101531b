"""Writing files so that a reader, or a crash, only ever sees a whole one."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sleap_lab.errors import HDF5_REASON, RunError, system_reason

_printing = threading.Lock()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to; it replaces `path` on success, else it is removed.

    Missing folders are made. The temporary file has the same suffix as `path`, for writers that
    look at it.

    Raises:
        RunError: The file cannot be written.
    """
    path = Path(path)
    # A process number is not unique: containers that share a folder can all have the same one.
    temporary = path.with_name(f".{path.stem}.{os.urandom(8).hex()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                # Without this, a power cut could leave an empty file under the final name.
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({system_reason(error)})") from error


@contextmanager
def hdf5_errors() -> Iterator[None]:
    """Raise HDF5 errors as errors of the system, including those that occur late.

    h5py may write a dataset only when it closes it, once nobody holds it any more. Python can only
    print an error that occurs there, and the file would lack the data.

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

        # h5py also has the error printed.
        sys.unraisablehook, sys.excepthook = keep, lambda *error: None
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
