"""Memory and streams of the pretended GPU: allocators that are asked for every array, and captures that hold calls.

While a stream captures nothing is executed: what would be is written down with the addresses it was given, and holds on
to no array, as a CUDA graph does not. Its results are zeros until the graph is launched. What CUDA or CuPy refuse
meanwhile is refused.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np


class Pointer:
    """Memory: int() gives its address. `free` is called when nobody holds it any more."""

    def __init__(self, address: int, free: Callable[[], None]) -> None:
        self._address, self._free = address, free

    def __int__(self) -> int:
        return self._address

    def __del__(self) -> None:
        self._free()


class Pool:
    """The library's own allocator, which counts. What is given back is filled with ones, NaN as a float."""

    def __init__(self) -> None:
        self.given = 0  # how often it was asked
        self._blocks: dict[int, Any] = {}

    def used_bytes(self) -> int:
        return sum([ctypes.sizeof(each) for each in self._blocks.values()])

    total_bytes = used_bytes  # nothing is kept for the next ones

    def malloc(self, size: int) -> Pointer:
        assert not capturing(), "memory was allocated while a stream captures"
        self.given += 1
        block = (ctypes.c_byte * max(size, 1))()
        address = ctypes.addressof(block)
        self._blocks[address] = block
        ctypes.memset(address, 0xFF, max(size, 1))

        def free() -> None:
            ctypes.memset(address, 0xFF, max(size, 1))
            del self._blocks[address]

        return Pointer(address, free)


class PythonFunctionAllocator:
    """As CuPy's: functions of sizes and addresses."""

    def __init__(self, malloc: Callable[[int, int], int], free: Callable[[int, int], None]) -> None:
        self._malloc, self._free = malloc, free

    def malloc(self, size: int) -> Pointer:
        address = self._malloc(size, 0)
        return Pointer(address, lambda: self._free(address, 0))


pool = Pool()
_allocators: list[Callable[[int], Pointer]] = [pool.malloc]


@contextmanager
def using_allocator(malloc: Callable[[int], Pointer]) -> Iterator[None]:
    _allocators.append(malloc)
    try:
        yield
    finally:
        _allocators.pop()


def placed(array: Any) -> Any:
    """A copy of an ndarray in memory of the current allocator's."""
    block = ctypes.c_byte * max(array.nbytes, 1)
    pointer = _allocators[-1](array.nbytes) if array.nbytes else Pointer(0, lambda: None)
    inside = block.from_address(int(pointer)) if array.nbytes else block()
    inside.pointer = pointer
    flat = np.frombuffer(inside, np.uint8)[: array.nbytes].view(array.dtype)
    by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    made = flat.reshape(array.shape[::-1]).T if by_columns else flat.reshape(array.shape)
    made[...] = array
    return made


def is_placed(array: Any) -> bool:
    """Whether an array lies in memory that an allocator gave; one without numbers does."""
    if not array.nbytes:
        return True
    while isinstance(array, np.ndarray):
        array = np.ndarray.base.__get__(array)  # type: ignore[attr-defined]
    return hasattr(getattr(array, "obj", array), "pointer")


def address_of(array: Any) -> int:
    return int(np.ndarray.ctypes.__get__(array).data)  # type: ignore[attr-defined]


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────


class Graph:
    """Calls that were written down."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []
        self.launches = 0

    def launch(self, stream: Any = None) -> None:
        assert not capturing()
        self.launches += 1
        for call in self.calls:
            call()


class Stream:
    """Work in order; it writes down what it is told."""

    done = True  # whether what it was told is seen as done at once

    def __init__(self, non_blocking: bool = False) -> None:
        self.told: list[str] = []
        self.ptr = id(self)
        self.graph: Graph | None = None

    def __enter__(self) -> Stream:
        _streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _streams.pop()

    def record(self) -> Any:
        self.told.append("record")
        return SimpleNamespace(done=self.done, synchronize=partial(self.told.append, "synchronize"))

    def wait_event(self, event: Any) -> None:
        self.told.append("wait")

    def begin_capture(self) -> None:
        assert len(_streams) > 1, "cannot capture on the default (legacy) stream"
        self.graph = Graph()

    def end_capture(self) -> Graph:
        graph, self.graph = self.graph, None
        assert graph is not None
        graphs.append(graph)
        return graph


class Event:
    """A mark, by the host's clock."""

    def __init__(self, disable_timing: bool = False) -> None:
        self.time = 0.0

    def record(self, stream: Stream) -> None:
        refuse_in_capture("marks")
        self.time = perf_counter()


class MemoryHook:
    """Is told of what the library's pool gives."""

    def __enter__(self) -> MemoryHook:
        return self

    def __exit__(self, *_: object) -> None:
        pass


_streams = [Stream()]
graphs: list[Graph] = []  # that were captured


def capturing() -> Graph | None:
    """The graph that the current stream writes down."""
    return _streams[-1].graph


def refuse_in_capture(what: str) -> None:
    if capturing():
        raise RuntimeError(f"the current stream is capturing, so {what} are disallowed")


def held_by_none(value: Any) -> Any:
    """Arrays by their addresses alone."""
    if isinstance(value, np.ndarray):
        if not value.nbytes:
            return np.empty(value.shape, value.dtype)
        low, high = np.lib.array_utils.byte_bounds(np.asarray(value))
        block = (ctypes.c_byte * (high - low)).from_address(low)
        return np.ndarray(value.shape, value.dtype, block, address_of(value) - low, value.strides)
    if isinstance(value, tuple):
        parts = [held_by_none(each) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [held_by_none(each) for each in value]
    return value


def executed(function: Callable[..., Any], args: Any, keywords: Any, lifted: Callable[[Any], Any]) -> Any:
    """What a function gives. In a capture it is called for the shapes alone, and again at each launch."""
    graph = capturing()
    if graph is None:
        return lifted(function(*args, **keywords))
    late, later = held_by_none(args), {name: held_by_none(each) for name, each in keywords.items()}
    out = keywords.get("out")
    if function is np.ndarray.__setitem__ or out is not None:
        graph.calls.append(lambda: function(*late, **later))
        return lifted(out[0] if isinstance(out, tuple) else out)
    with np.errstate(all="ignore"):
        found = function(*args, **keywords)
    given = lifted(found)
    several = isinstance(found, (tuple, list))
    pairs = zip(found, given, strict=True) if several else [(found, given)]
    targets = [None if is_placed(one) else held_by_none(two.view(np.ndarray)) for one, two in pairs]
    for target in targets:
        if target is not None:
            target[...] = 0

    def again() -> None:
        values = function(*late, **later)
        for value, target in zip(values if several else [values], targets, strict=True):
            if target is not None:
                target[...] = value

    if any(each is not None for each in targets):
        graph.calls.append(again)
    return given


def memory_functions() -> dict[str, Any]:
    """What `cupy.cuda` has of memory and streams."""
    pool.given = 0
    graphs.clear()
    _streams[:] = [Stream()]
    return {
        "alloc": lambda size: _allocators[-1](size),
        "get_allocator": lambda: _allocators[-1],
        "using_allocator": using_allocator,
        "PythonFunctionAllocator": PythonFunctionAllocator,
        "get_current_stream": lambda: _streams[-1],
        "get_elapsed_time": lambda start, end: 1000 * (end.time - start.time),
        "Event": Event,
        "MemoryHook": MemoryHook,
    }
