"""The ops of ops/normalization.py under all laws, beside PyTorch's, and their conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.normalization import CASES
from tests.proof import every, prove
from tests.torch_reference import agree


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# ── beside PyTorch ──────────────────────────────────────────────────────────────────────────────────────────


def _draw(*shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(4)
    return [rng.uniform(-2, 2, shape) for shape in shapes]


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("affine", [0, 1, 2])
def test_layer_norm_is_pytorchs(shape: tuple[int, ...], affine: int) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(
        lambda x, *rest: tg.layer_norm(x, shape, *rest, eps=1e-3),
        lambda x, *rest: functional.layer_norm(x, shape, *rest, eps=1e-3),
        *_draw((2, 3, 4), *[shape] * affine),
    )


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("eps", [None, 0.1])
def test_rms_norm_is_pytorchs(shape: tuple[int, ...], eps: float | None) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(
        lambda x, weight: tg.rms_norm(x, shape, weight, eps),
        lambda x, weight: functional.rms_norm(x, shape, weight, eps),
        *_draw((2, 3, 4), shape),
    )


@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("positions", [(), (5,), (2, 3)])
def test_group_norm_is_pytorchs(groups: int, positions: tuple[int, ...]) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(
        lambda x, weight, bias: tg.group_norm(x, groups, weight, bias),
        lambda x, weight, bias: functional.group_norm(x, groups, weight, bias),
        *_draw((3, 6, *positions), (6,), (6,)),
    )


@pytest.mark.parametrize("positions", [(5,), (2, 3), (2, 1, 3)])
def test_instance_norm_is_pytorchs(positions: tuple[int, ...]) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(
        lambda x, weight, bias: tg.instance_norm(x, weight=weight, bias=bias),
        lambda x, weight, bias: functional.instance_norm(x, weight=weight, bias=bias),
        *_draw((3, 2, *positions), (2,), (2,)),
    )


@pytest.mark.parametrize("positions", [(5,), (2, 3)])
def test_instance_norm_by_running_statistics_is_pytorchs(positions: tuple[int, ...]) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(
        lambda x, weight, bias, *running: tg.instance_norm(x, *running, weight, bias, use_input_stats=False),
        lambda x, weight, bias, *running: functional.instance_norm(x, *running, weight, bias, use_input_stats=False),
        *_draw((3, 2, *positions), (2,), (2,)),
        constants=[np.asarray([0.5, -0.2]), np.asarray([1.5, 0.3])],
    )


@pytest.mark.parametrize("positions", [(5,), (2, 3)])
def test_instance_norm_moves_the_statistics_as_pytorch_does(positions: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    x, mean = _draw((3, 2, *positions), (2,))
    theirs = [torch.tensor(mean), torch.tensor([1.5, 0.3], dtype=torch.float64)]
    expected = torch.nn.functional.instance_norm(torch.tensor(x), *theirs, momentum=0.3)
    given = [tg.asarray(each, dtype="float64") for each in (mean.tolist(), [1.5, 0.3])]
    y, *moved = tg.instance_norm_update(
        tg.asarray(x.tolist(), dtype="float64", requires_grad=True), *given, momentum=0.3
    )
    np.testing.assert_allclose(y.tolist(), expected.tolist(), rtol=1e-12)
    for ours, their in zip(moved, theirs, strict=True):
        np.testing.assert_allclose(ours.tolist(), their.tolist(), rtol=1e-12)
        assert not ours.requires_grad
    assert given[0].tolist() == mean.tolist()


@pytest.mark.parametrize("positions", [(), (5,), (2, 3)])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_is_pytorchs(positions: tuple[int, ...], training: bool) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(
        lambda x, weight, bias, mean, variance: tg.batch_norm(x, mean, variance, weight, bias, training),
        lambda x, weight, bias, mean, variance: functional.batch_norm(x, mean, variance, weight, bias, training),
        *_draw((4, 2, *positions), (2,), (2,)),
        constants=[np.asarray([0.5, -0.2]), np.asarray([1.5, 0.3])],
    )


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_running_statistics_are_pytorchs(momentum: float) -> None:
    torch = pytest.importorskip("torch")
    mean, variance = np.asarray([0.5, -0.2]), np.asarray([1.5, 0.3])
    (x,) = _draw((4, 2, 3))
    y, new_mean, new_variance = tg.batch_norm_update(
        tg.asarray(x), tg.asarray(mean), tg.asarray(variance), momentum=momentum
    )
    theirs = torch.tensor(mean), torch.tensor(variance)
    expected = torch.nn.functional.batch_norm(torch.tensor(x), *theirs, training=True, momentum=momentum)
    for ours, wanted in zip((y, new_mean, new_variance), (expected, *theirs), strict=True):
        np.testing.assert_allclose(ours.tolist(), wanted.numpy(), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("positions", [(3,), (2, 3)])
def test_local_response_norm_is_pytorchs(size: int, positions: tuple[int, ...]) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(
        lambda x: tg.local_response_norm(x, size, alpha=0.5, beta=0.7, k=2.0),
        lambda x: functional.local_response_norm(x, size, alpha=0.5, beta=0.7, k=2.0),
        *_draw((2, 5, *positions)),
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("p", [2.0, 1, 0.5, 3, -1, np.inf, 0])
def test_normalize_is_pytorchs(axis: int, p: float) -> None:
    functional = pytest.importorskip("torch").nn.functional
    agree(lambda x: tg.normalize(x, p, axis), lambda x: functional.normalize(x, p, axis), *_draw((3, 4)))


# ── statistics ──────────────────────────────────────────────────────────────────────────────────────────────


def test_batch_norm_update_writes_to_nothing_it_was_given() -> None:
    running_mean, running_var = tg.zeros(2), tg.ones(2)
    x = tg.asarray([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    y, mean, variance = tg.batch_norm_update(x, running_mean, running_var)
    assert (running_mean.tolist(), running_var.tolist()) == ([0, 0], [1, 1])
    assert y.requires_grad
    assert not mean.requires_grad
    assert not variance.requires_grad
    assert mean.dtype == variance.dtype == running_mean.dtype


def test_batch_norm_in_training_does_not_ask_for_statistics_and_does_not_change_them() -> None:
    x = tg.asarray([[1.0, 2.0], [3.0, 5.0]])
    mean, variance = tg.asarray([7.0, 8.0]), tg.asarray([9.0, 10.0])
    np.testing.assert_array_equal(
        tg.batch_norm(x, mean, variance, training=True).tolist(), tg.batch_norm(x, training=True).tolist()
    )
    assert (mean.tolist(), variance.tolist()) == ([7, 8], [9, 10])


def test_the_gradients_of_a_batchs_statistics_reach_the_batch() -> None:
    x = tg.asarray([[1.0], [3.0], [8.0]], dtype=tg.float64, requires_grad=True)
    _, mean, variance = tg.ops.batch_norm_train(x)
    (mean * 3.0 + variance).sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [[1 - 2.0], [1 - 2 / 3], [1 + 8 / 3]])


# ── where it is hard ────────────────────────────────────────────────────────────────────────────────────────


def test_rows_of_equal_numbers_have_finite_normalisations_and_slopes() -> None:
    for function in (
        lambda x: tg.layer_norm(x, 3),
        lambda x: tg.rms_norm(x, 3),
        lambda x: tg.group_norm(x, 1),
        lambda x: tg.batch_norm(x, training=True),
    ):
        x = tg.zeros((2, 3), dtype=tg.float64, requires_grad=True)
        with np.errstate(all="raise"):
            y = function(x)
            (y * tg.asarray([1.0, -2.0, 0.0])).sum().backward()
        assert y.tolist() == [[0, 0, 0], [0, 0, 0]]
        assert np.all(np.isfinite(x.grad.tolist()))


def test_a_zero_vector_stays_zero_and_its_slope_is_finite() -> None:
    x = tg.zeros((1, 2), dtype=tg.float64, requires_grad=True)
    with np.errstate(all="raise"):
        y = tg.normalize(x, eps=1e-3)
        (y * tg.asarray([[1.0, 2.0]])).sum().backward()
    assert y.tolist() == [[0, 0]]
    np.testing.assert_allclose(x.grad.tolist(), [[1e3, 2e3]], rtol=1e-6)


def test_complex_vectors_have_unit_length_after_normalize() -> None:
    assert tg.abs(tg.normalize(tg.asarray([[3j], [0j]], dtype="complex128"))).tolist() == [[1], [0]]


def test_integers_are_normalised_as_numbers() -> None:
    np.testing.assert_allclose(tg.layer_norm(tg.asarray([[1, 3]]), 2).tolist(), [[-1, 1]], rtol=1e-4)
    np.testing.assert_allclose(tg.rms_norm(tg.asarray([[1, 7]]), 2).tolist(), [[0.2, 1.4]], rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tg.layer_norm(tg.ones((2, 3)), 2),
            r"layer_norm: x has the shape \(2, 3\), .* normalized_shape \(2,\)",
        ),
        (lambda: tg.layer_norm(tg.ones((2, 3)), ()), "does not end in normalized_shape"),
        (lambda: tg.layer_norm(tg.ones(3), (2, 3)), "does not end in normalized_shape"),
        (lambda: tg.layer_norm(tg.ones((2, 3)), 3, tg.ones(2)), r"the weight has the shape \(2,\); expected"),
        (lambda: tg.layer_norm(tg.ones((2, 3)), 3, None, tg.ones(())), r"the bias has the shape \(\)"),
        (lambda: tg.rms_norm(tg.ones((2, 3)), 2), "rms_norm: x has the shape"),
        (lambda: tg.group_norm(tg.ones((2, 3)), 2), "3 channels cannot be cut into num_groups = 2"),
        (lambda: tg.group_norm(tg.ones((2, 3)), 0), "num_groups = 0"),
        (lambda: tg.group_norm(tg.ones(3), 1), r"group_norm: expected \(n, c, ...\), got the shape \(3,\)"),
        (lambda: tg.group_norm(tg.ones((2, 3)), 1, tg.ones(2)), "the weight has the shape .* each of the 3 channels"),
        (lambda: tg.instance_norm(tg.ones((2, 3))), "at least one axis of positions"),
        (lambda: tg.instance_norm(tg.ones((2, 3, 1)), use_input_stats=False), "without use_input_stats .* leave it on"),
        (lambda: tg.instance_norm(tg.ones((2, 3, 1)), tg.ones(2)), r"the running_mean has the shape \(2,\)"),
        (lambda: tg.instance_norm_update(tg.ones((2, 3, 1)), tg.ones(3), tg.ones(3)), "1 positions per instance"),
        (lambda: tg.instance_norm_update(tg.ones((2, 3, 2)), tg.ones(3), tg.ones(3), momentum=-1), "momentum is -1"),
        (lambda: tg.batch_norm(tg.ones((2, 3))), "normalises with running_mean and running_var"),
        (lambda: tg.batch_norm(tg.ones((2, 3)), tg.ones(3)), "give both"),
        (lambda: tg.batch_norm(tg.ones((1, 3)), training=True), "1 values per channel, and statistics need at least 2"),
        (lambda: tg.batch_norm(tg.ones((2, 3)), tg.ones(2), tg.ones(3)), r"the running_mean has the shape \(2,\)"),
        (lambda: tg.batch_norm_update(tg.ones((1, 3)), tg.ones(3), tg.ones(3)), "batch_norm_update: .* at least 2"),
        (lambda: tg.batch_norm_update(tg.ones((2, 3)), tg.ones(3), tg.ones(3), momentum=2), "momentum is 2"),
        (lambda: tg.local_response_norm(tg.ones((2, 3, 1)), 0), "size is 0"),
        (lambda: tg.local_response_norm(tg.ones((2, 3)), 2), "local_response_norm: expected"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("norm", [tg.batch_norm, tg.instance_norm])
def test_a_momentum_where_pytorch_has_it_is_not_taken_for_eps(norm: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        norm(tg.ones((2, 3, 2)), tg.zeros(3), tg.ones(3), None, None, False, 0.1)


def test_a_weight_in_the_place_of_the_shape_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="layer_norm: normalized_shape is an array"):
        tg.layer_norm(tg.ones((2, 3)), tg.ones(3), tg.ones(3))
