"""A maximum with zero after the windows' largest gives what it gives before it, and so do the gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.program.calls import Node
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording
from tensorgrad.program.writing import Writer

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


def ran(step: Any, *args: Any) -> tuple[list[Node], list[Any], list[Any]]:
    """The lines of a step's program, what it gives, and what the step gave while it was recorded."""
    recording = Recording(step, list(args), lambda leaves: (tuple(leaves), {}), Reach({"step": step}))
    writer = Writer(recording, block=3)
    expected = [recording.values[node] for node in writer.outputs]
    found = writer.function()(*[np.array(recording.array_at(source)) for _, source in recording.inputs])
    return writer.nodes, list(found), expected


def maxima(nodes: list[Node]) -> list[Any]:
    return [node.shape for node in nodes if node.function is np.maximum]


def leaf(*shape: int) -> Any:
    return tg.asarray(np.random.default_rng(0).normal(size=shape).astype("float32"), requires_grad=True)


def both(x: Any, **geometry: Any) -> Any:
    found = tg.max_pool2d(tg.relu(x), **geometry)
    return found.detach(), tg.grad((found * found).sum(), [x])


@given(
    st.lists(st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]), min_size=200, max_size=200),
    st.sampled_from([(2, 2), (3, 1), (2, 1), (2, 3)]),
)
def test_ties_and_zeros_have_the_same_gradients(values: list[float], geometry: tuple[int, int]) -> None:
    x = tg.asarray(np.asarray(values, "float32").reshape(4, 2, 5, 5), requires_grad=True)
    nodes, found, expected = ran(lambda: both(x, kernel_size=geometry[0], stride=geometry[1]))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert all(shape != x.shape for shape in maxima(nodes))


def test_without_a_gradient_the_pooling_comes_first_too() -> None:
    x = tg.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype("float32"))
    nodes, (found,), (expected,) = ran(lambda x: tg.max_pool2d(tg.relu(x), 2), x)
    np.testing.assert_array_equal(found, expected)
    assert maxima(nodes)[-1] == (2, 3, 2, 2)
    assert x.shape not in maxima(nodes)


def test_what_others_look_at_stays() -> None:
    x = leaf(2, 3, 4, 4)

    def seen() -> Any:
        y = tg.relu(x.detach())
        return tg.max_pool2d(y, 2), y.sum()

    def seen_back() -> Any:
        y = tg.relu(x)
        return tg.grad(tg.max_pool2d(y, 2).sum() + (y * y).sum(), [x])

    def of_one() -> Any:
        return tg.max_pool2d(tg.maximum(x.detach(), tg.asarray(1.0)), 2)

    def smallest() -> Any:
        return tg.min_pool2d(tg.relu(x.detach()), 2)

    for step in (seen, seen_back, of_one, smallest):
        nodes, found, expected = ran(step)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
        assert x.shape in [node.shape for node in nodes if node.function is np.maximum]


def test_the_gradient_of_a_gradient_is_the_same() -> None:
    x = leaf(3, 2, 4, 4)

    def step() -> Any:
        (first,) = tg.grad((tg.max_pool2d(tg.relu(x), 2) ** 3).sum(), [x], create_graph=True)
        return first, tg.grad((first * first).sum(), [x])

    _, found, expected = ran(step)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
