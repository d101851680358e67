"""Large arrays that are used again: a training step makes the same ones over and over.

The system clears every page that it gives out, so a fresh large array costs as much as what is computed into it. Here
each array that was handed out stays on a shelf for its shape and dtype. It is free again when nobody but the shelf
holds it: views, memoryviews and DLPack exports hold the array that they look into, and so does whatever was made from
them. Nothing is called when an array dies, and nothing is ever taken away.

The shelves together hold a limited number of bytes. What was not asked for the longest is forgotten first: an array
that is still in use then lives on as any other.
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from threading import Lock
from typing import Any
from weakref import getweakrefcount

import numpy as np

from tensorgrad.backend.cpu.memory_order import axes_in_memory, axes_side_by_side, back

Key = tuple[tuple[int, ...], Any]

_WORTH = 1 << 18  # numbers of a result from which clearing its pages takes longer than asking a shelf
_MOST = 1 << 30  # bytes on all shelves together, or an eighth of the machine's memory


class Shelves:
    """Arrays by shape and dtype, the shelf that was last asked at the end. make: whoever makes one, of a GPU's too."""

    def __init__(self, most: int, make: Callable[[tuple[int, ...], Any], Any] = np.empty) -> None:
        self.most, self.bytes, self._make = most, 0, make
        self.shelves: OrderedDict[Key, list[Any]] = OrderedDict()
        self.lock = Lock()
        self.free_count = 0
        probe = [np.empty(1)]
        self._find(probe)  # how many hold a free array, in this interpreter's way of counting

    def _find(self, shelf: list[Any]) -> Any:
        """An array of the shelf that only the shelf holds, or None: that used last, which a cache may still have."""
        for place in range(len(shelf) - 1, -1, -1):
            array = shelf[place]
            count = sys.getrefcount(array)
            if not self.free_count:
                self.free_count = count
            elif count == self.free_count and not getweakrefcount(array):
                del shelf[place]
                shelf.append(array)
                return array
        return None

    def take(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array of any values."""
        key = (shape, dtype)
        with self.lock:
            shelf = self.shelves.get(key)
            if shelf is None:
                shelf = self.shelves[key] = []
            else:
                self.shelves.move_to_end(key)
                found = self._find(shelf)
                if found is not None:
                    return found
        array = self._make(shape, dtype)
        with self.lock:
            if array.nbytes <= self.most // 4 and _COUNTS_TELL:
                shelf.append(array)
                self.bytes += array.nbytes
                self._make_room()
        return array

    def _make_room(self) -> None:
        while self.bytes > self.most:
            key, shelf = next(iter(self.shelves.items()))
            if shelf:
                self.bytes -= shelf.pop(0).nbytes
            if not shelf:
                del self.shelves[key]

    def clear(self) -> None:
        with self.lock:
            self.shelves.clear()
            self.bytes = 0


def _memory() -> int:
    """The machine's memory in bytes; as much as is ever needed where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 8 * _MOST


_shelves = Shelves(min(_MOST, _memory() // 8))
# Where threads count references each for itself, no count tells that nobody else holds an array.
_COUNTS_TELL = getattr(sys, "_is_gil_enabled", lambda: True)()


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """A large array of any values, C-contiguous, which nobody else can see.

    >>> empty((2, 3), np.dtype("float32")).shape
    (2, 3)
    """
    if not _COUNTS_TELL:
        return np.empty(shape, dtype)
    return _shelves.take(shape, dtype)


def room(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of any values for a result, C-contiguous; a large one lies where one was that nobody holds any more.

    >>> room((2, 3), np.dtype("float32")).shape
    (2, 3)
    """
    return empty(tuple(shape), np.dtype(dtype)) if prod(shape) >= _WORTH else np.empty(shape, dtype)


def room_like(x: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """As `room`, of as many axes as x has, and these in memory as those of x are.

    >>> room_like(np.ones((4, 3)).T, (6, 8)).strides
    (8, 48)
    """
    order = axes_in_memory(x)
    found = room(tuple([shape[axis] for axis in order]), x.dtype if dtype is None else dtype)
    return found.transpose(back(order))


def zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """As `room`, filled with zeros: for less than the system takes for clearing fresh pages.

    >>> zeros((2,), np.dtype("float32"))
    array([0., 0.], dtype=float32)
    """
    if prod(shape) < _WORTH:
        return np.zeros(shape, dtype)
    found = empty(tuple(shape), np.dtype(dtype))
    found.fill(0)
    return found


def is_on_shelf(array: Any) -> bool:
    """Whether a shelf is among those that hold an array.

    >>> is_on_shelf(np.empty(3))
    False
    """
    with _shelves.lock:
        return any(each is array for each in _shelves.shelves.get((array.shape, array.dtype), ()))


def _holders(view: Any) -> int:
    """How many hold the owner of a view's memory, in this interpreter's way of counting."""
    return sys.getrefcount(view.base)


_HELD_ALONE = _holders(np.empty(1)[:])


def shares_nothing(array: Any) -> bool:
    """Whether nobody else can see the memory that an array lies in, and it may be written as an array of its own may.

    It is the array's own, or that of an owner whom the array alone holds, and perhaps a shelf; of a view that may be
    written, its axes moved at most.

    >>> x = np.zeros((2, 3))
    >>> shares_nothing(x), shares_nothing(x.T), shares_nothing(np.zeros((2, 3)).T)
    (True, False, True)
    """
    owner = getattr(array, "base", None)
    if owner is None:
        return True
    if not _COUNTS_TELL or type(array) is not np.ndarray or type(owner) is not np.ndarray:
        return False
    if owner.base is not None or owner.size != array.size or getweakrefcount(owner):
        return False
    if not array.flags.writeable or axes_side_by_side(array) is None:
        return False
    del owner
    return _holders(array) - is_on_shelf(array.base) == _HELD_ALONE


def release() -> int:
    """Forget all arrays on the shelves, and return their bytes: those that nobody uses are freed."""
    count = _shelves.bytes
    _shelves.clear()
    return count


def _after_fork() -> None:
    _shelves.lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
