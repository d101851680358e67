"""Memory of a program's values: one array lies where another lay whose value is needed no more, whatever its shape."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.stretches import Stretch, Stretches
from tensorgrad.program.calls import Node
from tensorgrad.program.layouts import laid_out

_LINE = 64  # bytes: no two arrays share a line of the cache


class Shelf:
    """Memory in stretches."""

    def __init__(self) -> None:
        self._stretches = Stretches(_LINE)
        self._slabs: list[Any] = []
        self._taken: dict[int, Stretch] = {}  # by the id of an array that was given out
        self._arrays: list[Any] = []  # these, so that no other gets such an id

    @property
    def bytes(self) -> int:
        """How much memory there is in all."""
        return sum(self._stretches.slabs)

    def take(self, node: Node) -> Any:
        """An array for the value of a line: in the smallest stretch that is free and large enough, or in a new one."""
        length = prod(node.shape or ()) * node.dtype.itemsize
        slab, start, end = self._stretches.take(length)
        if slab == len(self._slabs):
            self._slabs.append(np.empty(end, np.uint8))
        flat = self._slabs[slab][start : start + length].view(node.dtype)
        array = laid_out(flat, node.shape, node.layout)
        self._taken[id(array)] = (slab, start, end)
        self._arrays.append(array)
        return array

    def give(self, array: Any) -> None:
        """Take one back."""
        self._stretches.give(self._taken.pop(id(array)))


__all__ = ["Shelf"]
