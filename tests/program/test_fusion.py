"""Lines taken together give what they give one by one, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tensorgrad.program.arguments import flattened, rebuilt
from tensorgrad.program.calls import Node, mapped
from tensorgrad.program.effects import nodes_of
from tensorgrad.program.fusion import OF_ONE_FUNCTION, Run, can_fuse, fused
from tensorgrad.program.lifetimes import needed
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording
from tests.cuda_on_cpu import on_cpu

__all__ = ["on_cpu"]
pytestmark = pytest.mark.skipif(default_device() == "strict", reason="programs are traced on ndarrays")


def recorded(step: Callable[..., Any], *args: Any) -> tuple[Recording, list[Node], list[Node]]:
    """(recording, lines, outputs) of a step, as a program for a GPU has them."""
    leaves, _ = flattened((args, {}))
    again: Callable[[list[Any]], Any] = lambda new: rebuilt((args, {}), new)  # noqa: E731
    recording = Recording(step, leaves, again, Reach({"step": step}), dry=True, whole_kernels=OF_ONE_FUNCTION)
    outputs = nodes_of(recording.template)
    for change in recording.changes:
        outputs += nodes_of(change.what)
    outputs = list(dict.fromkeys(outputs))
    return recording, needed(recording.trace.nodes, outputs), outputs


def started(recording: Recording) -> dict[Node, Any]:
    """The values that come from outside."""
    values = {node: np.array(recording.array_at(source)) for node, source in recording.inputs}
    for node, holder, key, part in recording.givens:
        number = holder.thing[key]
        values[node] = number if part is None else number[part]
    return values


def computed(recording: Recording, order: list[Any]) -> dict[Node, Any]:
    """The values of all lines that are not inside of a run."""
    values = started(recording)
    for each in order:
        if isinstance(each, Run):
            outs = [np.empty(node.shape, node.dtype) for node in each.gives]
            each.kernel().launch(
                [
                    np.ascontiguousarray(values[node], None if node.shape is not None else np.float64)
                    for node in each.takes
                ],
                outs,
            )
            values.update(zip(each.gives, outs, strict=True))
        elif each.kind == "constant":
            values[each] = each.value
        elif each.kind in ("call", "part", "number"):
            of = mapped((each.args, each.keywords), Node, values.__getitem__)
            values[each] = each.function(*of[0], **of[1])
    return values


def training() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))
    adam = tg.optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        adam.zero_grad()
        loss = tg.cross_entropy(model(x), y)
        loss.backward()
        adam.step()
        return loss

    rng = np.random.default_rng(0)
    args = tg.asarray(rng.normal(size=(6, 8)), dtype=tg.float32), tg.asarray(rng.integers(0, 8, 6))
    step(*args)
    return step, args


def second_order() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    def step(x: Any, w: Any) -> Any:
        x = x.detach().requires_grad_()
        (slope,) = tg.grad((tg.sin(x * w) * tg.where(x > 0, x, 0.5 * x)).sum(), [x], create_graph=True)
        return tg.grad((slope**2).sum(), [x])[0]

    rng = np.random.default_rng(1)
    return step, tuple(tg.asarray(rng.normal(size=shape), dtype=tg.float64) for shape in ((5, 7), (7,)))


def of_views() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    def step(x: Any) -> Any:
        y = x * 2 + 1
        z = tg.matrix_transpose(tg.exp(-y)) * y.sum(axis=1)
        return z[1:] / (1 + tg.reshape(x, (-1,))[:3] ** 2), tg.broadcast_to(x[:1], (3, 3)) - x, y.max()

    return step, (tg.asarray(np.random.default_rng(2).normal(size=(3, 3)), dtype=tg.float32),)


STEPS = [training, second_order, of_views]


@pytest.mark.parametrize("made", STEPS, ids=lambda made: made.__name__)
def test_runs_give_what_their_lines_give(made: Any, on_cpu: Any) -> None:
    step, args = made()
    recording, nodes, outputs = recorded(step, *args)
    order = fused(nodes, outputs)
    plain, found = computed(recording, nodes), computed(recording, order)
    assert any(isinstance(each, Run) for each in order)
    for node in outputs:
        tolerance = 1e-12 if node.dtype == np.float64 else 2e-5
        np.testing.assert_allclose(found[node], plain[node], rtol=tolerance, atol=tolerance)


def test_every_line_is_in_one_place_and_few_kernels_are_left() -> None:
    step, args = training()
    _, nodes, outputs = recorded(step, *args)
    order = fused(nodes, outputs)
    inside = [node.place for each in order if isinstance(each, Run) for node in each.nodes]
    assert len(inside) == len(set(inside))
    assert set(inside) == {node.place for node in nodes if can_fuse(node)}
    runs = [each for each in order if isinstance(each, Run)]
    assert len(inside) > 4 * len(runs)
    adam = max(runs, key=lambda run: len(run.gives))  # layers alike are updated by one kernel
    assert len(adam.gives) >= 6


def test_a_full_run_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorgrad.program.fusion.MOST_LINES", 4)
    _, nodes, outputs = recorded(lambda x: sum([tg.exp(x * k) for k in range(1, 9)]), tg.ones(3))
    runs = [each for each in fused(nodes, outputs) if isinstance(each, Run)]
    assert [len(run.nodes) for run in runs[:-1]] == [4] * (len(runs) - 1)
    assert len(runs) > 4
