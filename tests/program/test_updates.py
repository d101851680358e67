"""An optimizer's step in a program: the eager step's own blocks, in place where nobody could notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import optim
from tensorgrad.program import shadows, traced
from tensorgrad.program.updates import Update
from tests.program.test_writing import written

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")

SHAPES = [(300, 70), (5,), (3, 4), ()]
KINDS: dict[str, Callable[[Any], Any]] = {
    "adamw": lambda params: optim.AdamW(params, lr=0.1, amsgrad=True),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "lion": lambda params: optim.Lion(params, lr=0.1),
    "nadam": lambda params: optim.NAdam(params, lr=0.1),  # remembers a number of its own
}


def world(make: Callable[[Any], Any], f_order: bool = False) -> tuple[Any, list[Any], Any]:
    """A step, what it learns, and its optimizer."""
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.normal(size=shape), "float32") for shape in SHAPES]
    weights = [tg.Tensor(np.asfortranarray(each) if f_order else each, requires_grad=True) for each in arrays]
    optimizer = make(weights)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = sum([(weight * weight * x).sum() for weight in weights])
        loss.backward()
        optimizer.step()
        return loss

    return step, weights, optimizer


def updates_of(writer: Any) -> list[Any]:
    return [node for node in writer.nodes if isinstance(node.function, Update)]


@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("f_order", [False, True], ids=["C", "F"])
def test_steps_are_the_eager_ones(name: str, f_order: bool) -> None:
    (eager, expected, one), (step, found, two) = world(KINDS[name], f_order), world(KINDS[name], f_order)
    compiled = tg.compile(step)
    for call in range(6):
        x = tg.full((), 0.5 + call)
        if call == 4:  # a step of another kind between: what is remembered may lie elsewhere now
            compiled._step(x)
            eager(x)
            continue
        assert compiled(x).item() == pytest.approx(eager(x).item(), rel=1e-6)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
    states = two.state_dict()["state"], one.state_dict()["state"]
    for place, kept in states[1].items():
        for key, value in kept.items():
            np.testing.assert_allclose(np.asarray(states[0][place][key]), np.asarray(value), rtol=1e-4, atol=1e-5)
    assert compiled.replays >= 3


def test_a_step_is_one_line_and_in_place() -> None:
    step, weights, _ = world(KINDS["adamw"])
    step(tg.ones(()))
    writer, program = written(step, tg.ones(()))
    (update,) = updates_of(writer)
    assert len(writer.homes) == len(weights) * 4
    assert sum(".in_place(" in line for line in writer.lines) == 1
    assert callable(program)
    assert update.function.__name__ == "update"


def test_a_first_step_changes_the_moments_that_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    step, weights, _ = world(KINDS["adamw"])
    writer, _ = written(step, tg.ones(()))
    assert len(writer.homes) == len(weights) * 4
    assert sum(".in_place(" in line for line in writer.lines) == 1

    monkeypatch.setattr(traced, "LEAST", 8)  # so that the first step runs as a program
    monkeypatch.setattr(shadows, "LEAST", 8)
    monkeypatch.setattr(traced, "ENOUGH", 8)
    monkeypatch.setattr(Update, "__call__", None)  # no copies
    (eager, expected, one), (step, found, two) = world(KINDS["adamw"]), world(KINDS["adamw"])
    compiled = tg.compile(step)
    for call in range(3):
        x = tg.full((), 0.5 + call)
        assert compiled(x).item() == pytest.approx(eager(x).item(), rel=1e-6)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
    states = two.state_dict()["state"], one.state_dict()["state"]
    for place, kept in states[1].items():
        for key, value in kept.items():
            np.testing.assert_allclose(np.asarray(states[0][place][key]), np.asarray(value), rtol=1e-4, atol=1e-5)
    assert (compiled.traces, compiled.replays) == (2, 1)


def test_what_comes_before_a_check_is_put_aside() -> None:
    """A check that fails leaves everything as it was, so a step before it may not write."""
    weight = tg.asarray([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([weight], lr=0.5)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        (weight * x).sum().backward()
        optimizer.step()
        return weight.detach() * 2 if weight.sum() > 0 else weight.detach() * 3

    writer, _ = written(step, tg.asarray([0.5, 0.5]))
    assert len(updates_of(writer)) == 1
    assert not writer.homes
    compiled = tg.compile(step)
    before = weight.numpy().tolist()
    with tg.no_grad():
        weight[...] = tg.asarray(before)
    found = [compiled(tg.asarray([value, value])).tolist() for value in (0.5, 0.5, 8.0, 0.0)]
    twin = tg.asarray(before)
    expected = []
    for value in (0.5, 0.5, 8.0, 0.0):
        twin = twin - 0.5 * value
        expected.append((twin * (2 if twin.sum() > 0 else 3)).tolist())
    assert found == expected


def test_a_number_that_an_update_changes_is_noticed() -> None:
    class Counting(optim.Optimizer):
        elementwise = True

        def update(self, theta: Any, g: Any, state: dict[str, Any], *, lr: float, **_: Any) -> None:
            theta -= lr * g / state["step"]
            state["step"] += 1

    weight = tg.ones((3,), requires_grad=True)
    optimizer = Counting([weight], {"lr": 0.5})

    @tg.compile
    def step() -> None:
        weight.sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    with pytest.warns(tg.CompileWarning, match="changed a number that it remembers"):
        step()
    for _ in range(3):
        step()
    assert optimizer.state[weight]["step"] == 8
    assert step.replays == 0


def test_two_steps_of_one_optimizer_follow_each_other() -> None:
    def twice(make: Any) -> tuple[Any, list[Any]]:
        step, weights, _ = world(make)

        def both(x: Any) -> Any:
            step(x)
            return step(x)

        return both, weights

    (eager, expected), (both, found) = twice(KINDS["adamw"]), twice(KINDS["adamw"])
    compiled = tg.compile(both)
    for _ in range(4):
        compiled(tg.ones(()))
        eager(tg.ones(()))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-6)
    assert compiled.replays == 2


@pytest.mark.parametrize("looks", [False, True], ids=["nobody looks", "the step looks"])
def test_a_traced_step_is_made_in_place_where_nobody_looks_at_it(looks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    plain = Update.__call__

    def noted(self: Any, *args: Any) -> Any:
        called.append(args)
        return plain(self, *args)

    monkeypatch.setattr(Update, "__call__", noted)
    worlds = [world(KINDS["adamw"]) for _ in range(2)]
    steps = [lambda x, s=step, w=weights: (s(x), w[0].sum() if looks else w[0].ndim)[0] for step, weights, _ in worlds]
    arrays = [each.data for each in worlds[1][1]]
    compiled = tg.compile(steps[1])
    for _ in range(2):
        steps[0](tg.ones(()))
        compiled(tg.ones(()))
    assert (compiled.traces, compiled.replays) == (2, 0)
    assert len(called) == (2 if looks else 0)
    assert all(each.data is array for each, array in zip(worlds[1][1], arrays, strict=True))
    for mine, theirs in zip(worlds[1][1], worlds[0][1], strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
