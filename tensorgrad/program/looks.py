"""Where things are found in each call, and what they look like: compared for all of them at once.

A step of a hundred parameters is compared in some 50 us, which is what a program costs before it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tensorgrad.backend.cuda.programs import is_on_gpu
from tensorgrad.program.reach import Holder, is_value
from tensorgrad.tape import Leaf, Traced


def tensor_key(tensor: Any) -> Any:
    """What a program rests on of a tensor besides its values. None for one that came from elsewhere's tape."""
    record, data = tensor.record, tensor.data
    if (type(data) is not np.ndarray and not is_on_gpu(data)) or (record is not None and type(record) is not Leaf):
        return None
    if record is not None and record.hooks:
        return None
    return (type(tensor), type(data), data.shape, data.dtype, record is not None, _attributes(tensor))


def _attributes(tensor: Any) -> Any:
    """What somebody has set on a tensor, besides the name that modules give to it: what is no plain value by its id."""
    notes = getattr(tensor, "__dict__", None)
    if not notes:
        return None
    kept = [(name, type(each), plain(each)) for name, each in notes.items() if name != "name"]
    return tuple(kept) or None


def plain(value: Any) -> Any:
    """A plain value such that 0.0 and -0.0 differ; of anything else its id."""
    if isinstance(value, (float, complex, np.inexact)):
        return str(value)
    return value if is_value(value) else id(value)


class Seen:
    """Where things are looked for in each call, and which they were in the last one: by their ids, for nothing is held.

    slots: (holder, key, number of the thing) of all places. What is at all of them the same as before, place by place,
    is one thing wherever it was one thing before; whether it is of the same kind is another question.
    """

    def __init__(self, slots: list[tuple[Holder, Any, int]], count: int) -> None:
        self._gets = [(_getter(holder, key), key) for holder, key, _ in slots]
        self._known: list[int] | None = None
        first: dict[int, int] = {}
        for index, (_, _, place) in enumerate(slots):
            first.setdefault(place, index)
        self._first = list(first.items())
        self._count = count

    def things(self) -> list[Any]:
        """What is at each place now; None where nothing is."""
        return [get(key) for get, key in self._gets]

    def are_known(self, found: list[Any]) -> bool:
        """Whether all are where they were."""
        return list(map(id, found)) == self._known

    def know(self, found: list[Any]) -> None:
        """Note what was found, and is as it should be."""
        self._known = list(map(id, found))

    def each_once(self, found: list[Any]) -> list[Any]:
        """The things by their numbers; None for those that have no place."""
        things: list[Any] = [None] * self._count
        for place, index in self._first:
            things[place] = found[index]
        return things


class Look:
    """What tensors look like, as `tensor_key` has it, compared for all at once in a fifth of the time."""

    def __init__(self, tensors: list[Any]) -> None:
        arrays = [each.data for each in tensors]
        self._kinds, self._array_kinds = list(map(type, tensors)), list(map(type, arrays))
        self._shapes = [(each.shape, each.dtype) for each in arrays]
        self._records = [type(each.record) for each in tensors]
        self._leaves = [place for place, kind in enumerate(self._records) if kind is Leaf]
        self._notes = [(place, _attributes(each)) for place, each in enumerate(tensors) if type(each).__dictoffset__]

    def is_of(self, tensors: list[Any]) -> bool:
        """Whether these look the same. Where not, they may yet do, by `tensor_key`."""
        if list(map(type, tensors)) != self._kinds:
            return False
        arrays = [each.data for each in tensors]
        if list(map(type, arrays)) != self._array_kinds:
            return False
        records = [each.record for each in tensors]
        return (
            [(each.shape, each.dtype) for each in arrays] == self._shapes
            and list(map(type, records)) == self._records
            and not any(records[place].hooks for place in self._leaves)
            and all(_attributes(tensors[place]) == notes for place, notes in self._notes)
        )


def _getter(holder: Holder, key: Any) -> Callable[[Any], Any]:
    """A function of the key that gives what is there, the fastest for its kind."""
    if type(holder.thing) is dict:
        return holder.thing.get
    if isinstance(holder.thing, Traced):
        return partial(getattr, holder.thing)
    if holder.kind == "sequence":  # whose length was compared
        return partial(holder.of.__getitem__, holder.thing)
    return partial(entry, holder)


def entry(holder: Holder, key: Any) -> Any:
    """What is at a place now; None where nothing is."""
    if holder.kind == "dict":
        return holder.of.get(holder.thing, key)
    if holder.kind == "slots":
        return getattr(holder.thing, key, None)
    return holder.entries().get(key)


__all__ = ["Look", "Seen", "entry", "plain", "tensor_key"]
