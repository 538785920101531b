"""Hydra's state of a process: while this package composes, a state of its own in its own thread.

Hydra keeps the settings of the job, its name and the version to be compatible with in objects of
which there is one per process. Another application may be using them, in this thread before and
after, in others at the same time.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from threading import Lock, get_ident
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase

KINDS = (HydraConfig, JobRuntime, VersionBase)
_lock = Lock()


class _ByThread:
    """Stands in the place of one of these objects, and is another one to threads of ours."""

    def __init__(self, others: Any) -> None:
        self.__dict__.update(others=others, own=defaultdict[int, list[Any]](list))

    def _meant(self) -> Any:
        own = self.own.get(get_ident())
        return own[-1] if own else self.others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meant(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._meant(), name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return a copy of what this thread sees; launchers send such copies to their processes."""
        return deepcopy(self._meant(), memo)


@contextmanager
def own_state() -> Iterator[None]:
    """Let Hydra have a new state in this thread while the block runs, and in no other."""
    with ExitStack() as stack:
        for kind in KINDS:
            stack.enter_context(_own(kind))
        yield


@contextmanager
def _own(kind: Any) -> Iterator[None]:
    """Let this thread see a new object of a kind."""
    thread = get_ident()
    with _lock:
        stand_in = _stand_in(kind)
        stand_in.own[thread].append(type.__call__(kind))
    try:
        yield
    finally:
        with _lock:
            stand_in.own[thread].pop()
            if not stand_in.own[thread]:
                del stand_in.own[thread]
            instances: dict[type, Any] = Singleton._instances
            if not stand_in.own and instances.get(kind) is stand_in:
                instances[kind] = stand_in.others


def _stand_in(kind: Any) -> _ByThread:
    """Return what stands in the place of the object of a kind, and put it there."""
    seen = kind.instance()
    if isinstance(seen, _ByThread):
        return seen
    instances: dict[type, Any] = Singleton._instances
    instances[kind] = made = _ByThread(seen)
    return made
