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


@contextmanager
def interruptible() -> Iterator[None]:
    """Make sure that the block ends with KeyboardInterrupt when a signal asks for it.

    An interruption that got lost is repeated until the block ends, but not while one is being
    handled, so that files are closed and results are stored. Any other error of an interrupted
    block counts as the interruption. Blocks are not nested.
    """
    if threading.current_thread() is not threading.main_thread():  # signals never get there
        yield
        return
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    interrupted, repeating, ended = threading.Event(), threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        repeated = repeating.is_set()
        repeating.clear()
        if repeated and (ended.is_set() or _is_handled(sys.exception())):
            return
        try:
            handlers[signal.Signals(number)](number, frame)
        except KeyboardInterrupt:
            if not interrupted.is_set():
                interrupted.set()
                arguments = (signal.Signals(number), repeating, ended)
                threads.append(threading.Thread(target=_repeat, args=arguments, daemon=True))
                threads[0].start()
            raise

    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: (
        None if issubclass(unraisable.exc_type, KeyboardInterrupt) else hook(unraisable)
    )
    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    except Exception as error:
        if interrupted.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
    if interrupted.is_set():
        raise KeyboardInterrupt


def _repeat(number: signal.Signals, repeating: threading.Event, ended: threading.Event) -> None:
    """Send a signal to the main thread again and again; each is announced by `repeating`.

    Args:
        number: The signal.
        repeating: Set before each.
        ended: Ends this.
    """
    while not ended.wait(SECONDS_BETWEEN_REPEATS):
        repeating.set()
        if hasattr(signal, "pthread_kill"):
            # Also wakes the main thread where it waits.
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            _thread.interrupt_main(number)


def _is_handled(error: BaseException | None) -> bool:
    """Return whether a handled error is an interruption, was caused by one, or closes a generator.

    Interruptions close generators, too.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt | GeneratorExit):
        error = error.__context__
    return error is not None
