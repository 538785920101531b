"""Where the time of a prediction goes while cores work side by side and frames are read ahead of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PREDICTING = READ, PREPROCESS, NETWORK, PEAKS = "read", "preprocess", "network", "peaks"
"""The stages of a prediction, which take place at the same time: the time that passes is shared out among them.

The network's own images are prepared in `preprocess`, `peaks` is all that makes poses of its maps, and `read` is waiting for frames.
"""


class Clock:
    """Shares out the time that passes among what workers do at that time, equally; without one at work it is waiting for frames.

    So the seconds add up to the time that passed, however many workers there are, and reading counts as far as it is waited for.
    """

    def __init__(self) -> None:
        """Start; nobody works yet."""
        self._seconds = dict.fromkeys(PREDICTING, 0.0)
        self._doing: dict[int, str] = {}
        self._idle = READ
        self._since = time.perf_counter()
        self._lock = threading.Lock()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count this thread as a worker; what it does is `peaks` where `doing` says nothing else."""
        token = _clock.set(self)
        self._turn(PEAKS)
        try:
            yield
        finally:
            self._turn(None)
            _clock.reset(token)

    @contextmanager
    def meanwhile(self, name: str) -> Iterator[None]:
        """Say what is waited for in the context while nobody works: something else than frames."""
        with self._lock:
            self._share_out()
            self._idle = name
        try:
            yield
        finally:
            with self._lock:
                self._share_out()
                self._idle = READ

    def split(self, seconds: float) -> dict[str, float]:
        """Return seconds as they were spent since the start, by name."""
        with self._lock:
            self._share_out()
        whole = sum(self._seconds.values()) or 1.0
        return {name: seconds * share / whole for name, share in self._seconds.items()}

    def _turn(self, name: str | None) -> str | None:
        """Note what this thread does from now on, None for nothing; returns what it did before."""
        worker = threading.get_ident()
        with self._lock:
            self._share_out()
            before = self._doing.pop(worker, None)
            if name is not None:
                self._doing[worker] = name
        return before

    def _share_out(self) -> None:
        now = time.perf_counter()
        present = list(self._doing.values()) or [self._idle]
        for name in present:
            self._seconds[name] = self._seconds.get(name, 0.0) + (now - self._since) / len(present)
        self._since = now


_clock: ContextVar[Clock | None] = ContextVar("clock", default=None)


@contextmanager
def doing(name: str) -> Iterator[None]:
    """Count the context as something else than `peaks`, where this thread is a worker; on its own it costs microseconds."""
    clock = _clock.get()
    if clock is None:
        yield
        return
    before = clock._turn(name)
    try:
        yield
    finally:
        clock._turn(before)
