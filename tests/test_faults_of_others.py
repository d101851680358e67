"""Gradients that other libraries have wrong, or lack, are right here; each test names the library and its issue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.testing import case, obey
from tensorgrad.testing.strategies import reals


def leaf(values: Any) -> Any:
    return tg.asarray(np.asarray(values, float).tolist(), dtype=tg.float64, device=default_device(), requires_grad=True)


def spread(*shape: int) -> Any:
    """Numbers that keep apart from each other and from 0, in no order."""
    return np.random.default_rng(2).permutation(np.linspace(-2.0, 2.2, int(np.prod(shape)))).reshape(shape)


def derive(function: Callable[..., Any], **arrays: Any) -> None:
    """Raise unless the first and second derivatives are those that differences of values and of gradients show."""
    obey(case(function, **dict.fromkeys(arrays, reals())), arrays, default_device(), only=("direction", "second order"))


def slopes(function: Callable[[Any], Any], values: Any) -> Any:
    x = leaf(values)
    function(x).sum().backward()
    return x.grad.tolist()


def bends(function: Callable[[Any], Any], values: Any) -> Any:
    """The matrix of second derivatives of a number."""
    x = leaf(values)
    return tg.hessian(lambda x: function(x).sum())(x).tolist()


# ── HIPS autograd: wrapped, called without complaint, and then no gradient ──────────────────────────────────

# Its name there, and what does it here. Their list: HIPS/autograd#788 and #257 (cumprod), #193, #194, #568 (interp); of
# sort and partition it differentiates those of one axis.
MATRIX, SQUARE, VECTOR = (3, 4), (3, 3), (5,)
WITHOUT_GRADIENT: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "cumprod": (lambda x: tg.cumulative_prod(x, axis=1), MATRIX),
    "cumulative_prod": (lambda x: tg.cumulative_prod(x, axis=0, include_initial=True), MATRIX),
    "cumulative_sum": (lambda x: tg.cumulative_sum(x, axis=0, include_initial=True), MATRIX),
    "sort (several axes)": (lambda x: tg.sort(x, axis=0), MATRIX),
    "partition (several axes)": (lambda x: tg.topk(x, 2, axis=1)[0], MATRIX),
    "interp": (
        lambda x: tg.interp(x, tg.asarray([-9.0, 0.4, 1.4, 9.0], dtype=x.dtype, device=x.device), x[:4]),
        VECTOR,
    ),
    "trapezoid": (lambda x: tg.trapezoid(x, tg.cumulative_sum(x * x, axis=1)), MATRIX),
    "convolve": (lambda x: tg.convolve(x, x[:2], mode="same"), VECTOR),
    "correlate": (lambda x: tg.convolve(x, tg.flip(x[:3]), mode="valid"), VECTOR),
    "median": (lambda x: tg.median(x, axis=1), MATRIX),
    "quantile": (lambda x: tg.quantile(x, 0.3, axis=0), MATRIX),
    "percentile": (lambda x: tg.quantile(x, 40 / 100), MATRIX),
    "ptp": (lambda x: tg.max(x, axis=1) - tg.min(x, axis=1), MATRIX),
    "average": (lambda x: tg.sum(x * x[0] ** 2, axis=1) / tg.sum(x[0] ** 2), MATRIX),
    "cov": (lambda x: _covariance(x), MATRIX),
    "corrcoef": (lambda x: _correlation(x), MATRIX),
    "bincount (weights)": (lambda x: tg.bincount(_indices([0, 2, 0, 1, 2]), x), VECTOR),
    "histogram (weights)": (lambda x: tg.histogram(_indices([0, 2, 0, 1, 2]), 3, weight=x)[0], VECTOR),
    "take": (lambda x: tg.take(x, _indices([2, 0, 2]), axis=1), MATRIX),
    "take_along_axis": (lambda x: tg.take_along_axis(x, _indices([[2, 2], [0, 1], [0, 0]]), axis=1), MATRIX),
    "compress": (lambda x: x[:, np.array([True, False, True, True])], MATRIX),
    "extract": (lambda x: x[x > 0.0], MATRIX),
    "delete": (lambda x: tg.concat([x[:, :1], x[:, 2:]], axis=1), MATRIX),
    "insert": (lambda x: tg.concat([x[:, :2], x[:, :1] ** 2, x[:, 2:]], axis=1), MATRIX),
    "put_along_axis": (lambda x: _written(x, (slice(None), np.array([3, 1]))), MATRIX),
    "putmask": (lambda x: tg.where(x > 0.0, x * x, x), MATRIX),
    "fill_diagonal": (lambda x: _written(x, (np.arange(3), np.arange(3))), MATRIX),
    "diagflat": (lambda x: x[:, None] * tg.eye(5, dtype=x.dtype, device=x.device), VECTOR),
    "flip": (tg.flip, MATRIX),
    "unstack": (lambda x: tg.multiply(*tg.unstack(x[:2])), MATRIX),
    "broadcast_arrays": (lambda x: tg.multiply(*tg.broadcast_arrays(x, x[0])), MATRIX),
    "meshgrid": (lambda x: tg.multiply(*tg.meshgrid(x[0], x[1])), MATRIX),
    "concat": (lambda x: tg.concat([x, x * x], axis=1), MATRIX),
    "matrix_transpose": (tg.matrix_transpose, MATRIX),
    "positive": (tg.positive, MATRIX),
    "copysign": (lambda x: tg.copysign(x, x[0]), MATRIX),
    "cbrt": (lambda x: tg.copysign(tg.abs(x) ** (1 / 3), x), MATRIX),
    "fmod": (lambda x: x - 0.7 * tg.trunc(x / 0.7), MATRIX),
    "float_power": (lambda x: tg.pow(tg.abs(x), x[0]), MATRIX),
    "ldexp": (lambda x: x * 2.0**3, MATRIX),
    "ediff1d": (lambda x: tg.diff(tg.flatten(x)), MATRIX),
    "heaviside": (lambda x: x * tg.where(x > 0.0, 1.0, 0.0), MATRIX),
    "piecewise": (lambda x: tg.where(x > 0.0, tg.sin(x), x**3), MATRIX),
    "choose": (lambda x: tg.where(tg.asarray([True, False, True, False], device=x.device), x, x * x), MATRIX),
    "polyval": (lambda x: _polynomial(x[0], x[1]), MATRIX),
    "vander": (lambda x: x[:, None] ** tg.arange(4, dtype=x.dtype, device=x.device), (3,)),
    "nansum": (lambda x: tg.sum(tg.where(tg.isnan(x), 0.0, x * x)), MATRIX),
    "vecdot": (lambda x: tg.vecdot(x, x[0]), MATRIX),
    "linalg.cross": (lambda x: tg.linalg.cross(x, x[0]), SQUARE),
    "linalg.diagonal": (lambda x: tg.linalg.diagonal(x, offset=1), MATRIX),
    "linalg.eigvalsh": (tg.linalg.eigvalsh, SQUARE),
    "linalg.lstsq": (lambda x: tg.linalg.lstsq(x[:, :2], x[:, 2:])[0], MATRIX),
    "linalg.matmul": (lambda x: tg.linalg.matmul(x, x.mT), MATRIX),
    "linalg.matrix_norm": (lambda x: tg.linalg.matrix_norm(x, ord="nuc"), MATRIX),
    "linalg.matrix_power": (lambda x: tg.linalg.matrix_power(x, -2), SQUARE),
    "linalg.outer": (lambda x: tg.linalg.outer(x[0], x[1]), MATRIX),
    "linalg.qr": (lambda x: tg.matmul(tg.cos(tg.linalg.qr(x.mT).Q), tg.linalg.qr(x.mT).R), MATRIX),
    "linalg.svdvals": (tg.linalg.svdvals, MATRIX),
    "linalg.tensordot": (lambda x: tg.linalg.tensordot(x, x, axes=((1,), (1,))), MATRIX),
    "linalg.trace": (lambda x: tg.linalg.trace(tg.matmul(x, x)), SQUARE),
    "linalg.vector_norm": (lambda x: tg.linalg.vector_norm(x, axis=1, ord=3), MATRIX),
}


def _indices(values: Any) -> Any:
    return tg.asarray(values, device=default_device())


def _covariance(x: Any) -> Any:
    centred = x - tg.mean(x, axis=1, keepdims=True)
    return tg.matmul(centred, centred.mT) / (x.shape[1] - 1)


def _correlation(x: Any) -> Any:
    covariance = _covariance(x)
    spreads = tg.sqrt(tg.linalg.diagonal(covariance))
    return covariance / (spreads[:, None] * spreads)


def _polynomial(coefficients: Any, x: Any) -> Any:
    value = coefficients[0]
    for each in tg.unstack(coefficients[1:]):
        value = value * x + each
    return value


def _written(x: Any, key: Any) -> Any:
    y = x * 1.0
    y[key] = tg.sin(x[0, 0])
    return y


@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_what_hips_autograd_cannot_differentiate_is_right_to_second_order(name: str) -> None:
    function, shape = WITHOUT_GRADIENT[name]
    assert function(leaf(spread(*shape))).requires_grad
    derive(lambda x: function(x), x=spread(*shape))


def test_its_list_is_whole() -> None:
    """The functions of NumPy that its users named, and more than fifty in all."""
    assert {"cumprod", "interp", "sort (several axes)", "partition (several axes)"} < set(WITHOUT_GRADIENT)
    assert len(WITHOUT_GRADIENT) > 50


# ── NaN where the derivative is known ───────────────────────────────────────────────────────────────────────


def test_the_norm_at_0_has_gradient_0() -> None:
    """HIPS/autograd#151, #183, #268, #570, #586, #617; pytorch#2421; MyGrad#378."""
    with np.errstate(all="raise"):
        assert slopes(tg.linalg.vector_norm, [0.0, 0.0]) == [0, 0]
        assert slopes(lambda x: tg.linalg.vector_norm(x, axis=1), [[0.0, 2.0], [0.0, 0.0]]) == [[0, 1], [0, 0]]
        assert slopes(tg.linalg.matrix_norm, [[0.0, 0.0], [0.0, 0.0]]) == [[0, 0], [0, 0]]
        assert slopes(tg.abs, [0.0]) == [0]
        assert slopes(tg.std, [1.0, 1.0]) == [0, 0]


