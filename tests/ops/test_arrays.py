"""Arrays from nothing, dtypes, and moves between devices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.backend import default_device, to_numpy
from tensorgrad.testing.cases.arrays import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_creation_gives_arrays_of_the_device_named(device: str) -> None:
    made = [
        ops.zeros((2, 3), device=device),
        ops.ones((2, 3), device=device),
        ops.empty((2, 3), device=device),
        ops.full((2, 3), 1.5, device=device),
        ops.eye(2, 3, device=device),
        ops.reshape(ops.arange(6.0, device=device), (2, 3)),
        ops.reshape(ops.linspace(0, 1, 6, device=device), (2, 3)),
    ]
    for each in made:
        assert ops.device_of(each) == device
        assert tuple(each.shape) == (2, 3)
        assert each.dtype == tg.float32
    np.testing.assert_array_equal(to_numpy(made[4]), np.eye(2, 3))


def test_arange_of_integers_is_int64() -> None:
    assert ops.arange(3).dtype == tg.int64
    assert to_numpy(ops.arange(1, 7, 2)).tolist() == [1, 3, 5]


def test_a_gradient_travels_back_to_where_its_leaf_is() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, device="cpu")
    there = x.to_device("strict")
    assert there.device == "strict"
    (there * there).sum().backward()
    assert x.grad.device == "cpu"
    assert x.grad.tolist() == [2.0, 4.0]


def test_second_derivatives_pass_through_a_move() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True, device="strict")
    moved = x.to_device("cpu")
    (slope,) = tg.grad((moved * moved * moved).sum(), x, create_graph=True)
    (curvature,) = tg.grad(slope.sum(), x)
    assert curvature.device == "strict"
    assert curvature.tolist() == [6.0, 12.0]


def test_operands_on_two_devices_are_refused_by_name() -> None:
    other = "strict" if default_device() == "cpu" else "cpu"
    with pytest.raises(TypeError, match=r"add: .*'cpu'.*'strict'|add: .*'strict'.*'cpu'"):
        tg.ones(2) + tg.ones(2, device=other)


def test_asarray_keeps_a_tensor_a_tensor() -> None:
    x = tg.ones(2, requires_grad=True)
    assert ops.asarray(x, device=x.device) is not None
    assert isinstance(ops.asarray(x, dtype=tg.float64), tg.Tensor)
    assert ops.asarray(x, dtype=tg.float64).dtype == tg.float64
    assert to_numpy(ops.asarray([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_dtype_questions() -> None:
    assert ops.result_type(tg.float32, tg.ones(1, dtype=tg.float64)) == tg.float64
    assert ops.can_cast(tg.float32, tg.float64)
    assert not ops.can_cast(tg.float64, tg.int64)
    assert ops.isdtype(tg.complex64, "complex floating")
    assert int(ops.iinfo(tg.int8).max) == 127


@pytest.mark.parametrize("asked", ["float32", tg.complex64, tg.ones(1, dtype=tg.float32), tg.asarray(1j)])
def test_limits_of_floating_numbers_are_python_numbers(asked: Any) -> None:
    info = ops.finfo(asked)
    assert info.dtype == tg.float32
    assert info.bits == 32
    assert (info.eps, info.max, info.min, info.smallest_normal) == (2.0**-23, 2.0**128 - 2.0**104, -info.max, 2.0**-126)
    assert {type(each) for each in (info.eps, info.max, info.min, info.smallest_normal)} == {float}
