"""Memory, streams and waiting, with a library in the place of CuPy that writes down what it is asked for."""

from types import SimpleNamespace
from typing import ClassVar

import pytest

from tensorgrad.backend import on_device, probe
from tensorgrad.backend.cuda import gpu, index_flag


class Device:
    current = 0

    def __init__(self, number=None):
        self.id = Device.current if number is None else number
        self.compute_capability = "90"
        self.before = []

    def __enter__(self):
        self.before.append(Device.current)
        Device.current = self.id

    def __exit__(self, *_):
        Device.current = self.before.pop()

    def synchronize(self):
        Device.waited.append(self.id)


class Pool:
    def __init__(self):
        self.used, self.held, self.freed, self.limits = [100, 0], [400, 0], [], []

    def used_bytes(self):
        return self.used[Device.current]

    def total_bytes(self):
        return self.held[Device.current]

    def free_all_blocks(self):
        self.held[Device.current] = self.used[Device.current]

    def set_limit(self, size, fraction):
        self.limits.append((Device.current, size, fraction))


class MemoryHook:
    active: ClassVar[list] = []

    def __enter__(self):
        assert self.name not in [each.name for each in self.active], "the library takes no two hooks of one name"
        self.active.append(self)

    def __exit__(self, *_):
        self.active.remove(self)


@pytest.fixture
def cupy(monkeypatch):
    Device.waited = []
    pool, pinned = Pool(), SimpleNamespace(free_all_blocks=lambda: None)
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 2,
        memGetInfo=lambda: (1000 + Device.current, 2000),
        getDeviceProperties=lambda number: {"name": f"GPU {number}".encode()},
    )
    cuda = SimpleNamespace(
        runtime=runtime,
        Device=Device,
        get_device_id=lambda: Device.current,
        MemoryHook=MemoryHook,
        Stream=lambda non_blocking: (Device.current, non_blocking),
        get_current_stream=lambda: "the current one",
        Event=lambda disable_timing: ("event", disable_timing),
        get_elapsed_time=lambda start, end: end - start,
    )
    library = SimpleNamespace(
        cuda=cuda, get_default_memory_pool=lambda: pool, get_default_pinned_memory_pool=lambda: pinned, pool=pool
    )
    monkeypatch.setattr(gpu, "_cupy", lambda: library)
    monkeypatch.setattr(probe, "is_available", lambda: True)
    return library


def test_devices_are_named_and_counted(cupy):
    assert gpu.count() == 2
    assert [gpu.name(each) for each in (None, 1, "cuda", "cuda:1")] == ["GPU 0", "GPU 1", "GPU 0", "GPU 1"]
    assert gpu.capability(1) == (9, 0)
    for wrong in (2, "cuda:2", -1):
        with pytest.raises(ValueError, match=r"there is no device 'cuda:-?\d' here; of this kind there are 2"):
            gpu.name(wrong)
    for wrong in ("cpu", "cuda:x", "gpu"):
        with pytest.raises(ValueError, match=f"there is no device '{wrong}' here; of this kind there are 2"):
            gpu.synchronize(wrong)


def test_memory_is_that_of_the_device_asked_for(cupy):
    assert gpu.memory("cuda") == {"allocated": 100, "reserved": 400, "free": 1000, "total": 2000}
    assert gpu.memory(1) == {"allocated": 0, "reserved": 0, "free": 1001, "total": 2000}
    assert gpu.release(0) == 300
    assert gpu.memory(0)["reserved"] == 100
    gpu.limit(fraction=0.5, device=1)
    assert cupy.pool.limits == [(1, None, 0.5)]
    assert Device.current == 0


def test_the_peak_is_the_most_that_was_taken_at_a_time(cupy):
    """CuPy 14 tells hooks of one device whatever the current one is: that of the first request."""
    with gpu.watch_memory(0) as peak, gpu.watch_memory(1) as other:
        for device, used in ((0, 700), (0, 300), (1, 10**9)):
            cupy.pool.used[device] = used
            with Device(device):
                for hook in MemoryHook.active:
                    hook.malloc_postprocess(device_id=0, size=1)
    assert (peak.bytes, other.bytes) == (700, 10**9)
    assert not MemoryHook.active


def test_peaks_are_watched_one_within_another(cupy):
    with gpu.watch_memory(0) as outer, gpu.watch_memory(0) as inner:
        cupy.pool.used[0] = 500
        for hook in MemoryHook.active:
            hook.malloc_postprocess(device_id=0, size=1)
    assert outer.bytes == inner.bytes == 500


def test_streams_are_made_on_their_device(cupy):
    assert gpu.stream(1) == (1, True)
    assert gpu.current_stream() == "the current one"
    assert gpu.event(timing=True) == ("event", False)
    assert gpu.milliseconds(1.0, 3.5) == 2.5


def test_to_wait_is_to_look_at_the_flags(cupy, monkeypatch):
    strict = on_device("strict")
    xp = strict.namespace
    monkeypatch.setattr(index_flag, "_flags", {})
    flag = index_flag.index_flag(xp, xp.zeros(1, device="strict"))
    gpu.synchronize(1)
    assert Device.waited == [1]
    flag[0], flag[1], flag[2] = 1, 7, 5
    with pytest.raises(IndexError, match="index 7 is out of bounds for an axis with size 5"):
        gpu.synchronize()
    gpu.synchronize()  # the flag is down again


@pytest.mark.skipif(probe.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_count_is_0_and_the_rest_raises():
    assert gpu.count() == 0
    for ask in (gpu.memory, gpu.release, gpu.synchronize, gpu.stream, gpu.current_stream, gpu.name, gpu.limit):
        with pytest.raises(probe.NoDeviceError, match="What is missing"):
            ask()
    with pytest.raises(probe.NoDeviceError, match="What is missing"), gpu.watch_memory():
        pass
