"""Differences agree with calculus, and the checks built on them pass and fail where they must."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import gradcheck, gradgradcheck
from tensorgrad.testing.differences import as_tuple, central_difference, gradients, inner, leaf


@pytest.mark.parametrize(("f", "slope"), [(math.exp, 1.0), (math.sin, 1.0), (lambda t: t**4 + 3 * t, 3.0)])
def test_the_difference_is_the_derivative(f: Any, slope: float) -> None:
    assert central_difference(f) == pytest.approx(slope, abs=1e-11)


def _untaped(x: Any) -> Any:
    """The values alone, on arrays and on tensors: what a faulty rule would use."""
    return x.detach() if hasattr(x, "detach") else x


def test_inner_is_the_real_part_of_the_complex_product() -> None:
    assert inner(np.array([1j]), np.array([2j])) == 2.0
    assert as_tuple(3) == (3,)


def test_gradients_are_none_where_nothing_depends() -> None:
    x, y = leaf([1.0]), leaf([2.0])
    found = gradients([x * 3.0], [tg.ones(1, dtype=tg.float64)], [x, y])
    assert found[0].tolist() == [3.0]
    assert found[1] is None


def _x(*values: Any, dtype: Any = tg.float64) -> Any:
    return tg.asarray(list(values), dtype=dtype, requires_grad=True)


def test_gradcheck_passes_a_right_gradient() -> None:
    assert gradcheck(lambda x, y: (tg.exp(x) * y, x - y), (_x(1.0, 2.0), _x(0.5, -0.5)))
    assert gradcheck(lambda x: tg.abs(x * x), _x(1 + 2j, dtype=tg.complex128))


def test_gradgradcheck_passes_a_right_second_derivative() -> None:
    assert gradgradcheck(lambda x, y: tg.exp(x) * y * y, (_x(1.0, 2.0), _x(0.5, -0.5)))


def _wrong_first() -> Any:
    @tg.op
    def cube(xp: Any, x: Any) -> Any:
        return x * x * x

    return cube.vjp(x=lambda g, x: 2 * g * x * x)


def test_gradcheck_names_the_element_and_both_figures() -> None:
    with pytest.raises(AssertionError, match=r"gradient of input 0 at \(1,\) is 0, by differences 12"):
        gradcheck(_right_below_1_5, _x(1.0, 2.0))
    assert not gradcheck(_wrong_first(), _x(1.0), raise_exception=False)


def _right_below_1_5(x: Any) -> Any:
    """A cube whose gradient is missing above 1.5."""

    @tg.op
    def cube(xp: Any, x: Any) -> Any:
        return x * x * x

    cube.vjp(x=lambda g, x: 3 * g * x * x * tg.astype(x < 1.5, x.dtype))
    return cube(x)


def test_gradgradcheck_fails_where_only_the_second_derivative_is_wrong() -> None:
    @tg.op
    def cube(xp: Any, x: Any) -> Any:
        return x * x * x

    cube.vjp(x=lambda g, x: 3 * g * _untaped(x) ** 2)
    assert gradcheck(cube, _x(1.0))
    with pytest.raises(AssertionError):
        gradgradcheck(cube, _x(1.0))


def test_the_checks_refuse_what_they_cannot_check() -> None:
    with pytest.raises(ValueError, match="none of the 1 inputs"):
        gradcheck(tg.exp, tg.ones(2, dtype=tg.float64))
    with pytest.raises(TypeError, match="input 0 is float32"):
        gradcheck(tg.exp, _x(1.0, dtype=tg.float32))
