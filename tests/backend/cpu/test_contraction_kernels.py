"""einsum by NumPy's own contraction gives what the composition gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.backend.kernels import kernels_of
from tensorgrad.primitive import registry

OP = registry["tensorgrad.ops.products.einsum_parts"]
SIZES = dict(zip("abcde", (2, 3, 1, 4, 2), strict=True))


@st.composite
def contractions(draw):
    """Subscripts with letters spelt out, and operands of their sizes."""
    terms = [
        "".join(draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=3)))
        for _ in range(draw(st.integers(1, 3)))
    ]
    letters = sorted(set("".join(terms)))
    output = "".join(draw(st.lists(st.sampled_from(letters), unique=True))) if letters else ""
    generator = np.random.default_rng(draw(st.integers(0, 9)))
    return ",".join(terms) + "->" + output, [generator.normal(size=[SIZES[each] for each in term]) for term in terms]


@given(drawn=contractions())
def test_the_registered_kernel_equals_the_composition(drawn):
    subscripts, operands = drawn
    fast, plain = kernels_of("einsum_parts")["numpy"], OP.composition
    found, expected = fast(np, subscripts, *operands), plain(np, subscripts, *operands)
    assert np.shape(found) == np.shape(expected) == np.einsum(subscripts, *operands).shape
    assert np.allclose(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64"])
def test_it_keeps_the_dtype(dtype):
    x = np.ones((2, 3), dtype)
    assert kernels_of("einsum_parts")["numpy"](np, "ab,ab->a", x, x).dtype == dtype


def test_one_operand_alone_is_rearranged():
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(kernels_of("einsum_parts")["numpy"](np, "ab->ba", x), x.T)
