"""Indexing and scattering: NumPy's full rules, each kernel the adjoint of the other."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorgrad.backend.cpu import index_kernels
from tensorgrad.backend.cpu.index_kernels import through_host
from tensorgrad.backend.index_parts import is_basic
from tensorgrad.backend.kernels import kernels_of
from tensorgrad.backend.libraries import NUMPY, device_of, on_device, to_numpy

SHAPE = (3, 4, 2)
get, put, scatter = (kernels_of(name)["numpy"] for name in ("getitem", "setitem", "add_at"))


@st.composite
def keys(draw):
    """Any index that NumPy takes into SHAPE."""
    kind = draw(st.sampled_from(["basic", "integer", "integers", "mask", "mixed"]))
    if kind == "basic":
        return draw(hnp.basic_indices(SHAPE, allow_newaxis=True))
    if kind == "integer":
        return draw(
            hnp.arrays(
                "int64", hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4), elements=st.integers(-3, 2)
            )
        )
    if kind == "integers":
        return draw(hnp.integer_array_indices(SHAPE))
    if kind == "mask":
        return draw(hnp.arrays("bool", SHAPE[: draw(st.integers(1, 3))]))
    return (
        slice(1, None),
        draw(hnp.arrays("int64", 3, elements=st.integers(-4, 3))),
        draw(st.sampled_from([0, slice(None)])),
    )


@given(key=keys(), seed=st.integers(0, 9))
def test_add_at_is_the_adjoint_of_getitem(key, seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=SHAPE)
    read = np.asarray(get(np, x, key))
    assert np.array_equal(read, x[key])
    v = generator.normal(size=read.shape)
    spread = scatter(np, v, key, SHAPE)
    assert spread.shape == SHAPE
    assert np.isclose(np.sum(read * v), np.sum(x * spread))
    expected = np.zeros(SHAPE)
    np.add.at(expected, key, v)
    assert np.allclose(spread, expected)


@given(key=keys())
def test_setitem_writes_into_a_copy(key):
    x = np.arange(24.0).reshape(SHAPE)
    written = put(np, x, -1.0, key)
    expected = x.copy()
    expected[key] = -1.0
    assert np.array_equal(written, expected)
    assert np.array_equal(x, np.arange(24.0).reshape(SHAPE))


def test_repeated_rows_are_summed_in_the_order_they_come():
    """float32 sums depend on the order; the same index gives the same bits, however rows are interleaved."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(1000, 3)).astype("float32") * 10.0 ** generator.integers(-4, 4, size=(1000, 1))
    values = values.astype("float32")
    index = generator.integers(0, 5, 1000)
    found = scatter(np, values, index, (5, 3))
    expected = np.zeros((5, 3), "float32")
    for place, value in zip(index, values, strict=True):
        expected[place] += value
    assert np.allclose(found, expected, rtol=1e-4)
    assert np.array_equal(found, scatter(np, values, index, (5, 3)))
    assert np.array_equal(found, scatter(np, values, index - 5, (5, 3)))  # negative places are the same rows


