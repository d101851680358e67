"""The threads of the OpenBLAS that NumPy's products run on: how many, and one alone below our own pool.

OpenBLAS's threads spin for a while after each product and take the cores from whoever comes next. So where the pool
of workers.py works, products run on the thread that calls them: see `one_thread`. Where NumPy was built upon another
BLAS (MKL, Accelerate) nothing is known of its threads, and nothing is done about them.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np

# The names under which OpenBLAS exports one function: as in the wheels, with 64-bit integers, and plain.
_PREFIXES, _SUFFIXES = ("scipy_openblas_", "openblas_"), ("64_", "", "_64")


def libraries() -> list[Any]:
    """Handles in which OpenBLAS's functions may be found."""
    found: list[Any] = []
    with suppress(AttributeError, OSError):  # a handle of NumPy's own module finds what that module was linked with
        found.append(ctypes.CDLL(np._core._multiarray_umath.__file__))  # type: ignore[attr-defined]
    if sys.platform == "win32":  # except there, where a handle knows its own functions only
        for path in sorted(Path(np.__file__).parent.with_name("numpy.libs").glob("*openblas*.dll")):
            with suppress(OSError):
                found.append(ctypes.CDLL(str(path)))
    return found


def _function(libraries: list[Any], name: str) -> Any:
    for library in libraries:
        for prefix in _PREFIXES:
            for suffix in _SUFFIXES:
                function = getattr(library, f"{prefix}{name}{suffix}", None)
                if function is not None:
                    return function
    return None


class _Threads:
    """OpenBLAS's two functions, looked for at the first question: loading ctypes' handle takes 0.1 ms."""

    def __init__(self) -> None:
        self.looked = False
        self.get: Callable[[], int] | None = None
        self.set: Callable[[int], Any] | None = None

    def look(self) -> None:
        found = libraries()
        get, put = _function(found, "get_num_threads"), _function(found, "set_num_threads")
        if get is not None and put is not None:
            get.restype, get.argtypes = ctypes.c_int, ()
            put.restype, put.argtypes = None, (ctypes.c_int,)
            self.get, self.set = get, put
        self.looked = True


_threads = _Threads()


class _OneThread:
    """While anybody is inside, products run on the thread that calls them; the last one out restores what was."""

    def __init__(self) -> None:
        self.inside, self.before = 0, 0
        self.lock = Lock()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = 0
                if not _threads.looked:
                    _threads.look()
                if _threads.get is not None and _threads.set is not None:
                    self.before = _threads.get()
                    if self.before != 1:
                        _threads.set(1)
            self.inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside and self.before > 1 and _threads.set is not None:
                _threads.set(self.before)


_one_thread = _OneThread()


def one_thread() -> _OneThread:
    """A block inside which OpenBLAS's products run on the calling thread. Threads may enter it together, and nest it.

    It costs 0.6 us. The number is the process's, so products of other threads meanwhile run on one thread too.

    >>> with one_thread():
    ...     blas_threads() in (None, 1)
    True
    """
    return _one_thread


def blas_threads() -> int | None:
    """How many threads OpenBLAS uses now; None where another BLAS is at work."""
    if not _threads.looked:
        _threads.look()
    return None if _threads.get is None else _threads.get()


def allowed_threads() -> int | None:
    """How many threads OpenBLAS was allowed by its environment, threadpoolctl or `set_blas_threads`; None if unknown.

    What `one_thread` takes away for a moment is not meant.
    """
    before = _one_thread.before
    return before if _one_thread.inside and before else blas_threads()


def set_blas_threads(count: int) -> None:
    """Allow OpenBLAS so many threads, where it is there."""
    with _one_thread.lock:
        if not _threads.looked:
            _threads.look()
        if _threads.set is None:
            return
        if _one_thread.inside:
            _one_thread.before = count
        else:
            _threads.set(count)


def _after_fork() -> None:
    """A child has one thread, and perhaps a lock that another one held."""
    inside, before = _one_thread.inside, _one_thread.before
    _one_thread.lock, _one_thread.inside = Lock(), 0
    if inside and before > 1 and _threads.set is not None:
        _threads.set(before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
