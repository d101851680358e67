"""Lines that are said in another way give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.primitive import registry
from tensorgrad.program.calls import Node, mapped
from tensorgrad.program.rewriting import rewritten
from tensorgrad.program.traced import Trace, TracedArray

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")

X = np.random.default_rng(0).standard_normal((5, 2, 3, 4))


def add_at(trace: Trace, values: Any, key: Any, shape: Any) -> Any:
    op = next(each for name, each in registry.items() if name.endswith(".add_at"))

    def kernel(values: Any, key: Any, shape: Any) -> Any:
        total = np.zeros(shape)
        np.add.at(total, key, values)
        return total

    return trace.call(kernel, (values, key, shape), op=op)


def ran(nodes: list[Node], given: Any) -> dict[int, Any]:
    """The values of lines, each computed from those before it."""
    values: dict[int, Any] = {}
    for node in nodes:
        if node.kind == "input":
            values[node.place] = given
        else:
            args = mapped(node.args, Node, lambda each: values[each.place])
            values[node.place] = node.function(*args, **mapped(node.keywords, Node, lambda each: values[each.place]))  # type: ignore[misc]
        assert values[node.place].shape == node.shape
    return values


def checked(step: Any) -> list[Any]:
    """The functions of the lines that a step needs when they are rewritten; what it gives is compared."""
    trace = Trace()
    traced = trace.input(X)
    result = step(trace, traced)
    assert isinstance(result, TracedArray)
    nodes = rewritten(trace.nodes)
    assert len({node.place for node in nodes}) == len(nodes)
    np.testing.assert_array_equal(ran(nodes, X)[result.node.place], result.value)
    alive, found = {result.node.place}, []
    for node in reversed(nodes):
        if node.place in alive:
            alive |= {taken.place for taken in node.takes()}
            found.append(node)
    return [node.function for node in reversed(found) if node.kind == "call"]


@pytest.mark.parametrize("key", [0, (1,), -1])
def test_a_part_is_taken_before_it_is_transposed(key: Any) -> None:
    functions = checked(lambda trace, x: x.transpose(1, 3, 0, 2)[key])
    assert [each.__name__ for each in functions] == ["getitem", "transpose"]


def test_other_parts_stay_as_they_are() -> None:
    for key in (slice(1), (0, 1), Ellipsis):
        functions = checked(lambda trace, x, key=key: x.transpose(1, 3, 0, 2)[key])
        assert [each.__name__ for each in functions] == ["transpose", "getitem"]
    assert [each.__name__ for each in checked(lambda trace, x: x.transpose(0, 2, 1, 3)[1])] == ["transpose", "getitem"]
    assert [each.__name__ for each in checked(lambda trace, x: x.T[1])] == ["transpose", "getitem"]


def parts_summed(trace: Trace, x: Any, places: Any, axes: Any = None) -> Any:
    total = None
    for number, place in enumerate(places):
        part = add_at(trace, trace.call(np.multiply, (x, number + 1.0)), (place,), (len(places), *x.shape))
        total = part if total is None else total + part
    return total if axes is None else total.transpose(*axes)


def test_parts_that_make_up_an_array_are_stacked() -> None:
    functions = checked(lambda trace, x: parts_summed(trace, x, (2, 0, -2)))
    assert functions == [np.multiply] * 3 + [np.stack]
    functions = checked(lambda trace, x: parts_summed(trace, x, (1, 2, 0), (1, 3, 0, 4, 2)))
    assert functions.count(np.stack) == 1
    assert functions[-1] is np.stack
    functions = checked(lambda trace, x: parts_summed(trace, x, (1, 2, 0), (0, 3, 1, 4, 2)))
    assert functions[-2:] == [np.stack, np.transpose]


def test_parts_that_do_not_are_summed() -> None:
    assert np.stack not in checked(lambda trace, x: parts_summed(trace, x, (2, 0, 2)))

    def looked_at(trace: Trace, x: Any) -> Any:
        first = add_at(trace, x, (0,), (2, *x.shape))
        return (first + add_at(trace, x, (1,), (2, *x.shape))) * first

    assert np.stack not in checked(looked_at)
    assert np.stack not in checked(lambda trace, x: add_at(trace, x, (0,), (2, *x.shape)) + 1.0)


def test_an_array_without_axes_and_what_is_stacked_along_another_axis_stay_as_they_are() -> None:
    assert checked(lambda trace, x: trace.call(np.transpose, (x.sum(), ())))[-1] is np.transpose

    def along_the_last(trace: Trace, x: Any) -> Any:
        return trace.call(np.stack, ([x, trace.call(np.negative, (x,))],), {"axis": -1}).transpose(1, 0, 3, 2, 4)

    assert checked(along_the_last)[-2:] == [np.stack, np.transpose]
