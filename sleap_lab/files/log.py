"""The log file of a run: messages of the package and Python warnings, optionally also printed."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sleap_lab import terminal
from sleap_lab.errors import system_reason


class _LogFile(logging.FileHandler):
    """A log file; when a write fails, a warning is printed once, and the run goes on without it."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Report a failed write; `logging` reports a faulty message itself."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._fail(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file, which writes what was not written yet."""
        try:
            super().close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self.failed:
            self.failed = True
            terminal.warn(f"{self.baseFilename}: the log is not complete ({system_reason(error)})")


@contextmanager
def logging_to(path: Path, *, verbose: bool) -> Iterator[None]:
    """Send log messages and Python warnings to the log file of a run, and optionally the terminal.

    Args:
        path: The log file.
        verbose: Also print messages of level INFO and above to standard error.

    Yields:
        Nothing; messages are logged as long as the context lasts.
    """
    handlers: list[logging.Handler] = [_LogFile(path, encoding="utf-8", errors="backslashreplace")]
    if verbose:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[1].setLevel(logging.INFO)
    loggers = [logging.getLogger("sleap_lab"), logging.getLogger("py.warnings")]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        for handler in handlers:
            logger.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.propagate = propagate
            for handler in handlers:
                logger.removeHandler(handler)
        for handler in handlers:
            handler.close()
