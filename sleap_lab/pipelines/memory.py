"""Memory that one layer frees is kept for the next, instead of being given back to the kernel."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h


def keep_freed_memory() -> bool:
    """Tell the C library to reuse the memory of freed arrays, however large, for the rest of the process.

    By default glibc maps every large array anew and unmaps it when it is freed, so that each layer of a network has its
    memory cleared and faulted in page by page: a fifth to a half of the time of a small network on a processor.
    Threads share one pool: with one each, what a thread frees is of no use to the others, and a long run grows.

    Returns:
        Whether the C library knows this setting; other than glibc do not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return False
    largest = 2**31 - 1
    settings = ((M_MMAP_THRESHOLD, largest), (M_TRIM_THRESHOLD, largest), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) for name, value in settings)