def test_a_branch_not_taken_gives_no_nan() -> None:
    """jax#5798, tinygrad#12409: the gradient there is 0, whatever the branch would have been."""
    taken = leaf([3.0, 5.0])
    tg.where(_indices([True, True]), taken, leaf([np.nan, np.inf])).sum().backward()
    assert taken.grad.tolist() == [1, 1]
    lost = leaf([np.nan, np.inf, -1.0])
    tg.where(_indices([False, False, True]), lost, 7.0).sum().backward()
    assert lost.grad.tolist() == [0, 0, 1]


def test_a_logarithm_kept_from_0_gives_no_nan_to_second_order() -> None:
    """The same leak, through the function that is not defined there."""

    def guarded(x: Any) -> Any:
        return tg.where(x > 0.0, tg.log(tg.where(x > 0.0, x, 1.0)), 0.0)

    with np.errstate(all="raise"):
        assert slopes(guarded, [0.0, 2.0, -1.0]) == [0, 0.5, 0]
        assert bends(guarded, [0.0, 2.0]) == [[0, 0], [0, -0.25]]


def test_products_with_zeros_are_right_to_second_order() -> None:
    """HIPS/autograd#93, #378 (NaN); pytorch#106789 (a wrong second derivative)."""
    for values in ([0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]):
        a, b, c = values
        with np.errstate(all="raise"):
            assert slopes(tg.prod, values) == [b * c, a * c, a * b]
            assert bends(tg.prod, values) == [[0, c, b], [c, 0, a], [b, a, 0]]
            last = lambda x: tg.cumulative_prod(x)[2]  # noqa: E731 - the running product ends with the same number
            assert slopes(last, values) == [b * c, a * c, a * b]
            assert bends(last, values) == [[0, c, b], [c, 0, a], [b, a, 0]]


