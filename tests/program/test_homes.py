"""What is written straight where it is meant to go, and what must not be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.program.homes import checks_first
from tensorgrad.program.traced import Trace
from tests.program.test_writing import written

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


def test_checks_of_settings_come_first_and_those_of_arrays_stay() -> None:
    trace = Trace()
    x, rate = trace.input(np.ones(3)), trace.given(0.5)
    assert (x > 0).all()
    y = x + 1
    assert rate != 1
    assert 1 / rate > 1  # a division by zero, where the check above fails, is another way not to fit
    nodes = checks_first(trace.nodes)
    assert sorted(node.place for node in nodes) == list(range(len(trace.nodes)))
    kinds = [node.kind for node in nodes]
    assert kinds[:6] == ["given", "number", "guard", "number", "number", "guard"]
    guards = [place for place, kind in enumerate(kinds) if kind == "guard"]
    assert len(guards) == 3
    assert guards[1] < nodes.index(x.node) < guards[2] < nodes.index(y.node)


def adam(shape: tuple[int, int]) -> tuple[Any, list[Any]]:
    """A step of Adam, and its two matrices."""
    weights = [tg.asarray(np.full(shape, value, "float32"), requires_grad=True) for value in (1.0, 2.0)]
    optimizer = tg.optim.Adam(weights, lr=0.1)

    def step(x: Any) -> None:
        optimizer.zero_grad()
        (weights[0] * x * weights[1]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, weights


@pytest.mark.parametrize("shape", [(3, 4), (1024, 512)], ids=["small", "in a loop"])
def test_parameters_and_moments_are_updated_in_place(shape: tuple[int, int]) -> None:
    step, _ = adam(shape)
    x = tg.ones(shape)
    step(x)  # makes the moments
    writer, _ = written(step, x)
    assert len(writer.homes) == 6
    assert any(segment.loop is not None for segment in writer.segments) == (shape[0] > 3)

    (eager, expected), (step, found) = adam(shape), adam(shape)
    compiled = tg.compile(step)
    for _ in range(4):
        eager(x)
        compiled(x)
    assert compiled.replays == 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)


def test_what_a_later_loop_reads_is_not_written_over() -> None:
    """Its line stands before the write, and runs after it: a sum over all rows has to be there first."""

    def made() -> Any:
        state = tg.asarray(np.ones((1024, 512), "float32"), requires_grad=True)

        def step(x: Any) -> Any:
            with tg.no_grad():
                total = (state * x).sum(axis=0)
                scaled = state * total
                state.__imul__(x)
                return scaled.sum()

        return step

    eager, compiled = made(), tg.compile(made())
    x = tg.full((1024, 512), 0.5)
    for _ in range(4):
        assert compiled(x).item() == pytest.approx(eager(x).item(), rel=1e-5)
    assert compiled.replays > 1
