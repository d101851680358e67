"""Linear layers as one product of all rows."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cpu.row_blocks import SHARED
from tensorgrad.backend.libraries import NUMPY

fast, composition = ops.linear.op.kernels["numpy"], ops.linear.op.composition


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 0, 4), (SHARED // 4 + 1, 4)])
@pytest.mark.parametrize("biased", [False, True])
def test_stacks_and_many_rows(shape, biased):
    generator = np.random.default_rng(0)
    x, weight = generator.normal(size=shape), generator.normal(size=(5, 4))
    bias = generator.normal(size=5) if biased else None
    found = fast(NUMPY.namespace, x, weight, bias)
    assert found.shape == (*shape[:-1], 5)
    assert np.allclose(found, composition(NUMPY.namespace, x, weight, bias))


def test_rows_that_do_not_lie_one_after_another():
    x = np.arange(24.0).reshape(4, 3, 2).T
    weight = np.ones((5, 4))
    assert np.allclose(fast(NUMPY.namespace, x, weight), composition(NUMPY.namespace, x, weight))


@pytest.mark.parametrize("bias", [np.ones(5), np.ones((), "float32"), np.ones((1, 5), "float32")])
def test_what_does_not_fit_is_left_to_the_composition(bias):
    x, weight = np.ones((2, 4), "float32"), np.ones((5, 4), "float32")
    found, expected = fast(NUMPY.namespace, x, weight, bias), composition(NUMPY.namespace, x, weight, bias)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_shapes_that_do_not_belong_together_are_named():
    with pytest.raises(ValueError, match=r"the last axis of x, of shape \(2, 3\), .* the weight, \(5, 4\)"):
        ops.linear(np.ones((2, 3)), np.ones((5, 4)))
