"""What the allocator of the process does with memory that arrays give back."""

from __future__ import annotations

import ctypes

# Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Have the process keep memory that arrays give back, for the arrays that come next. Returns whether it could.

    A training step makes the same arrays again and again. glibc hands large ones back to the system at once, which
    clears every page that it gives out again; a step with large arrays then takes up to three times as long. The price
    is that memory once used stays with the process to its end. It changes the allocator of the whole process, so a
    program decides on it, not a library: the command line does, for training. False where the C library has no
    mallopt (macOS, Windows, musl).

    >>> keep_freed_memory() in (True, False)
    True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    largest = 1 << 30  # what glibc allows at most, so that arrays below a gigabyte come from memory that is kept
    return bool(mallopt(_M_MMAP_THRESHOLD, largest)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