def test_powers_at_0_have_their_derivatives() -> None:
    """HIPS/autograd gives NaN for the slope of x ** 2 in y at x = 0, PyTorch a wrong mixed derivative of x ** 0."""
    with np.errstate(all="raise"):
        assert slopes(lambda x: x**2, [0.0]) == [0]
        assert slopes(lambda x: x**0, [0.0]) == [0]
        x = leaf([2.0, 0.0])
        mixed = tg.hessian(lambda x: x[0] ** x[1])(x).tolist()
    assert mixed[0][1] == mixed[1][0] == 0.5


# ── convolutions, repeated indices, sorting ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 2, (2, 3)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_convolutions_in_groups_and_with_holes_are_right_to_second_order(
    groups: int, dilation: Any, stride: Any
) -> None:
    """Missing in HIPS autograd and DeZero, and in the second order of several: chainer#4449."""

    def convolved(x: Any, weight: Any, bias: Any) -> Any:
        return tg.conv2d(x, weight, bias, stride=stride, padding=1, dilation=dilation, groups=groups)

    derive(convolved, x=spread(1, 4, 5, 7), weight=spread(4, 4 // groups, 2, 2), bias=spread(4))


def test_repeated_indices_add_their_gradients() -> None:
    """mxnet#11899, pytorch#162242, deep-learning-from-scratch-2#17: the last one won, or some were lost."""
    assert slopes(lambda x: x[np.array([0, 1, 0, 0])], [1.0, 2.0, 3.0]) == [3, 1, 0]
    assert slopes(lambda x: tg.take(x, _indices([2, 2, 1])) ** 2, [1.0, 2.0, 3.0]) == [0, 4, 12]
    weight = leaf([[1.0, 2.0], [3.0, 4.0]])
    tg.embedding(_indices([[0, 0], [1, 0]]), weight).sum().backward()
    assert weight.grad.tolist() == [[3, 3], [1, 1]]
    x, source = leaf([0.0, 0.0]), leaf([1.0, 2.0, 4.0])
    y = tg.scatter_add(x, 0, _indices([1, 1, 0]), source)
    assert y.tolist() == [4, 3]
    (y * y).sum().backward()
    assert source.grad.tolist() == [6, 6, 8]


def test_repeated_indices_of_a_write_leave_the_last_value_and_its_gradient() -> None:
    """HIPS/autograd#13 and chainer#4795 have no writes; elsewhere both values get that gradient."""
    x, values = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0, 30.0])
    y = x * 1.0
    y[np.array([0, 2, 0])] = values
    assert y.tolist() == [30, 2, 20]
    (y * y).sum().backward()
    assert values.grad.tolist() == [0, 40, 60]
    assert x.grad.tolist() == [0, 4, 0]


def test_einsum_of_a_repeated_letter_and_of_the_same_operand_twice() -> None:
    """chainer's einsum knew no second derivative here, others forgot the second use of the operand."""
    derive(lambda x: tg.einsum("ii->i", x) * tg.einsum("ij,ij->i", x, x), x=spread(3, 3))
    derive(lambda x: tg.einsum("ij,jk,ki->", x, x, x), x=spread(3, 3))