def test_add_at_keeps_the_dtype_and_takes_empty_indices():
    for dtype in ("float32", "float64", "complex64", "int64"):
        assert scatter(np, np.ones(2, dtype), np.array([1, 1]), (3,)).dtype == dtype
    assert scatter(np, np.ones((0, 2)), np.zeros(0, "int64"), (3, 2)).tolist() == np.zeros((3, 2)).tolist()
    assert scatter(np, np.ones((0, 2)), np.zeros(0, "int64"), (0, 2)).shape == (0, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int64"])
@pytest.mark.parametrize(("rows", "named"), [(5, 1000), (100_000, 50)])
def test_pairs_of_places_are_summed_exactly_in_tables_of_any_length(dtype, rows, named):
    """A short table is summed by counting, a long one by sorting; both to the last bits of the dtype."""
    generator = np.random.default_rng(0)
    values = generator.uniform(0, 100, size=(named, 2)).astype(dtype)
    if dtype == "complex64":
        values += 1j * generator.uniform(0, 100, size=(named, 2)).astype("float32")
    key = (np.full(named, -2), generator.integers(-2, 2, named))
    wide = "int64" if dtype == "int64" else "complex128" if dtype == "complex64" else "float64"
    expected = np.zeros((rows, 2, 2), wide)
    np.add.at(expected, key, values.astype(wide))
    found = scatter(np, values, key, (rows, 2, 2))
    assert found.dtype == dtype
    precision = 0 if dtype == "int64" else 4 * np.finfo(dtype).eps
    assert np.allclose(found, expected, rtol=max(precision, 1e-14 * (dtype != "int64")), atol=0)


@pytest.mark.parametrize("rows", [5, 256, 257])
def test_wide_rows_of_tables_short_and_long_are_summed_alike(rows):
    generator = np.random.default_rng(0)
    values, index = generator.normal(size=(400, 20)), generator.integers(-rows, rows, 400)
    values[7] = np.inf
    expected = np.zeros((rows, 20))
    np.add.at(expected, index, values)
    assert np.allclose(scatter(np, values, index, (rows, 20)), expected, rtol=1e-12)


def test_a_short_table_is_summed_without_scipy():
    code = (
        "import sys, numpy as np, tensorgrad as tg\n"
        "x = tg.ones((65, 128), device='cpu', requires_grad=True)\n"
        "x[np.arange(2048) % 65].sum().backward()\n"
        "assert x.grad[0, 0].item() == 32 and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_many_wide_rows_are_summed_block_by_block():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3000, 300))
    index = generator.integers(0, 4, 3000)
    expected = np.stack([values[index == row].sum(axis=0) for row in range(4)])
    assert np.allclose(scatter(np, values, index, (4, 300)), expected, rtol=1e-12)


@pytest.mark.parametrize("key", [np.array([0, 3]), (np.array([0]), np.array([-5])), (np.array([1, 3]), 0)])
def test_places_that_are_not_there_are_refused(key):
    with pytest.raises(IndexError, match=r"index (3|-5) is out of bounds for axis (0|1) with size (3|4)"):
        scatter(np, np.ones(()), key, (3, 4))


def test_basic_indices_name_no_element_twice():
    for key in (0, np.int64(1), slice(None), None, Ellipsis, (0, slice(1, 2), None, ...)):
        assert is_basic(key)
    for key in (True, np.array([0]), [0], (0, np.array([True])), (slice(None), True)):
        assert not is_basic(key)


def test_a_kernel_goes_through_host_memory_where_a_library_lacks_it():
    strict = on_device("strict")
    doubled = through_host(lambda xp, x, key: xp.multiply(x[key], 2.0))
    x = strict.from_numpy(np.arange(4.0))
    index = strict.from_numpy(np.array([3, 0]))
    found = doubled(strict.namespace, x, (index,))
    assert device_of(found) == "strict"
    assert to_numpy(found).tolist() == [6.0, 0.0]


@given(key=keys())
def test_the_strict_library_indexes_as_numpy_does(key):
    strict = on_device("strict")
    array = np.arange(24.0).reshape(SHAPE)
    x = strict.from_numpy(array)
    by = {name: kernels_of(name)["strict"] for name in ("getitem", "setitem", "add_at")}
    read = by["getitem"](strict.namespace, x, key)
    assert np.array_equal(to_numpy(read), array[key])
    value = strict.from_numpy(np.full(array[key].shape, 5.0))
    assert np.array_equal(to_numpy(by["setitem"](strict.namespace, x, value, key)), put(np, array, 5.0, key))
    assert np.array_equal(
        to_numpy(by["add_at"](strict.namespace, read, key, SHAPE)), scatter(np, array[key], key, SHAPE)
    )


def test_the_kernels_are_registered_for_all_libraries():
    for name in ("getitem", "setitem", "add_at"):
        assert set(kernels_of(name)) == {"cupy", "numpy", "strict"}
    assert index_kernels.NUMPY is NUMPY
    with pytest.raises(IndexError, match="out of bounds"):
        get(np, np.ones(3), 5)


def test_many_rows_are_taken_by_blocks():
    generator = np.random.default_rng(0)
    table = generator.normal(size=(50, 300))
    rows = generator.integers(-50, 50, (41, 100))
    assert np.array_equal(get(np, table, (rows,)), table[rows])
    assert np.array_equal(get(np, table[:, ::-1], (rows.astype("int8"),)), table[:, ::-1][rows])
    with pytest.raises(IndexError, match="index 50 is out of bounds for axis 0 with size 50"):
        get(np, table, (np.where(rows == 3, 50, rows),))


@pytest.mark.parametrize(("rows", "in_order"), [(100, False), (1000, True)])
def test_wide_rows_are_summed_the_same_way_each_time(rows, in_order):
    """Those of a long table to the last bit as one after another."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3000, 20)).astype("float32")
    index = np.where(generator.random(3000) < 0.2, 7, generator.integers(0, rows, 3000))
    expected = np.zeros((rows, 20))
    np.add.at(expected, index, values.astype("float64"))
    found = scatter(np, values, (index,), (rows, 20))
    assert found.dtype == "float32"
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.array_equal(found, scatter(np, values, (index,), (rows, 20)))
    one_by_one = np.zeros((rows, 20), "float32")
    np.add.at(one_by_one, index, values)
    assert np.array_equal(found, one_by_one) == in_order
