"""Turns of workers that share a memory: all at once, or one of them alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets workers work side by side, unless one of them needs the whole memory."""

    def __init__(self) -> None:
        """Start with nobody at work."""
        self._working = 0
        self._change = threading.Condition()
        self._only_one = threading.Lock()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Work while others do, but not while one works alone."""
        with self._only_one, self._change:
            self._working += 1
        try:
            yield
        finally:
            with self._change:
                self._working -= 1
                self._change.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until those at work are done, and let nobody begin meanwhile."""
        with self._only_one:
            with self._change:
                self._change.wait_for(lambda: self._working == 0)
            yield
