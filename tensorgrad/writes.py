"""Writes: a tensor object is given a new value and keeps its identity; arrays that a record keeps are never touched."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tensorgrad.backend import is_inexact, library_of, move
from tensorgrad.tape import Keeper, Leaf, Traced, add_hook, is_recording, keeper_of, tick


def become(target: Traced, result: Any, what: str) -> Traced:
    """Give `target` the value of `result`, and its record: the tape behind the old value stays as it was.

    The new value takes the target's dtype and must have its shape. Raises RuntimeError for a leaf that requires a
    gradient while recording; under `no_grad` such a leaf is written in place and remembers when.
    """
    data = result.data if isinstance(result, Traced) else result
    shape, dtype = target.data.shape, target.data.dtype
    if data.shape != shape:
        raise ValueError(
            f"{what}: the result has shape {tuple(data.shape)} and does not fit into the tensor of shape "
            f"{tuple(shape)}; write a new tensor instead"
        )
    if data.dtype.kind != dtype.kind and "biufc".index(data.dtype.kind) > "biufc".index(dtype.kind):
        raise TypeError(f"{what}: {data.dtype} values do not fit into a {dtype} tensor; use astype first")
    if isinstance(target.record, Leaf):
        refuse_write(target, what)
        write_leaf(target, lambda array: array.__setitem__(..., move(data, _device(array))))
        return target
    record = result.record if isinstance(result, Traced) else None
    if data.dtype != dtype:
        raise TypeError(f"{what}: the result is {data.dtype} and the tensor {dtype}; use astype first")
    if record is not None or is_recording():
        keeper = keeper_of(target)
        target.record = record if is_inexact(data.dtype) else None
        if keeper is not None and target.record is not None:  # retain_grad is about the tensor, not one of its values
            keeper.owner = lambda: None
            add_hook(target.record, Keeper(target))
    target.data = data
    return target


def _device(array: Any) -> str:
    library = library_of(array)
    return "cpu" if library is None else library.device


def refuse_write(target: Traced, what: str) -> None:
    """Raise for a write into a leaf that requires a gradient while recording."""
    if is_recording():
        raise RuntimeError(
            f"{what}: a leaf that requires a gradient (shape {tuple(target.data.shape)}) cannot be written while "
            "recording; write under `with tensorgrad.no_grad():`, or make a new tensor"
        )


def write_leaf(target: Traced, write: Callable[[Any], Any]) -> None:
    """Change a leaf's array in place and note when: a sweep that would use the old value refuses."""
    if library_of(target.data) is None:
        raise TypeError(f"a leaf holds an array, not a {type(target.data).__name__}")
    if getattr(getattr(target.data, "flags", None), "writeable", True) is False:
        target.data = target.data.copy()
    write(target.data)
    assert isinstance(target.record, Leaf)
    target.record.changed = tick()


def is_sole_owner(target: Traced) -> bool:
    """Whether nobody but the tensor holds its array, so that writing in place changes nothing else."""
    data = target.data
    # The slot, the local name and the argument of getrefcount hold it; a view would have a base.
    return getattr(data, "base", data) is None and data.flags.writeable and sys.getrefcount(data) == 3


class _Probe:
    """Measures, once, what getrefcount says inside __setitem__ of a temporary and of a named object."""

    count = 0

    def __setitem__(self, key: Any, value: Any) -> None:
        self.count = sys.getrefcount(self)
        type(self).count = self.count


def _count_of_temporary() -> int:
    _Probe()[0] = 0
    temporary = _Probe.count
    named = _Probe()
    named[0] = 0
    return temporary if temporary < _Probe.count else 0  # 0: this interpreter does not let us see it


_TEMPORARY = _count_of_temporary()


def is_temporary(count: int) -> bool:
    """Whether a reference count, taken first thing in __setitem__, is that of an object nobody else holds."""
    return count <= _TEMPORARY
