"""How a program on a GPU is replayed: in memory that stays, as one graph, and what it says where there is none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tensorgrad.backend.cuda import graphs as asked_of_cupy
from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.models.gpt import GPT
from tensorgrad.program import on_gpu as program_on_gpu
from tests.cuda_on_cpu import cublas_on_cpu, on_cpu
from tests.pretended_gpu import pretended_gpu, with_kernels
from tests.pretended_memory import Stream, graphs, pool

__all__ = ["cublas_on_cpu", "on_cpu", "pretended_gpu", "with_kernels"]
pytestmark = [
    pytest.mark.skipif(default_device() == "strict", reason="programs are traced on ndarrays"),
    pytest.mark.usefixtures("with_kernels"),
]


def mlp() -> tuple[Any, Any, Any]:
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.25), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3))
    rng = np.random.default_rng(0)
    x, y = tg.asarray(rng.normal(size=(4, 6)), dtype=tg.float32), tg.asarray([0, 1, 2, 0])
    return model, (x, y), lambda x, y: tg.cross_entropy(model(x), y)


def cnn() -> tuple[Any, Any, Any]:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.GroupNorm(2, 4),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5),
    )
    rng = np.random.default_rng(0)
    x, y = tg.asarray(rng.normal(size=(3, 1, 8, 8)), dtype=tg.float32), tg.asarray([0, 4, 2])
    return model, (x, y), lambda x, y: tg.cross_entropy(model(x), y)


def gpt() -> tuple[Any, Any, Any]:
    model = GPT(7, 5, 8, 2, 2, tg.random.Generator(0, device="cpu"))
    tokens = np.random.default_rng(0).integers(0, 7, (2, 6))
    x, y = tg.asarray(tokens[:, :-1].copy()), tg.asarray(tokens[:, 1:].copy())
    return model, (x, y), lambda x, y: tg.cross_entropy(model(x).reshape((-1, 7)), y.reshape((-1,)))


@pytest.mark.parametrize("make", [mlp, cnn, gpt])
def test_replays_allocate_nothing_and_are_one_launch(make: Callable[..., Any]) -> None:
    """And their losses are those of the CPU: what memory two values share they share one after the other."""

    def losses(device: str) -> tuple[list[float], Any]:
        tg.manual_seed(0)
        model, batch, loss_of = make()
        model.to(device)
        batch = tuple([each.to(device) for each in batch])
        optimizer = tg.optim.AdamW(model.parameters(), lr=0.01)

        def step(*batch: Any) -> Any:
            optimizer.zero_grad()
            loss = loss_of(*batch)
            loss.backward()
            tg.optim.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss

        found, given = [], []
        step = step if device == "cpu" else tg.compile(step)
        for _ in range(8):
            found.append(step(*batch).item())
            given.append(pool.given)
        return found, (step, np.diff(given))

    expected, _ = losses("cpu")
    found, (compiled, given) = losses("cuda")
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (compiled.reason, compiled.not_captured, compiled.allocations) == (None, None, 0)
    assert [each.launches for each in graphs] == [5]
    assert given[-2:].tolist() == [0, 0]


def on_gpu(values: Any, dtype: str = "float32") -> Any:
    return tg.asarray(values, dtype=dtype, device="cpu").to("cuda")


def test_a_function_that_a_graph_cannot_hold_leaves_the_rest_as_it_is() -> None:
    compiled = tg.compile(lambda x: tg.linalg.inv(tg.exp(x)) @ x)
    x = np.random.default_rng(0).normal(size=(3, 3))
    expected = np.linalg.inv(np.exp(x)) @ x
    for call in range(5):
        if call == 2:
            with pytest.warns(
                RuntimeWarning, match="no CUDA graph could be captured, at inv: NotImplementedError: cal"
            ):
                found = compiled(on_gpu(x, "float64"))
        else:
            found = compiled(on_gpu(x, "float64"))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    assert (compiled.reason, compiled.allocations) == (None, 0)
    assert compiled.not_captured.startswith("at inv: NotImplementedError: calling cuBLAS API during stream capture")


def test_a_value_that_is_looked_at_and_a_number_that_a_call_takes_are_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = tg.compile(lambda x: x * 2 if x.sum() > 0 else x - 1)
    for value in (1.0, 2.0, 3.0, -1.0, 4.0):
        assert looked(on_gpu([value])).item() == (value * 2 if value > 0 else value - 1)
    assert looked.not_captured == "the host waits for a value that it looks at in the middle of the step"
    monkeypatch.setattr(program_on_gpu, "fused", lambda nodes, outputs: nodes)  # as if no kernel took them
    numbered, weight = descent()
    for rate in (0.5, 0.25, 2.0, 4.0):
        expected = weight.numpy() - rate
        numbered(rate)
        assert weight.tolist() == expected.tolist()
    assert (numbered.step.reason, numbered.step.traces, numbered.step.allocations) == (None, 2, 0)
    assert "takes a number that is read at each call, and a graph would hold on to it" in numbered.step.not_captured


def descent() -> tuple[Any, Any]:
    """A compiled step of SGD at a rate, which `step` holds, and the weight that it changes."""
    weight = on_gpu([1.0, 2.0]).requires_grad_()
    optimizer = tg.optim.SGD([weight], lr=0.1)
    weight.grad = on_gpu([1.0, 1.0])
    compiled = tg.compile(lambda: optimizer.step())

    def call(rate: float) -> None:
        optimizer.param_groups[0]["lr"] = rate
        compiled()

    call.step = compiled  # type: ignore[attr-defined]
    return call, weight


def test_numbers_reach_a_graph_anew_at_each_launch() -> None:
    call, weight = descent()
    for rate in (0.5, 0.25, 2.0, 4.0, 8.0):
        expected = weight.numpy() - rate
        call(rate)
        assert weight.tolist() == expected.tolist()
    assert (call.step.traces, call.step.not_captured, [each.launches for each in graphs]) == (2, None, [2])


def test_what_is_drawn_reaches_a_graph() -> None:
    here, there = tg.random.Generator(3, device="cpu"), tg.random.Generator(3, device="cpu")
    compiled = tg.compile(lambda x: tg.dropout(x, 0.5, True, generator=here) * 3)
    for _ in range(6):
        expected = tg.dropout(tg.ones(9, device="cpu"), 0.5, True, generator=there) * 3
        assert compiled(on_gpu([1.0] * 9)).tolist() == expected.tolist()
    assert (compiled.not_captured, compiled.allocations, len(graphs)) == (None, 0, 1)


def test_a_parameter_that_lies_elsewhere_has_a_graph_of_its_own() -> None:
    weight = on_gpu([1.0, 2.0]).requires_grad_()
    held = []  # so that no two lie at one address

    def step(x: Any) -> Any:
        return (weight * x).sum().detach()

    compiled = tg.compile(step)
    for call in range(14):
        if call in (5, 7, 9):
            held.append(weight.data)
            weight.data = on_gpu([float(call), 1.0]).data
        expected = weight.tolist()[0] + weight.tolist()[1] * 2
        assert compiled(on_gpu([1.0, 2.0])).item() == expected
    # The first time it is captured anew, the second time, after two calls, with a copy of it, which lies still.
    assert (compiled.not_captured, [each.launches for each in graphs]) == (None, [3, 2, 5])


def test_a_replay_that_fails_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = tg.compile(lambda x: tg.exp(x).sum())
    run, failing = cuda_launch.compiled, [False]

    def perhaps(*given: Any) -> Any:
        if failing[0]:
            raise RuntimeError("a launch failed")
        return run(*given)

    monkeypatch.setattr(cuda_launch, "compiled", perhaps)
    for call in range(7):
        failing[0] = call == 1
        with pytest.warns(tg.CompileWarning, match="a launch failed") if failing[0] else nullcontext():
            assert compiled(on_gpu([0.0, 0.0])).item() == 2.0
    assert (compiled.reason, compiled.not_captured, compiled.allocations) == (None, None, 0)


def test_an_index_out_of_bounds_is_told_by_replays_and_graphs_too() -> None:
    table = on_gpu(np.arange(6.0).reshape(3, 2)).requires_grad_()
    compiled = tg.compile(lambda rows: tg.embedding(rows, table).sum().detach())
    for call in range(5):
        assert compiled(on_gpu([0, 2], "int64")).item() == 10.0
        with pytest.raises(IndexError, match=f"index {call + 3} is out of bounds for an axis with size 3"):
            compiled(on_gpu([0, call + 3], "int64")).item()
    assert (compiled.reason, compiled.traces, compiled.not_captured) == (None, 1, None)


def test_labels_that_are_ignored_may_be_others_in_each_call() -> None:
    """The program of a GPU does not look at them, so it fits all."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, 3))
    compiled = tg.compile(lambda x, y: tg.cross_entropy(x, y))
    for labels in ([0, 1, 2, 0], [-100, 1, 2, -100], [0, 0, -100, 1], [1, 2, 0, 0]):
        expected = tg.cross_entropy(tg.asarray(scores, device="cpu"), tg.asarray(labels, device="cpu")).item()
        assert compiled(on_gpu(scores, "float64"), on_gpu(labels, "int64")).item() == pytest.approx(expected)
    assert (compiled.traces, compiled.not_captured) == (1, None)


def test_without_a_way_to_cublas_there_is_memory_that_stays_and_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_of_cupy, "handle", lambda: (None, "cuBLAS is not there"))
    compiled = tg.compile(lambda x: (x @ x).sum())
    for _ in range(4):
        assert compiled(on_gpu(np.eye(3))).item() == 3.0
    assert (compiled.not_captured, compiled.allocations, graphs) == ("cuBLAS is not there", 0, [])


def test_a_call_on_another_stream_waits_for_the_last() -> None:
    compiled = tg.compile(lambda x: tg.exp(x))
    x = on_gpu([0.0])
    for _ in range(3):
        assert compiled(x).tolist() == [1.0]
    with Stream() as stream:
        assert compiled(x).tolist() == [1.0]
    assert stream.told == ["wait"]
