"""Traced arrays do what ndarrays do, and write it down."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.traced import Trace, TracedArray


def traced(values: Any) -> TracedArray:
    return Trace().input(np.asarray(values, "float32"))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2.0 - x / 3 + x * x // 1 % 2,
        lambda x: (x @ x.T) ** 2 + x**0.5 + x**-1.0 + x**3,
        lambda x: np.exp(x) + np.add(np.ones(2, "float32"), x) + np.ones((2, 2), "float32") * x,
        lambda x: np.where(x > 1, x, 0).sum(axis=0) + x.max() - x.min(axis=1),
        lambda x: np.concatenate([x, -x]).reshape(-1)[1:].astype("float64"),
        lambda x: abs(-x) + (~(x > 2)).any(),
        lambda x: np.add.reduce(x, axis=1) + np.add.accumulate(x, axis=1)[0],
    ],
)
def test_values_are_those_of_numpy(function: Any) -> None:
    values = np.asarray([[1.0, 2.0], [3.0, 4.0]], "float32")
    found = function(traced(values))
    assert isinstance(found, TracedArray)
    expected = np.asarray(function(values))
    np.testing.assert_array_equal(found.value, expected)
    assert found.dtype == expected.dtype


def test_writes_change_the_array_and_not_what_it_was_made_of() -> None:
    values = np.asarray([1.0, 2.0], "float32")
    x = Trace().input(values)
    before = x.node
    x += 1
    x *= x
    x[0] = 7.0
    assert (x.value.tolist(), values.tolist(), x.version) == ([7.0, 9.0], [1.0, 2.0], 3)
    assert x.node is not before
    np.add(x, x, out=x)
    assert x.value.tolist() == [14.0, 18.0]


def test_a_view_is_refused_after_its_array_was_written_into_and_cannot_be_written_into() -> None:
    x = traced([1.0, 2.0])
    view = x.reshape(2, 1)
    with pytest.raises(UntraceableError, match="view"):
        view[0] = 3.0
    x += 1
    with pytest.raises(UntraceableError, match="view"):
        view + 1


@pytest.mark.parametrize(
    "look",
    [float, complex, lambda x: x.tolist(), lambda x: np.array(x), lambda x: f"{x.item():.2f}", lambda x: {x.item(): 1}],
)
def test_looking_at_a_value_is_refused_where_no_guard_could_hold(look: Any) -> None:
    with pytest.raises(UntraceableError):
        look(traced([1.5])[0])


def test_what_decides_becomes_a_guard() -> None:
    trace = Trace()
    x = trace.input(np.asarray([1.0, -1.0]))
    assert x[0] > 0
    assert not (x > 5).any()
    assert int(trace.input(np.asarray(3))) == 3
    assert [node.value for node in trace.nodes if node.kind == "guard"] == [True, False, 3]


def test_numbers_are_computed_with_and_compared() -> None:
    trace = Trace()
    t = trace.given(3)
    correction = (1 - 0.5**t) ** 0.5
    assert correction.value == (1 - 0.5**3) ** 0.5
    assert (math.floor(t / 2).value, round(t / 2, 1).value) == (1, 1.5)
    assert (correction * trace.input(np.ones(2))).value.tolist() == [correction.value] * 2
    assert t > 2
    assert trace.nodes[-1].kind == "guard"


def test_results_that_a_program_cannot_hold_are_refused() -> None:
    x = traced([1.0])
    with pytest.raises(UntraceableError, match="bool"):
        np.allclose(x, 1.0)
    with pytest.raises(UntraceableError, match="not traced"):
        np.add(x, 1, out=np.empty(1, "float32"))
    assert np.shape(x) == (1,)


def test_another_thread_is_told_that_a_step_is_being_traced() -> None:
    x = traced([1.0, 2.0])
    with ThreadPoolExecutor(1) as threads:
        for use in (lambda: x * 2, lambda: x.sum(), lambda: tg.exp(x)):
            with pytest.raises(RuntimeError, match=r"tg\.compile: .* another thread traced"):
                threads.submit(use).result()
    assert len(x.trace.nodes) == 1
