"""Products on a GPU: what cuBLAS is asked, answered on the processor from the same addresses."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend import NUMPY
from tensorgrad.backend.cuda import product_kernels as cuda_product_kernels
from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.cublas import asked_directly
from tensorgrad.backend.cuda.product_kernels import accumulated, matmul, product
from tests.cuda_on_cpu import as_dtype, cublas_on_cpu, poisoned

__all__ = ["cublas_on_cpu"]

XP = poisoned


@pytest.mark.parametrize(
    "shapes", [((4,), (4,)), ((4,), (4, 3)), ((2, 4), (4,)), ((4,), (5, 4, 3)), ((5, 2, 4), (4,))], ids=str
)
def test_vectors_are_asked_for_directly_too(shapes, cublas_on_cpu):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=shape) for shape in shapes)
    with asked_directly(object()):
        found = matmul(XP, x, y, refused)
    np.testing.assert_allclose(found, x @ y, rtol=1e-12)
    assert found.shape == (x @ y).shape
    assert len(cublas_on_cpu) == 1


@pytest.mark.parametrize(("first", "second"), [((4,), (5, 4, 3)), ((5, 2, 4), (4,)), ((4,), (4,)), ((2, 4), (4,))])
def test_of_halves_the_library_is_given_matrices_alone(first, second, cublas_on_cpu):
    def plain(x1, x2):
        assert x1.ndim == x2.ndim == 2, "CuPy 14.2 raises TypeError for a vector of bfloat16 and a stack"
        return np.matmul(x1.astype(np.float32), x2.astype(np.float32)).astype(x1.dtype)

    rng = np.random.default_rng(0)
    x, y = (as_dtype(rng.normal(size=shape), "bfloat16") for shape in (first, second))
    found, expected = matmul(XP, x, y, plain), x.astype(np.float32) @ y.astype(np.float32)
    assert (found.dtype, found.shape) == (x.dtype, expected.shape)
    np.testing.assert_allclose(found.astype(np.float32), expected, rtol=2e-2, atol=2e-2)


def refused(x1, x2):
    raise AssertionError("the library's own product was taken")


# What lies in memory how: an array of a shape, made so that a transposed or cut array has it.
LAYOUTS = {
    "rows": lambda shape, rng: rng.normal(size=shape),
    "columns": lambda shape, rng: rng.normal(size=(*shape[:-2], shape[-1], shape[-2])).swapaxes(-1, -2),
    "cut": lambda shape, rng: rng.normal(size=(*shape[:-1], shape[-1] + 3))[..., : shape[-1]],
    "heads": lambda shape, rng: np.moveaxis(rng.normal(size=(*shape[:-3], shape[-2], shape[-3], shape[-1])), -2, -3),
    "gaps": lambda shape, rng: rng.normal(size=(*shape[:-2], 2 * shape[-2], 2 * shape[-1]))[..., ::2, ::2],
    "reversed": lambda shape, rng: rng.normal(size=shape)[..., ::-1, :],
}


@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
@pytest.mark.parametrize("sizes", [(4, 5, 3), (1, 5, 3), (4, 1, 3), (4, 5, 1), (1, 1, 1)], ids=str)
def test_stacks_in_any_layout(first, second, sizes, cublas_on_cpu):
    m, k, n = sizes
    rng = np.random.default_rng(0)
    x, y = LAYOUTS[first]((2, 3, m, k), rng), LAYOUTS[second]((2, 3, k, n), rng)
    np.testing.assert_allclose(product(XP, x, y), x @ y, rtol=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 2, 4), (4, 5)),
        ((2, 4), (3, 4, 5)),
        ((2, 1, 2, 4), (3, 4, 5)),
        ((1, 2, 4), (3, 4, 5)),
        ((0, 2, 4), (0, 4, 5)),
        ((3, 2, 0), (3, 0, 5)),
        ((3, 0, 4), (3, 4, 5)),
    ],
    ids=str,
)
def test_batches_that_broadcast_and_empty_ones(shapes, cublas_on_cpu):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=shape) for shape in shapes)
    np.testing.assert_allclose(product(XP, x, y), x @ y, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_stacks_never_reach_the_library(dtype, cublas_on_cpu):
    rng = np.random.default_rng(0)
    x, y = (as_dtype(rng.integers(-3, 4, (2, 3, 4, 4)), dtype) for _ in range(2))
    found = matmul(XP, x, y, refused)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found.astype(np.float64), x.astype(np.float64) @ y.astype(np.float64))


def test_a_stack_times_a_matrix_is_one_product_of_rows():
    asked = []
    x, y = np.ones((2, 3, 4, 5), np.float16), np.ones((5, 6), np.float16)
    found = matmul(XP, x, y, lambda a, b: asked.append((a.shape, b.shape)) or a @ b)
    assert asked == [((24, 5), (5, 6))]
    assert found.shape == (2, 3, 4, 6)


@pytest.mark.parametrize(
    "operands",
    [
        (np.ones(3), np.ones((3, 2))),
        (np.ones((2, 3), np.int64), np.ones((3, 2), np.int64)),
        (np.ones((2, 3)), np.ones((3, 2))),
    ],
    ids=lambda operands: str([each.shape for each in operands]),
)
def test_what_the_library_does_well_is_left_to_it(operands):
    asked = []
    found = matmul(XP, *operands, lambda a, b: asked.append(a) or a @ b)
    assert asked
    np.testing.assert_array_equal(found, operands[0] @ operands[1])


def test_tf32_is_asked_for_by_one_setting(cublas_on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_settings, "_settings", cuda_settings._Settings())
    x, y = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    assert cublas_on_cpu == []
    cuda_settings.set_tf32(True)
    np.testing.assert_array_equal(matmul(XP, x, y, refused), x @ y)
    assert len(cublas_on_cpu) == 1


def test_parts_of_a_sum_are_float32_where_operands_are_halves(cublas_on_cpu):
    x = np.full((5, 2, 3), 1000, np.float16)
    found = accumulated(XP, x, x.swapaxes(-1, -2))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.full((2, 2), 5 * 3e6))
    assert accumulated(XP, x[:0], x[:0].swapaxes(-1, -2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_linear_layers_add_their_bias_in_place(monkeypatch):
    linear = ops.linear.op.kernels["cupy"]
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 4)), rng.normal(size=5)
    np.testing.assert_allclose(linear(NUMPY.namespace, x, weight, bias), x @ weight.T + bias)
    np.testing.assert_allclose(linear(NUMPY.namespace, x, weight), x @ weight.T)
    np.testing.assert_allclose(linear(NUMPY.namespace, x[0, 0], weight, bias), x[0, 0] @ weight.T + bias)
    assert cuda_product_kernels._linear(NUMPY.namespace, x[0, 0], weight) is NotImplemented
