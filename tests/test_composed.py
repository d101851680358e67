"""An op without rules, whose gradient is that of its composition: which of its two ways runs, and when."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.composed import composed
from tensorgrad.testing import check


@pytest.fixture
def cube(registry_as_it_was):
    @composed
    @tg.op(results=2)
    def cube(xp, x, factor=2.0):
        return x * x * x, x * factor

    return cube


def test_it_obeys_the_laws_to_second_order(cube):
    check(cube, reference=lambda x: (x**3, 2.0 * x), draws=5)


def test_arrays_and_what_is_not_recorded_take_the_kernel(cube):
    asked = []

    @cube.kernel("numpy")
    def fast(xp, x, factor=2.0):
        asked.append(type(x))
        return x**3, x * factor

    x = np.asarray([1.0, 2.0])
    assert cube(x)[0].tolist() == [1.0, 8.0]
    y, _ = cube(tg.asarray(x, device="cpu"))
    assert isinstance(y, tg.Tensor)
    assert not y.requires_grad
    recorded = tg.asarray(x, device="cpu", requires_grad=True)
    with tg.no_grad():
        cube(recorded)
    assert asked == [np.ndarray] * 3
    y, z = cube(recorded, factor=3.0)
    assert asked == [np.ndarray] * 3  # the composition
    assert z.tolist() == [3.0, 6.0]
    y.sum().backward()
    assert recorded.grad.tolist() == [3.0, 12.0]


def test_it_has_the_kernels_signature_and_name(cube):
    assert cube.__name__ == "cube"
    assert cube.op.name == "cube"
