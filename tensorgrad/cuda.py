"""GPUs: whether there are any, how much memory they have left, waiting for them, and streams of work.

Devices have names, "cuda:0", "cuda:1"; "cuda" is the first. Tensors go there by `x.to("cuda")`, or are made there with
`device="cuda"`; there is no switch for all (TENSORGRAD_BACKEND apart). A GPU works behind the program: an op returns
when its work is queued, and the host waits where it wants a value: `item`, `numpy`, `print`, `synchronize`.

Where there is no GPU, all but `is_available` and `device_count` raise NoDeviceError, which says what is missing.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from tensorgrad.backend import NoDeviceError, probe
from tensorgrad.backend.cuda import gpu
from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.shortage import OutOfMemoryError


def is_available() -> bool:
    """Whether there is a GPU that tensors can be on. Never raises, and imports nothing where nothing is installed.

    >>> import tensorgrad as tg
    >>> tg.cuda.is_available() == (tg.cuda.device_count() > 0)
    True
    """
    return probe.is_available()


def device_count() -> int:
    """How many GPUs there are; 0 where none can be used.

    >>> device_count() >= 0
    True
    """
    return gpu.count()


def get_device_name(device: str | int | None = None) -> str:
    """What the maker calls a device: "NVIDIA H100 80GB HBM3". None means the current one, here and below."""
    return gpu.name(device)


def get_device_capability(device: str | int | None = None) -> tuple[int, int]:
    """The version of what a device can do: (9, 0)."""
    return gpu.capability(device)


def synchronize(device: str | int | None = None) -> None:
    """Wait until a device has done all its work.

    Raises IndexError for an index out of bounds that a kernel met in the meantime.
    """
    gpu.synchronize(device)


# ── exact or fast ───────────────────────────────────────────────────────────────────────────────────────────


def set_tf32(allowed: bool) -> None:
    """Whether float32 products and convolutions may round their operands to 10 bits (TF32), in cuBLAS and cuDNN alike.

    Off at first. It is several times as fast on tensor cores, and as exact as float16 with float32's range.

    >>> set_tf32(True)
    >>> get_tf32()
    True
    >>> set_tf32(False)
    """
    cuda_settings.set_tf32(allowed)


def get_tf32() -> bool:
    """Whether float32 products and convolutions may round their operands to 10 bits.

    >>> get_tf32()
    False
    """
    return cuda_settings.get_tf32()


def set_deterministic(wanted: bool) -> None:
    """Whether results are the same to the bit in every run: on at first.

    Without it, values that meet at a place, as the gradients of an embedding, are added in whatever order threads
    arrive, and cuDNN may take plans that do likewise.

    >>> set_deterministic(False)
    >>> get_deterministic()
    False
    >>> set_deterministic(True)
    """
    cuda_settings.set_deterministic(wanted)


def get_deterministic() -> bool:
    """Whether results are the same to the bit in every run.

    >>> get_deterministic()
    True
    """
    return cuda_settings.get_deterministic()


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────


def memory_allocated(device: str | int | None = None) -> int:
    """Bytes that arrays of this process take on a device."""
    return gpu.memory(device)["allocated"]


def memory_reserved(device: str | int | None = None) -> int:
    """Bytes that this process holds on a device: arrays, and what is kept to make the next ones from."""
    return gpu.memory(device)["reserved"]


def mem_get_info(device: str | int | None = None) -> tuple[int, int]:
    """Bytes free on a device, and on it altogether, all processes considered."""
    found = gpu.memory(device)
    return found["free"], found["total"]


def memory_stats(device: str | int | None = None) -> dict[str, int]:
    """All of these by name: "allocated", "reserved", "free", "total"."""
    return gpu.memory(device)


def empty_cache(device: str | int | None = None) -> int:
    """Give back to the device what no array uses, for other processes to have. Returns how many bytes."""
    return gpu.release(device)


def set_memory_limit(size: int | None = None, fraction: float | None = None, device: str | int | None = None) -> None:
    """Let this process hold so many bytes on a device, or such a part of it, and no more."""
    gpu.limit(size, fraction, device)


def peak_memory(device: str | int | None = None) -> AbstractContextManager[gpu.Peak]:
    """The most bytes that arrays took at a time: `with tg.cuda.peak_memory() as peak: step()`, then `peak.bytes`.

    Each allocation is looked at inside the block, which costs some microseconds each.
    """
    return gpu.watch_memory(device)


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────


class Event:
    """A mark in a stream's work, to wait for or to take the time between two.

    timing: whether it can be asked for times.
    """

    def __init__(self, timing: bool = True) -> None:
        self.raw = gpu.event(timing)

    def record(self, stream: Stream | None = None) -> Event:
        """Put the mark behind what a stream, or the current one, was given so far. Returns itself."""
        self.raw.record(gpu.current_stream() if stream is None else stream.raw)
        return self

    def synchronize(self) -> None:
        """Wait until the mark is reached."""
        self.raw.synchronize()

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds from this mark to a later one, by the device's clock; both must be reached."""
        return gpu.milliseconds(self.raw, end.raw)


class Stream:
    """Work that is done in order, beside that of other streams: `with tg.cuda.Stream():`.

    What is computed inside the block goes into the stream. Work in two streams that touches the same arrays must wait:
    `wait(event)`.
    """

    def __init__(self, device: str | int | None = None) -> None:
        self.raw: Any = gpu.stream(device)

    def __enter__(self) -> Stream:
        self.raw.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.raw.__exit__(kind, error, trace)

    def synchronize(self) -> None:
        """Wait until all of its work is done."""
        self.raw.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """A mark behind what it was given so far."""
        return (Event(timing=False) if event is None else event).record(self)

    def wait(self, other: Stream | Event) -> None:
        """Begin what comes next when the other, as it is now, is done; the host does not wait."""
        event = other.record_event() if isinstance(other, Stream) else other
        self.raw.wait_event(event.raw)


__all__ = [
    "Event",
    "NoDeviceError",
    "OutOfMemoryError",
    "Stream",
    "device_count",
    "empty_cache",
    "get_deterministic",
    "get_device_capability",
    "get_device_name",
    "get_tf32",
    "is_available",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "peak_memory",
    "set_deterministic",
    "set_memory_limit",
    "set_tf32",
    "synchronize",
]
