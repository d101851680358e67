"""einsum by products of matrices gives what the composition gives."""

import numpy as np
import pytest
from hypothesis import given

from tensorgrad.backend import NUMPY
from tensorgrad.backend.kernels import kernels_of
from tensorgrad.primitive import registry
from tests.backend.cpu.test_contraction_kernels import contractions

OP = registry["tensorgrad.ops.products.einsum_parts"]
KERNEL = kernels_of("einsum_parts")["cupy"]


@given(drawn=contractions())
def test_it_gives_what_numpy_gives(drawn):
    subscripts, operands = drawn
    found = KERNEL(NUMPY.namespace, subscripts, *operands)
    expected = np.einsum(subscripts, *operands)
    assert np.shape(found) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(OP.composition(NUMPY.namespace, subscripts, *operands), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("subscripts", "shapes", "products"),
    [
        ("ij,jk->ik", ((2, 3), (3, 4)), [((2, 3), (3, 4))]),
        ("bhqd,bhkd->bhqk", ((2, 3, 4, 5), (2, 3, 6, 5)), [((2, 3, 4, 5), (2, 3, 5, 6))]),
        ("ij,ij->ij", ((2, 3), (2, 3)), []),
        ("i,j->ij", ((2,), (3,)), []),
        ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 5)), [((2, 3), (3, 4)), ((2, 4), (4, 5))]),
        ("ijx,jk->ik", ((2, 3, 7), (3, 4)), [((2, 3), (3, 4))]),
    ],
)
def test_what_is_a_product_of_matrices_is_asked_for_as_one(subscripts, shapes, products):
    asked = []

    class Watched:
        def __getattr__(self, name):
            return getattr(NUMPY.namespace, name)

        def matmul(self, x1, x2):
            asked.append((x1.shape, x2.shape))
            return NUMPY.namespace.matmul(x1, x2)

    operands = [np.random.default_rng(0).normal(size=shape) for shape in shapes]
    np.testing.assert_allclose(KERNEL(Watched(), subscripts, *operands), np.einsum(subscripts, *operands), rtol=1e-9)
    assert asked == products


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128", "int64", "int32"])
def test_it_keeps_the_dtype(dtype):
    x = np.ones((2, 3), dtype)
    assert KERNEL(NUMPY.namespace, "ab,ab->a", x, x).dtype == dtype
    assert KERNEL(NUMPY.namespace, "ab->a", x).dtype == dtype
