"""What a GPU is besides a place for arrays: how many there are, their memory, their streams, and waiting for them.

Everything but the count raises NoDeviceError where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensorgrad.backend import probe
from tensorgrad.backend.cuda import index_flag


def _cupy() -> Any:
    """The library that serves GPUs."""
    probe.require()
    from tensorgrad.backend.cuda.cupy_library import cupy

    return cupy


def _runtime() -> Any:
    return _cupy().cuda


def _device(device: Any) -> Any:
    """A device as the library's object: by name, by number, by an object of the library; None for the current one."""
    cuda = _runtime()
    if device is None or not isinstance(device, (str, int)):
        return cuda.Device() if device is None else device
    count = cuda.runtime.getDeviceCount()
    text = device if isinstance(device, str) else f"cuda:{device}"
    kind, _, number = text.partition(":")
    if kind != "cuda" or not (number or "0").isdecimal() or not int(number or 0) < count:
        raise ValueError(f"there is no device {text!r} here; of this kind there are {count}")
    return cuda.Device(int(number or 0))


def count() -> int:
    return int(_runtime().runtime.getDeviceCount()) if probe.is_available() else 0


def name(device: Any = None) -> str:
    text = _runtime().runtime.getDeviceProperties(_device(device).id)["name"]
    return text.decode() if isinstance(text, bytes) else str(text)


def capability(device: Any = None) -> tuple[int, int]:
    digits = str(_device(device).compute_capability)
    return int(digits[:-1]), int(digits[-1])


def synchronize(device: Any = None) -> None:
    """Wait until a device has done all it was given. Raises IndexError for an index that it could not follow."""
    _device(device).synchronize()
    index_flag.check()


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────


def memory(device: Any = None) -> dict[str, int]:
    """Bytes: in arrays, in the pool of the process, free on the device, and on it altogether."""
    cupy, where = _cupy(), _device(device)
    with where:
        pool = cupy.get_default_memory_pool()
        free, total = cupy.cuda.runtime.memGetInfo()
        return {
            "allocated": int(pool.used_bytes()),
            "reserved": int(pool.total_bytes()),
            "free": int(free),
            "total": int(total),
        }


def release(device: Any = None) -> int:
    """Give memory that no array uses back to the device; returns how many bytes."""
    before = memory(device)["reserved"]
    with _device(device):
        _cupy().get_default_memory_pool().free_all_blocks()
        _cupy().get_default_pinned_memory_pool().free_all_blocks()
    return before - memory(device)["reserved"]


def limit(size: int | None = None, fraction: float | None = None, device: Any = None) -> None:
    """Let the pool of a device take no more than so many bytes, or such a part of it."""
    with _device(device):
        _cupy().get_default_memory_pool().set_limit(size, fraction)


class Peak:
    """The most bytes that arrays took at a time while it watched."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def watch_memory(device: Any = None) -> Iterator[Peak]:
    """Follow how much memory arrays take inside the block."""
    cupy, where = _cupy(), _device(device)
    peak = Peak()

    class Hook(cupy.cuda.MemoryHook):  # type: ignore[misc, name-defined]
        name = f"tensorgrad {id(peak)}"  # of its own: the library takes no second hook of a name, as in a block within

        def malloc_postprocess(self, **_: Any) -> None:
            if cupy.cuda.get_device_id() == where.id:  # CuPy 14 tells the device that was current at the first request
                peak.bytes = max(peak.bytes, int(cupy.get_default_memory_pool().used_bytes()))

    with where:
        peak.bytes = int(cupy.get_default_memory_pool().used_bytes())
    with Hook():
        yield peak


# ── streams and events ──────────────────────────────────────────────────────────────────────────────────────


def stream(device: Any = None) -> Any:
    with _device(device):
        return _runtime().Stream(non_blocking=True)


def current_stream() -> Any:
    return _runtime().get_current_stream()


def event(timing: bool) -> Any:
    return _runtime().Event(disable_timing=not timing)


def milliseconds(start: Any, end: Any) -> float:
    return float(_runtime().get_elapsed_time(start, end))
