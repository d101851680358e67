"""Programs whose arrays lie on a GPU, here on a pretended one, with our kernels compiled for the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tensorgrad.primitive import registry
from tests.cuda_on_cpu import cublas_on_cpu, on_cpu
from tests.pretended_gpu import called, pretended_gpu, with_kernels
from tests.pretended_memory import graphs

__all__ = ["cublas_on_cpu", "on_cpu", "pretended_gpu", "with_kernels"]
pytestmark = pytest.mark.skipif(default_device() == "strict", reason="programs are traced on ndarrays")


def moved(tensor: Any) -> Any:
    tensor.data = tensor.detach().to("cuda").data
    return tensor


def training(optimizer: Callable[..., Any], on_card: bool) -> tuple[Any, Callable[..., Any], list[Any]]:
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5), nn.GELU(), nn.Linear(5, 5))
    rng = np.random.default_rng(0)
    batches = [tg.asarray(rng.normal(size=(4, 5)), dtype=tg.float32) for _ in range(4)]
    if on_card:
        for each in (*model.parameters(), *batches):
            moved(each)
    chosen = optimizer(model.parameters())

    def step(x: Any, y: Any) -> Any:
        chosen.zero_grad()
        loss = tg.mse_loss(model(x), y)
        loss.backward()
        chosen.step()
        return loss

    return model, step, batches


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_training_on_a_gpu_is_the_eager_one(name: str, with_kernels: list[str]) -> None:
    options = {"lr": 0.05, "momentum": 0.9} if name == "SGD" else {"lr": 0.05}
    make = lambda parameters: getattr(tg.optim, name)(parameters, **options)  # noqa: E731
    model, step, batches = training(make, False)
    places = [0, 1, 2, 3, 0, 1, 2]
    expected = [float(step(batches[place], batches[place - 1]).item()) for place in places]
    twin, other, there = training(make, True)
    compiled = tg.compile(other)
    found = [compiled(there[place], there[place - 1]) for place in places]
    assert (compiled.reason, compiled.traces, compiled.replays) == (None, 2, 5)
    assert all(each.device == "cuda:0" for each in (*found, *twin.parameters()))
    np.testing.assert_allclose([each.item() for each in found], expected, rtol=1e-4)
    for one, two in zip(twin.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-3, atol=1e-5)
    assert "matmul" not in called  # cuBLAS is asked by us
    assert "multiply" not in called  # elementwise functions are kernels
    assert (compiled.not_captured, compiled.allocations) == (None, 0)
    assert [each.launches for each in graphs] == [4]


def test_kernels_that_a_gpu_has_are_called_whole(with_kernels: list[str]) -> None:
    def step(x: Any, weight: Any, labels: Any) -> Any:
        x = x.detach().requires_grad_()
        y = tg.layer_norm(tg.max_pool2d(x[None], 2)[0].sum(axis=0), (4,), weight)
        return tg.grad(tg.cross_entropy(y, labels), [x])[0]

    rng = np.random.default_rng(1)
    x, weight = (tg.asarray(rng.normal(size=shape), dtype=tg.float32) for shape in ((2, 6, 8), (4,)))
    labels = tg.asarray([0, 3, 1])
    expected = step(x, weight, labels).numpy()
    compiled = tg.compile(step)
    for name in ("layer_norm_rows", "softmax_cross_entropy", "max_windows"):
        op = registry[next(each for each in registry if each.endswith(f".{name}"))]
        assert "cupy" in op.kernels, name
    for _ in range(2):
        found = compiled(*[moved(each.detach()) for each in (x, weight, labels)])
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)
    assert (compiled.reason, compiled.replays) == (None, 1)
    assert "exp" not in called


def test_two_tensors_may_change_places(with_kernels: list[str]) -> None:
    one, two = (moved(tg.asarray([value, value], requires_grad=True)) for value in (1.0, 2.0))

    def swap() -> None:
        with tg.no_grad():
            before = one + 0.0
            one[...] = two
            two[...] = before

    def swap_the_other_first() -> None:
        with tg.no_grad():
            before = two + 0.0
            two[...] = one
            one[...] = before

    for step in (swap, swap_the_other_first):
        compiled = tg.compile(step)
        expected = [one.numpy().copy(), two.numpy().copy()]
        for _ in range(3):
            compiled()
            expected.reverse()
            np.testing.assert_array_equal([one.numpy(), two.numpy()], expected)
        assert compiled.replays == 2


def test_a_result_is_not_written_over_by_the_next_call(with_kernels: list[str]) -> None:
    compiled = tg.compile(lambda x: tg.exp(x) + 1)
    first = compiled(moved(tg.zeros(3)))
    second = compiled(moved(tg.ones(3)))
    assert compiled.replays == 1
    np.testing.assert_allclose(first.numpy(), np.full(3, 2.0))
    np.testing.assert_allclose(second.numpy(), np.full(3, np.e + 1), rtol=1e-6)


def test_a_program_of_the_host_is_none_of_the_card(with_kernels: list[str]) -> None:
    compiled = tg.compile(lambda x: (x * 2).sum())
    assert type(compiled(tg.ones(3)).data) is np.ndarray
    assert compiled(moved(tg.ones(3))).device == "cuda:0"
    assert compiled.traces == 2


def test_what_cannot_run_there_runs_eagerly_and_says_why(with_kernels: list[str]) -> None:
    here, beyond = tg.ones(3), moved(tg.ones(3))

    def mixed(x: Any) -> Any:
        return x * 2, here * 2

    with pytest.warns(tg.CompileWarning, match="it sees arrays on cpu and cuda:0"):
        tg.compile(mixed)(beyond)


def test_what_is_drawn_is_drawn_anew_in_each_call(with_kernels: list[str]) -> None:
    generator, twin = tg.random.Generator(3), tg.random.Generator(3)
    compiled = tg.compile(lambda x: tg.dropout(x, 0.5, True, generator=generator) + 0.0)
    for _ in range(3):
        found = compiled(moved(tg.ones(20)))
        np.testing.assert_array_equal(found.numpy(), tg.dropout(tg.ones(20), 0.5, True, generator=twin).numpy())
    assert compiled.replays == 2


def test_batches_of_products_and_what_selects(with_kernels: list[str]) -> None:
    def step(x: Any, labels: Any) -> Any:
        scores = x @ tg.matrix_transpose(x)
        return tg.concat([scores[0], tg.take(scores[1], labels, axis=0)], axis=0).max(axis=1), tg.linalg.det(scores)

    rng = np.random.default_rng(0)
    x, labels = tg.asarray(rng.normal(size=(2, 3, 4)), dtype=tg.float64), tg.asarray([2, 0])
    expected = [each.numpy() for each in step(x, labels)]
    compiled = tg.compile(step)
    for _ in range(2):
        found = compiled(moved(x.detach()), moved(labels.detach()))
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_allclose(one.numpy(), two, rtol=1e-9)
    assert (compiled.reason, compiled.replays) == (None, 1)


def test_functions_that_the_library_spells_otherwise_are_part_of_a_program(with_kernels: list[str]) -> None:
    x = tg.asarray([[3.0, 0.0, 2.0], [0.0, 0.0, 1.0]], device="cuda")
    for step, expected in (
        (lambda x: tg.sort(x, axis=1), [[0.0, 2.0, 3.0], [0.0, 0.0, 1.0]]),
        (lambda x: tg.count_nonzero(x, axis=1, keepdims=True), [[2], [1]]),
        (lambda x: tg.cumulative_sum(x, axis=1), [[3.0, 3.0, 5.0], [0.0, 0.0, 1.0]]),
        (lambda x: tg.linalg.cholesky(x[:, ::2].mT * x[:1, 0], upper=True)[:1, :1], [[3.0]]),
    ):
        compiled = tg.compile(step)
        assert all(compiled(x).tolist() == expected for _ in range(2))
        assert (compiled.reason, compiled.traces, compiled.replays) == (None, 1, 1)
