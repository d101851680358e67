"""Large matrix products: the same as NumPy's to rounding, and the same to the bit for any number of threads."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu import blas, product_kernels
from tensorgrad.backend.cpu.product_kernels import matmul

SHAPES = {
    "rows": ((700, 65), (65, 130)),
    "columns": ((130, 65), (65, 700)),
    "inner": ((30, 1500), (1500, 20)),
    "one row": ((1, 300), (300, 700)),
    "a stack": ((3, 5, 40, 65), (65, 30)),
}


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch):
    monkeypatch.setattr(product_kernels, "_SMALL", 4)
    monkeypatch.setattr(product_kernels, "_SHARED", 4)
    tg.set_num_threads(3)
    yield
    tg.set_num_threads(None)


def operands(shapes, dtype="float32", order="C"):
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(shape), dtype, order=order) for shape in shapes]


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_products_are_those_of_numpy_for_any_number_of_threads(shapes, dtype, order):
    x1, x2 = operands(shapes, dtype, order)
    found = []
    for threads in (1, 2, 3):
        tg.set_num_threads(threads)
        found.append(matmul(x1, x2))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    expected = np.matmul(x1.astype("float64"), x2.astype("float64"))
    assert found[0].dtype == np.dtype(dtype)
    assert np.max(np.abs(found[0] - expected)) < (1e-3 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize(("left", "expected"), [(product_kernels._matmul, 3), (product_kernels._alone, 1)])
def test_products_below_keep_away_from_threads_that_linger(left, expected, monkeypatch):
    if blas.blas_threads() is None:
        pytest.skip("NumPy runs on another BLAS here")
    seen = []

    def spy(x1, x2, /):
        seen.append(blas.blas_threads())
        return np.matmul(x1, x2)

    monkeypatch.setattr(product_kernels, "_SHARED", 1 << 40)
    monkeypatch.setattr(product_kernels, "_left", spy if left is not product_kernels._alone else left)
    monkeypatch.setattr(product_kernels, "_matmul", spy)
    x1, x2 = operands(SHAPES["rows"])
    assert np.array_equal(matmul(x1, x2), np.matmul(x1, x2))
    assert seen == [expected]


def test_large_products_run_with_openblas_at_one_thread(monkeypatch):
    if blas.blas_threads() is None:
        pytest.skip("NumPy runs on another BLAS here")
    seen = []
    monkeypatch.setattr(
        product_kernels, "_matmul", lambda *args, **keywords: (seen.append(blas.blas_threads()), np.matmul(*args))[1]
    )
    matmul(*operands(SHAPES["inner"]))
    assert set(seen) == {1}
    assert len(seen) > 1
    assert blas.blas_threads() == 3


@pytest.mark.parametrize(
    "shapes", [((3, 4), (5, 6)), ((2, 3, 4), (5, 6)), ((4,), (4,)), ((3, 4), (4,)), ((2, 3, 4), (2, 4, 5))]
)
def test_all_other_operands_are_numpys_own_matter(shapes):
    x1, x2 = operands(shapes)
    try:
        expected = np.matmul(x1, x2)
    except ValueError:
        with pytest.raises(ValueError, match="mismatch"):
            matmul(x1, x2)
    else:
        assert np.array_equal(matmul(x1, x2), expected)


def test_dtypes_that_differ_meet_as_in_numpy():
    x1, x2 = operands(SHAPES["rows"])
    assert matmul(x1, x2.astype("float64")).dtype == np.float64
    assert matmul(x1.astype("int64"), x2.astype("int64")).dtype == np.int64
    assert matmul(x1.astype("complex64"), x2).dtype == np.complex64
