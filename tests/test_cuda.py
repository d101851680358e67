"""The module that users ask about GPUs, with and without one."""

import pytest

import tensorgrad as tg
from tensorgrad import cuda
from tensorgrad.backend import probe
from tensorgrad.backend.cuda import gpu


def test_it_is_reached_from_the_package():
    assert tg.cuda is cuda
    assert all(hasattr(cuda, name) for name in cuda.__all__)


@pytest.mark.skipif(probe.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_and_what_is_missing():
    assert not cuda.is_available()
    assert cuda.device_count() == 0
    with pytest.raises(cuda.NoDeviceError, match="What is missing"):
        cuda.memory_allocated()
    with pytest.raises(RuntimeError, match="What is missing"):
        cuda.Stream()


class Raw:
    """A stream or an event that writes down what it is told."""

    def __init__(self, name, told):
        self.name, self.told = name, told

    def __getattr__(self, what):
        return lambda *given: self.told.append((self.name, what, *given))

    def __enter__(self):
        self.told.append((self.name, "enter"))

    def __exit__(self, *_):
        self.told.append((self.name, "exit"))


@pytest.fixture
def told(monkeypatch):
    told = []
    names = iter("abcdefgh")
    monkeypatch.setattr(gpu, "stream", lambda device: Raw(f"stream {device}", told))
    monkeypatch.setattr(gpu, "event", lambda timing: Raw(f"event {next(names)} {timing}", told))
    monkeypatch.setattr(gpu, "current_stream", lambda: "current")
    monkeypatch.setattr(gpu, "milliseconds", lambda start, end: (start.name, end.name))
    return told


def test_streams_hold_work_and_wait_for_each_other(told):
    first, second = cuda.Stream(0), cuda.Stream(1)
    with first:
        told.append("work")
    second.wait(first)
    second.synchronize()
    assert told[:3] == [("stream 0", "enter"), "work", ("stream 0", "exit")]
    assert told[3] == ("event a False", "record", first.raw)
    assert told[4][:2] == ("stream 1", "wait_event")
    assert told[4][2].name == "event a False"
    assert told[5] == ("stream 1", "synchronize")


def test_events_take_times(told):
    start, end = cuda.Event().record(), cuda.Event().record(cuda.Stream(0))
    end.synchronize()
    assert told[0] == ("event a True", "record", "current")
    assert told[-1] == ("event b True", "synchronize")
    assert start.elapsed_time(end) == ("event a True", "event b True")


def test_figures_of_memory_come_by_name(monkeypatch):
    figures = {"allocated": 1, "reserved": 2, "free": 3, "total": 4}
    monkeypatch.setattr(gpu, "memory", lambda device: figures)
    assert (cuda.memory_allocated(), cuda.memory_reserved(), cuda.mem_get_info()) == (1, 2, (3, 4))
    assert cuda.memory_stats() == figures


def test_the_rest_is_handed_on(monkeypatch):
    asked = []
    for name in ("name", "capability", "synchronize", "release", "limit", "watch_memory"):
        monkeypatch.setattr(gpu, name, lambda *given, name=name: asked.append((name, *given)))
    cuda.get_device_name(1)
    cuda.get_device_capability("cuda:1")
    cuda.synchronize()
    cuda.empty_cache(0)
    cuda.set_memory_limit(fraction=0.5)
    cuda.peak_memory("cuda")
    assert asked == [
        ("name", 1),
        ("capability", "cuda:1"),
        ("synchronize", None),
        ("release", 0),
        ("limit", None, 0.5, None),
        ("watch_memory", "cuda"),
    ]
