"""A run on traced arrays leaves what an eager one leaves, or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording, alike, overlapping

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")


def record(step: Any, *args: Any) -> Recording:
    return Recording(step, list(args), lambda leaves: (tuple(leaves), {}), Reach({"step": step}))


def test_a_run_is_all_that_the_step_does() -> None:
    weight = tg.asarray([1.0, 2.0], requires_grad=True)
    optimizer = tg.optim.SGD([weight], lr=0.5)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (weight * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    array = weight.data
    recording = record(step, tg.asarray([1.0, 1.0]))
    assert recording.result.item() == 3.0
    assert weight.data is array
    assert (weight.tolist(), weight.grad.tolist(), optimizer.steps) == ([0.5, 1.5], [1.0, 1.0], 1)
    assert {change.kind for change in recording.changes} == {"write", "entry"}
    assert recording.once is None


def test_a_run_that_fails_changes_nothing() -> None:
    weight, rng, log = tg.asarray([1.0, 2.0], requires_grad=True), tg.random.Generator(0), []

    def step() -> Any:
        log.append(rng.normal())
        with tg.no_grad():
            weight[0] = 5.0
        weight.requires_grad_(False)
        return float(weight[0])

    before = rng.get_state()
    with pytest.raises(UntraceableError, match="float"):
        record(step)
    assert (weight.tolist(), weight.requires_grad, log, rng.get_state()) == ([1.0, 2.0], True, [], before)
    assert isinstance(weight.data, np.ndarray)


def test_arrays_that_share_memory_may_be_read_and_not_written() -> None:
    whole = np.arange(4.0)
    x, y = tg.Tensor(whole[:2]), tg.Tensor(whole[1:3])

    def writes() -> Any:
        nonlocal_x = x
        nonlocal_x += y
        return nonlocal_x

    def reads() -> Any:
        return x + y

    assert record(reads).result.tolist() == [1.0, 3.0]
    held = tg.asarray(whole, requires_grad=True)
    held.data = whole

    def steps() -> Any:
        with tg.no_grad():
            held[0] = 9.0
        return x + y

    with pytest.raises(UntraceableError, match="share"):
        record(steps)


def test_a_python_number_that_changes_is_told() -> None:
    counts = {"calls": 0}

    def step(x: Any) -> Any:
        counts["calls"] += 1
        return x * counts["calls"]

    recording = record(step, tg.ones(1))
    assert "calls" in str(recording.once)
    assert counts == {"calls": 1}


def test_arrays_beside_each_other_in_one_memory_do_not_overlap() -> None:
    whole = np.zeros(10)
    parts = [whole[:3], whole[3:6], whole[5:7], whole[8:], np.zeros(3)]
    assert overlapping(parts) == {id(parts[1]), id(parts[2])}
    assert overlapping([*parts, whole]) == {id(each) for each in [*parts[:4], whole]}


def test_alike() -> None:
    x, y = tg.ones(1), tg.ones(1)
    assert alike([x, y], [y], []) != alike([x, x], [y], [])
    assert alike([x, y], [], []) == alike([y, x], [], [])
    assert alike([x.data], [x], []) != alike([y.data], [x], [])
    assert alike([], [x, x.detach()], []) != alike([], [x, y], [])
    assert alike([], [x], [x.data]) == alike([], [y], [y.data])
