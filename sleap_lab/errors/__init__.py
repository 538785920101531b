"""The errors a user can cause, each with the exit code it ends a command with.

Every message is one line that names the key or file, what was found and what is accepted.
"""

import re
from collections.abc import Iterable, Sequence

HDF5_REASON = re.compile(r"errno = \d+, error message = '([^']*)'")
"""The place of the system's message in a long message of HDF5."""


class SleapLabError(Exception):
    """Base of all errors that are shown to the user as one line, without a traceback."""

    exit_code = 1


class ConfigError(SleapLabError, ValueError):
    """The command line or the config is wrong; raised before any work is done."""

    exit_code = 2


class RunError(SleapLabError, RuntimeError):
    """The run itself failed: a file could not be read, a model does not fit, …."""

    exit_code = 1


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def system_reason(error: BaseException) -> str:
    """Return the system's reason why a file cannot be read or written, without the error number."""
    if found := HDF5_REASON.search(str(error)):
        return found[1]
    return getattr(error, "strerror", None) or one_line(error)


def system_problem(error: OSError) -> str:
    """Return which file cannot be read or written, where the error says so, and the reason."""
    return (
        f"{error.filename}: {system_reason(error)}"
        if error.filename is not None
        else system_reason(error)
    )


def brief(value: object) -> str:
    """Return a value for a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"a number of the type {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:99]}…"


def listed(names: Sequence[str], most: int) -> str:
    """Return names for a message: the first few, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with what it counts, as `1 frame` and `2,000 frames`.

    Args:
        number: The number.
        one: What one is called, with a verb if the sentence has one: `instance has`.
        many: What several are called; `one` with an s by default.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the closest known spelling, if any is close enough."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the closest known spelling, or an empty string."""
    found = closest(word, known)
    return f" Did you mean {found!r}?" if found else ""
