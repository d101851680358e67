"""NumPy's functions over traced arrays."""

from __future__ import annotations

import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tensorgrad.backend import NUMPY, library_among
from tensorgrad.primitive import registry
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.namespace import LIBRARY, add_kernels, kernels_whole, namespace
from tensorgrad.program.traced import Trace, tracing


def under_trace(function: Any) -> Any:
    trace = Trace()
    token = tracing.set(trace)
    try:
        return function(trace), trace
    finally:
        tracing.reset(token)


@pytest.mark.parametrize(
    ("name", "args", "keywords"),
    [
        ("sum", (), {"axis": 1}),
        ("sum", (), {}),
        ("mean", (), {"axis": 0, "keepdims": True}),
        ("prod", (), {"axis": (0, 1)}),
        ("max", (), {"axis": -1}),
        ("all", (), {}),
        ("astype", ("float64",), {}),
        ("exp", (), {}),
        ("expand_dims", (), {"axis": 0}),
        ("cumulative_sum", (), {"axis": 1}),
    ],
)
def test_values_are_those_of_the_library(name: str, args: Any, keywords: Any) -> None:
    for values in (np.arange(6, dtype="float32").reshape(2, 3), np.arange(6, dtype="int8").reshape(2, 3)):
        found, _ = under_trace(lambda trace: getattr(namespace, name)(trace.input(values), *args, **keywords))  # noqa: B023
        expected = np.asarray(getattr(NUMPY.namespace, name)(values, *args, **keywords))
        np.testing.assert_allclose(found.value, expected)
        assert found.dtype == expected.dtype


def test_what_rests_on_no_input_is_a_constant() -> None:
    _, trace = under_trace(lambda trace: namespace.ones((2, 2), dtype="float32") * 3 + namespace.zeros((2,)))
    assert {node.kind for node in trace.nodes} == {"constant"}


def correlated(trace: Trace) -> Any:
    add_kernels()
    op = next(each for each in registry.values() if each.name == "correlate_windows")
    x, weight = np.ones((1, 1, 3, 3), "float32"), np.ones((1, 1, 2, 2), "float32")
    geometry = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    return op.kernels[LIBRARY.name](namespace, trace.input(x), trace.input(weight), *geometry)


def test_a_kernel_of_numpys_own_stays_one_call() -> None:
    found, trace = under_trace(correlated)
    assert found.shape == (1, 1, 2, 2)
    assert [node.kind for node in trace.nodes] == ["input", "input", "call"]
    assert trace.nodes[-1].op is registry["tensorgrad.ops.convolution.correlate_windows"]


def taken(trace: Trace, key: Any) -> Any:
    op = registry["tensorgrad.ops.indexing.getitem"]
    add_kernels()
    return op.kernels[LIBRARY.name](namespace, trace.input(np.arange(12.0).reshape(4, 3)), key)


@pytest.mark.parametrize(("large", "name"), [(6, "_whole.<locals>.kernel"), (7, "getitem")])
def test_many_rows_of_a_table_are_taken_by_the_kernel(large: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorgrad.program.namespace.LARGE", large)
    found, trace = under_trace(lambda trace: taken(trace, (trace.input(np.array([3, -4])),)))
    assert found.value.tolist() == [[9.0, 10.0, 11.0], [0.0, 1.0, 2.0]]
    assert trace.nodes[-1].function.__qualname__ == name


@pytest.mark.parametrize("key", [(slice(2),), (np.ones(4, bool),), (np.array([3, 1]), np.array([0, 1]))])
def test_what_is_no_list_of_rows_is_taken_as_numpy_does(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorgrad.program.namespace.LARGE", 1)
    _, trace = under_trace(lambda trace: taken(trace, key))
    assert [node.function for node in trace.nodes if node.kind == "call"] == [operator.getitem]


def test_a_thread_that_wants_kernels_in_parts_takes_them_from_no_other() -> None:
    def in_parts() -> list[Any]:
        kernels_whole.set(False)  # of this thread's context
        return under_trace(correlated)[1].nodes

    with ThreadPoolExecutor(1) as threads:
        parts = threads.submit(in_parts).result()
    assert len(parts) > 3
    assert len(under_trace(correlated)[1].nodes) == 3


def test_shapes_that_rest_on_values_are_refused() -> None:
    with pytest.raises(UntraceableError, match="nonzero"):
        under_trace(lambda trace: namespace.nonzero(trace.input(np.ones(2))))


def test_traced_arrays_and_ndarrays_may_meet() -> None:
    traced, _ = under_trace(lambda trace: trace.input(np.ones(2)))
    assert library_among([np.ones(2), traced]) is LIBRARY
    assert library_among([traced, np.ones(2), 1.0]) is LIBRARY
    assert namespace.result_type(traced, np.dtype("float32")) == np.dtype("float64")
