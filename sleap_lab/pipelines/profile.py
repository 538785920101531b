"""Time of each stage of a prediction while cores work in parallel and frames are read ahead."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PREDICTING = READ, PREPROCESS, NETWORK, PEAKS = "read", "preprocess", "network", "peaks"
"""The stages of a prediction, which run at the same time and share the time that passes.

`preprocess` prepares the images of the network, `peaks` makes poses from its maps, and `read` waits
for frames.
"""


class Clock:
    """Divides the time that passes equally among the stages of the workers at that time.

    While no worker runs, the time counts as waiting for frames. So the seconds add up to the time
    that passed with any number of workers, and reading counts only while workers wait for it.
    """

    def __init__(self) -> None:
        """Start without any worker."""
        self._seconds = dict.fromkeys(PREDICTING, 0.0)
        self._stage_of: dict[int, str] = {}
        self._idle = READ
        self._since = time.perf_counter()
        self._lock = threading.Lock()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count this thread as a worker; its stage is `peaks` unless `doing` sets another."""
        token = _clock.set(self)
        self._set_stage(PEAKS)
        try:
            yield
        finally:
            self._set_stage(None)
            _clock.reset(token)

    @contextmanager
    def meanwhile(self, name: str) -> Iterator[None]:
        """Name the stage of the time without workers in the context; by default it is `read`."""
        with self._lock:
            self._add_elapsed()
            self._idle = name
        try:
            yield
        finally:
            with self._lock:
                self._add_elapsed()
                self._idle = READ

    def split(self, seconds: float) -> dict[str, float]:
        """Divide seconds by stage in proportion to the time spent since the start."""
        with self._lock:
            self._add_elapsed()
        whole = sum(self._seconds.values()) or 1.0
        return {name: seconds * share / whole for name, share in self._seconds.items()}

    def _set_stage(self, name: str | None) -> str | None:
        """Set the stage of this thread, None for no stage; return its stage before."""
        worker = threading.get_ident()
        with self._lock:
            self._add_elapsed()
            before = self._stage_of.pop(worker, None)
            if name is not None:
                self._stage_of[worker] = name
        return before

    def _add_elapsed(self) -> None:
        now = time.perf_counter()
        stages = list(self._stage_of.values()) or [self._idle]
        for name in stages:
            self._seconds[name] = self._seconds.get(name, 0.0) + (now - self._since) / len(stages)
        self._since = now


_clock: ContextVar[Clock | None] = ContextVar("clock", default=None)


@contextmanager
def doing(name: str) -> Iterator[None]:
    """Set the stage of the context, which is otherwise `peaks`, if this thread is a worker.

    This costs microseconds.
    """
    clock = _clock.get()
    if clock is None:
        yield
        return
    before = clock._set_stage(name)
    try:
        yield
    finally:
        clock._set_stage(before)
