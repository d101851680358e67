"""What CuPy is asked for a program's memory and graphs, here of a pretended one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorgrad.backend.cuda import graphs
from tensorgrad.backend.cuda.arena import Arena
from tests.pretended_gpu import pretended_gpu
from tests.pretended_memory import Stream, pool

__all__ = ["pretended_gpu"]


def test_all_arrays_of_a_turn_lie_in_its_arena(pretended_gpu: Any) -> None:
    cupy, arena = pretended_gpu.cupy, Arena()
    x = cupy.array(np.arange(4.0))
    expected = None
    for _ in range(3):
        before = pool.given
        with graphs.taken_from(arena):
            found = ((x + 1) * 2).copy()
        expected = found.tolist() if expected is None else expected
        assert found.tolist() == expected == [2.0, 4.0, 6.0, 8.0]
        del found
    assert (arena.missed, pool.given) == (0, before)
    assert (x + 1).tolist() == [1.0, 2.0, 3.0, 4.0]  # not from the arena
    assert pool.given == before + 1


def test_a_graph_does_what_was_written_down_on_what_is_there_now(pretended_gpu: Any) -> None:
    cupy, arena = pretended_gpu.cupy, Arena()
    x, total = cupy.array(np.arange(3.0)), cupy.array(np.zeros(3))

    def calls() -> Any:
        y = x * 2
        total[...] = total + y
        return y.sum()

    with graphs.taken_from(arena):
        calls()
    total[...] = 0.0
    with graphs.taken_from(arena):
        launch, result = graphs.capture(calls)
    assert (arena.missed, total.tolist()) == (0, [0.0] * 3)  # nothing was executed
    for _ in range(2):
        launch()
    assert (total.tolist(), result.tolist()) == ([0.0, 4.0, 8.0], 6.0)
    x[...] = 1.0
    launch()
    assert (total.tolist(), result.tolist()) == ([2.0, 6.0, 10.0], 6.0)


@pytest.mark.parametrize("name", ["asnumpy", "array", "dot"])
def test_what_a_graph_cannot_hold_raises_and_ends_the_capture(name: str, pretended_gpu: Any) -> None:
    cupy = pretended_gpu.cupy
    x = cupy.array(np.arange(3.0))
    forbidden = {"asnumpy": (x,), "array": (np.ones(1),), "dot": (x, x)}[name]
    with pytest.raises((RuntimeError, NotImplementedError), match="captur"):
        graphs.capture(lambda: getattr(cupy, name)(*forbidden))
    assert (x + 1).tolist() == [1.0, 2.0, 3.0]


def test_work_on_another_stream_waits_for_what_was_queued_on_the_last(pretended_gpu: Any) -> None:
    first = graphs.in_order(None)
    assert graphs.in_order(first) is first
    assert first.told == []
    with Stream() as second:
        assert graphs.in_order(first) is second
    assert (first.told, second.told) == (["record"], ["wait"])


def test_the_names_that_are_asked_for_are_cupys() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    for name in ("PythonFunctionAllocator", "using_allocator", "get_allocator", "alloc", "get_current_stream"):
        assert callable(getattr(cupy.cuda, name)), name
    for name in ("begin_capture", "end_capture", "record", "wait_event"):
        assert callable(getattr(cupy.cuda.Stream, name)), name
    assert callable(cupy.cuda.Graph.launch)
    assert callable(cupy.cuda.MemoryPointer.__int__)
    assert all(callable(getattr(cupy, name)) for name in ("concatenate", "expand_dims", "ascontiguousarray"))
