"""Ctrl-C and requests to terminate, which end a block whatever code is running.

Python raises KeyboardInterrupt at the next step of the main thread. Where that step is in a
callback of compiled code, the exception can get lost. Weak references and destructors, of which
h5py has many, only print it. The visitors of h5py turn it into another error. NumPy takes it for a
missing attribute when it looks for attributes.
"""

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS_BETWEEN_REPEATS = 0.5

EXIT_CODE = 130
"""What an interrupted command ends with, as shells expect."""

_interrupted: threading.Event | None = None
"""Set when an interruption came during the block under way; None without a block."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Make sure that the block ends with KeyboardInterrupt when a signal asks for it.

    An interruption that got lost is repeated until the block ends, but not while one is being
    handled, so that files are closed and results are stored. Any other error of an interrupted
    block counts as the interruption. A block within another ends with what came during it, which
    the outer block then repeats no more.
    """
    global _interrupted
    if threading.current_thread() is not threading.main_thread():  # signals never get there
        yield
        return
    if _interrupted is not None:
        with _delivered(_interrupted):
            yield
        return
    _interrupted = threading.Event()
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: (
        None if issubclass(unraisable.exc_type, KeyboardInterrupt) else hook(unraisable)
    )
    try:
        with _delivered(_interrupted), _recorded(_interrupted):
            yield
    finally:
        _interrupted = None
        sys.unraisablehook = hook


def raise_interruption(error: BaseException) -> None:
    """Raise KeyboardInterrupt where an error is, or may be, what other code made of one.

    Whoever takes any error for a broken file calls this first.

    Raises:
        KeyboardInterrupt: An interruption came, or the error was raised while one was handled.
    """
    came = _interrupted is not None and _interrupted.is_set()
    if (came and threading.current_thread() is threading.main_thread()) or _is_from_one(error):
        raise KeyboardInterrupt from error


@contextmanager
def _delivered(interrupted: threading.Event) -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of a block during which an interruption came."""
    try:
        yield
    except KeyboardInterrupt:
        interrupted.clear()
        raise
    except Exception as error:
        if interrupted.is_set():
            interrupted.clear()
            raise KeyboardInterrupt from error
        raise
    if interrupted.is_set():
        interrupted.clear()
        raise KeyboardInterrupt


@contextmanager
def _recorded(interrupted: threading.Event) -> Iterator[None]:
    """Record interruptions, and repeat them as long as they are recorded.

    Args:
        interrupted: Set by an interruption, and cleared by whoever delivers it.
    """
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    repeating, ended = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        repeated = repeating.is_set()
        repeating.clear()
        delivered = ended.is_set() or not interrupted.is_set() or _is_handled(sys.exception())
        if repeated and delivered:
            return
        try:
            handlers[signal.Signals(number)](number, frame)
        except KeyboardInterrupt:
            interrupted.set()
            if not threads:
                arguments = (signal.Signals(number), interrupted, repeating, ended)
                threads.append(threading.Thread(target=_repeat, args=arguments, daemon=True))
                threads[0].start()
            raise

    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _repeat(
    number: signal.Signals,
    interrupted: threading.Event,
    repeating: threading.Event,
    ended: threading.Event,
) -> None:
    """Send a signal to the main thread again and again; each is announced by `repeating`.

    Args:
        number: The signal.
        interrupted: Whether it is not delivered yet.
        repeating: Set before each.
        ended: Ends this.
    """
    while not ended.wait(SECONDS_BETWEEN_REPEATS):
        if not interrupted.is_set():
            continue
        repeating.set()
        if hasattr(signal, "pthread_kill"):
            # Also wakes the main thread where it waits.
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            _thread.interrupt_main(number)


def _is_from_one(error: BaseException | None) -> bool:
    """Return whether an error is an interruption, or was raised while one was handled."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _is_handled(error: BaseException | None) -> bool:
    """Return whether a handled error is an interruption, was caused by one, or closes a generator.

    Interruptions close generators, too.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt | GeneratorExit):
        error = error.__context__
    return error is not None
