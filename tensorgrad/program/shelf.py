"""Memory of a program's values: one array lies where another lay whose value is needed no more, whatever its shape."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.program.calls import Node
from tensorgrad.program.layouts import laid_out

_LINE = 64  # bytes: no two arrays share a line of the cache


class Shelf:
    """Memory in stretches. What is free lies in (slab, start, end), those beside each other put together."""

    def __init__(self) -> None:
        self.bytes = 0
        self._slabs: list[Any] = []
        self._free: list[tuple[int, int, int]] = []
        self._taken: dict[int, tuple[int, int, int]] = {}  # by the id of an array that was given out
        self._arrays: list[Any] = []  # these, so that no other gets such an id

    def take(self, node: Node) -> Any:
        """An array for the value of a line: in the smallest stretch that is free and large enough, or in a new one."""
        length = prod(node.shape or ()) * node.dtype.itemsize
        size = max(_LINE, -(-length // _LINE) * _LINE)
        fitting = [stretch for stretch in self._free if stretch[2] - stretch[1] >= size]
        if fitting:
            slab, start, end = min(fitting, key=lambda stretch: (stretch[2] - stretch[1], stretch))
            self._free.remove((slab, start, end))
            if end - start > size:
                self._free.append((slab, start + size, end))
        else:
            slab, start = len(self._slabs), 0
            self._slabs.append(np.empty(size, np.uint8))
            self.bytes += size
        flat = self._slabs[slab][start : start + length].view(node.dtype)
        array = laid_out(flat, node.shape, node.layout)
        self._taken[id(array)] = (slab, start, start + size)
        self._arrays.append(array)
        return array

    def give(self, array: Any) -> None:
        """Take one back."""
        slab, start, end = self._taken.pop(id(array))
        for stretch in [each for each in self._free if each[0] == slab and (each[1] == end or each[2] == start)]:
            self._free.remove(stretch)
            start, end = min(start, stretch[1]), max(end, stretch[2])
        self._free.append((slab, start, end))


__all__ = ["Shelf"]
