"""Memory: what one layer frees is kept for the next, and how a lack of it is known."""

import ctypes
from collections.abc import Callable, Hashable
from typing import TypeVar

import torch

T = TypeVar("T")

Room = dict[Hashable, int]
"""How many of a kind, frames or crops, a pass has room for, where memory ran out with more."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h


def keep_freed_memory() -> bool:
    """Tell the C library to reuse the memory of freed arrays of any size in this process.

    By default glibc maps every large array anew and unmaps it when it is freed. The kernel then
    clears and maps the memory of each layer page by page, which takes a fifth to a half of the time
    of a small network on a processor. Threads share one pool: with separate pools, threads cannot
    reuse what others free, and the memory of a long run grows.

    Returns:
        Whether the C library knows this setting; only glibc does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return False
    largest = 2**31 - 1
    settings = ((M_MMAP_THRESHOLD, largest), (M_TRIM_THRESHOLD, largest), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) for name, value in settings)


def free_memory() -> None:
    """Give memory of a card that is not in use back, for processes that share the card."""
    torch.cuda.empty_cache()


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out.

    PyTorch has no class for this error on a processor and in libraries.
    """
    words = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        known in words for known in ("not enough memory", "out of memory", "ALLOC_FAILED")
    )


def attempt(work: Callable[[], T]) -> T | None:
    """Return the result of some work; None where there is not enough memory for it."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None
