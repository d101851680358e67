"""Writes: a tensor object is given a new value and keeps its identity; arrays that a record keeps are never touched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dis import opmap
from functools import partial
from types import FrameType
from typing import Any
from weakref import ref

import numpy as np

from tensorgrad.backend import (
    as_array,
    beside,
    device_of,
    is_array,
    is_inexact,
    is_on_shelf,
    library_of,
    memory_of,
    move,
    natural,
    refuse_two_devices,
)
from tensorgrad.tape import Keeper, Leaf, Traced, add_hook, is_recording, keeper_of, tick


def become(target: Traced, result: Any, what: str) -> Traced:
    """Give `target` the value of `result`, and its record: the tape behind the old value stays as it was.

    Raises ValueError and TypeError where shape or dtype would change, and RuntimeError for a leaf that requires a
    gradient while recording; under `no_grad` such a leaf is written in place and remembers when.
    """
    data = result.data if isinstance(result, Traced) else result
    shape, dtype = target.data.shape, target.data.dtype
    refuse_two_devices(target.data, data, f"{what}: the tensor that is written and the result are ")
    if data.shape != shape:
        raise ValueError(
            f"{what}: the result has shape {tuple(data.shape)} and does not fit into the tensor of shape "
            f"{tuple(shape)}; write a new tensor instead"
        )
    if data.dtype != dtype:
        raise TypeError(
            f"{what}: the result is {data.dtype} and the tensor of shape {tuple(shape)} is {dtype}; use astype first"
        )
    if isinstance(target.record, Leaf):
        refuse_write(target, what)
        write_leaf(target, lambda array: array.__setitem__(..., move(data, device_of(array))))
        return target
    record = result.record if isinstance(result, Traced) else None
    if record is not None or is_recording():
        keeper = keeper_of(target)
        target.record = record if is_inexact(data.dtype) else None
        if keeper is not None and target.record is not None:  # retain_grad is about the tensor, not one of its values
            keeper.owner = lambda: None
            add_hook(target.record, Keeper(target))
    target.data = data
    return target


def replace_leaf(target: Any, array: Any) -> None:
    """Give `target` another array, of whatever dtype and on whatever device; a leaf stays a leaf, without its hooks."""
    requires_grad = isinstance(target.record, Leaf)
    target.record, target.data = None, array
    target.requires_grad_(requires_grad)


def refuse_write(target: Traced, what: str) -> None:
    """Raise for a write into a leaf that requires a gradient while recording."""
    if is_recording():
        raise RuntimeError(
            f"{what}: a leaf that requires a gradient (shape {tuple(target.data.shape)}) cannot be written while "
            "recording; write under `with tensorgrad.no_grad():`, or make a new tensor"
        )


def write_leaf(target: Traced, write: Callable[[Any], Any]) -> None:
    """Change the array of a leaf, or of an unrecorded tensor, in place and note when.

    A sweep that would use the old value refuses. An array that may not be written to is replaced by a copy first.
    """
    array = writable_leaf(target)
    with beside(array):
        write(array)
    note_leaf(target)


def writable_leaf(target: Traced) -> Any:
    """The array of a leaf, to be written in place; one that may not be written to is replaced by a copy."""
    if library_of(target.data) is None:
        raise TypeError(f"a leaf holds an array, not a {type(target.data).__name__}")
    if getattr(getattr(target.data, "flags", None), "writeable", True) is False:
        target.data = target.data.copy()
    return target.data


def note_leaf(target: Traced) -> None:
    """Note that a leaf's array was written in place, now."""
    when = note_write(target.data)
    if isinstance(target.record, Leaf):
        target.record.changed = when


_written: dict[int, tuple[ref[Any], int]] = {}  # the memory of leaves that was written in place, and when
_latest = [0]


def note_write(array: Any) -> int:
    """Remember that an array was written in place, for the tapes that keep it or a view of it. Returns the time."""
    return note_writes((array,))


def note_writes(arrays: Iterable[Any]) -> int:
    """The same of several arrays at one time."""
    when = _latest[0] = tick()
    for array in arrays:
        memory = array if type(array) is np.ndarray and array.base is None else memory_of(array)
        key = id(memory)
        known = _written.get(key)
        _written[key] = (known[0] if known is not None else ref(memory, partial(_forget, key)), when)
    return when


def _forget(key: int, _: Any) -> None:
    """What was noted of memory that is no more."""
    _written.pop(key, None)


def latest_write() -> int:
    """When a leaf was last written in place: what was recorded since then need not be asked about."""
    return _latest[0]


def was_written(array: Any, since: float) -> bool:
    """Whether the memory that an array looks into was written in place, as a leaf's, since a time."""
    found = _written.get(id(memory_of(array)))
    return found is not None and found[1] > since


def is_sole_owner(target: Traced) -> bool:
    """Whether nobody but the tensor holds its array, so that writing in place changes nothing else."""
    data = target.data
    if type(data) is not np.ndarray:
        return False
    if data.base is not None or not data.flags.writeable:  # a view has a base
        return False
    count = sys.getrefcount(data)
    return count == _SOLE or (count == _SOLE + 1 and is_on_shelf(data))


def _count_of_sole() -> int:
    """What getrefcount says, here, of an array that only a tensor's slot holds."""
    target = Traced()
    target.data = np.empty(0)
    data = target.data
    return sys.getrefcount(data)


_SOLE = _count_of_sole()


def fitting(value: Any, target: Traced, what: str) -> Any:
    """A value to be written, as a number, an array or a tensor whose kind of number the target holds.

    Raises TypeError where the write would drop a fraction or an imaginary part.
    """
    if isinstance(value, (list, tuple)) or not isinstance(value, (Traced, bool, int, float, complex)):
        value = as_array(value, device=None if is_array(value) else device_of(target.data))
    data = value.data if isinstance(value, Traced) else value
    dtype = target.data.dtype
    kind = data.dtype.kind if hasattr(data, "dtype") else natural(data).kind
    if _RANK[kind] > _RANK[dtype.kind]:
        given = data.dtype if hasattr(data, "dtype") else type(data).__name__
        raise TypeError(
            f"{what}: {given} values do not fit into a tensor of dtype {dtype} and shape {tuple(target.data.shape)}; "
            "use astype first, on either"
        )
    return value


_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


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


_STORES = {opmap[name] for name in ("STORE_SUBSCR", "STORE_SLICE") if name in opmap}


def is_assignment(caller: FrameType) -> bool:
    """Whether the frame is at a statement x[key] = value, not at a call: x.__setitem__(...) holds fewer references."""
    return caller.f_code.co_code[caller.f_lasti] in _STORES
