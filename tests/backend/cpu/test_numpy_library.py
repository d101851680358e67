"""NumPy as the kernels see it: the replaced functions give what NumPy's own give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorgrad.backend.cpu import numpy_library
from tensorgrad.backend.cpu.numpy_library import namespace as xp
from tensorgrad.backend.cpu.numpy_library import settle

DTYPES = ["bool", "int8", "uint8", "int64", "float32", "float64", "complex64"]


@st.composite
def arrays_and_axes(draw, min_side=0):
    shape = hnp.array_shapes(min_dims=0, max_dims=3, min_side=min_side, max_side=4)
    array = draw(hnp.arrays("int8", shape, elements=st.integers(0, 3))).astype(draw(st.sampled_from(DTYPES)))
    axes = st.integers(-array.ndim, array.ndim - 1) if array.ndim else st.none()
    some = st.lists(st.integers(0, max(array.ndim - 1, 0)), unique=True, max_size=array.ndim).map(tuple)
    return array, draw(st.one_of(st.none(), axes, some)), draw(st.booleans())


@pytest.mark.parametrize("name", ["sum", "prod"])
@given(drawn=arrays_and_axes())
def test_sums_and_products_are_numpys_and_accumulate_small_integers_in_64_bits(name, drawn):
    array, axis, keepdims = drawn
    found, expected = getattr(xp, name)(array, axis=axis, keepdims=keepdims), getattr(np, name)(array, axis, None)
    assert np.shape(found) == getattr(np, name)(array, axis, keepdims=keepdims).shape
    assert np.array_equal(np.ravel(found), np.ravel(expected))
    wide = {"b": "int64", "i": "int64", "u": "uint64"}.get(array.dtype.kind, array.dtype)
    assert found.dtype == wide


def test_a_sum_may_be_told_its_dtype():
    assert xp.sum(np.ones(3, "float32"), dtype=np.float64).dtype == np.float64
    assert xp.prod(np.ones(3, "int8"), dtype=np.int8).dtype == np.int8


@pytest.mark.parametrize("name", ["max", "min"])
@given(drawn=arrays_and_axes(min_side=1))
def test_extremes_are_numpys(name, drawn):
    array, axis, keepdims = drawn
    found, expected = (getattr(lib, name)(array, axis=axis, keepdims=keepdims) for lib in (xp, np))
    assert np.array_equal(found, expected)
    assert found.dtype == expected.dtype


@given(drawn=arrays_and_axes(min_side=1))
def test_means_are_numpys(drawn):
    array, axis, keepdims = drawn
    found, expected = (lib.mean(array, axis=axis, keepdims=keepdims) for lib in (xp, np))
    assert np.allclose(found, expected)
    assert np.shape(found) == np.shape(expected)
    assert found.dtype == expected.dtype


@given(drawn=arrays_and_axes())
def test_counts_are_numpys_and_have_a_dtype_in_every_version(drawn):
    array, axis, keepdims = drawn
    found = xp.count_nonzero(array, axis=axis, keepdims=keepdims)
    assert np.array_equal(found, np.count_nonzero(array, axis=axis, keepdims=keepdims))
    assert found.dtype == np.int64
    assert xp.count_nonzero(np.asarray([np.nan, 0.0, -0.0, 1j])) == 2


def test_a_mean_of_nothing_is_nan_without_a_warning():
    assert np.isnan(xp.mean(np.ones((0,))))
    assert np.isnan(xp.mean(np.ones((2, 0), "float32"), axis=1)).tolist() == [True, True]
    assert xp.mean(np.ones((2, 0), "float32"), axis=1).dtype == np.float32
    assert xp.mean(np.ones((2, 0)), axis=0).shape == (0,)


def test_a_mean_of_more_elements_than_the_dtype_counts():
    assert xp.mean(np.ones(200, "int8")) == 1.0
    assert xp.mean(np.full(300, 255, "uint8")) == 255.0


def test_astype_takes_the_real_part_without_a_warning():
    assert xp.astype(np.array([1 + 2j]), np.float64).tolist() == [1.0]
    array = np.ones(2)
    assert xp.astype(array, np.float64, copy=False) is array
    assert xp.astype(array, np.float64) is not array


def test_isdtype_takes_dtypes_in_any_spelling():
    assert xp.isdtype(np.dtype("float32"), "real floating")
    assert xp.isdtype(np.float32, "real floating")
    assert not xp.isdtype(np.dtype("int8"), ("bool", "complex floating"))


@pytest.mark.parametrize("dtype", [*DTYPES, "uint64", "complex128", "float16"])
def test_isdtype_answers_as_numpys_own(dtype):
    kinds = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")
    for kind in (*kinds, ("bool", "numeric"), np.dtype("int64")):
        assert xp.isdtype(dtype, kind) is bool(np.isdtype(np.dtype(dtype), kind))
    with pytest.raises(ValueError, match="floating"):
        xp.isdtype(dtype, "floating")


def test_whatever_is_not_replaced_is_numpys_own():
    assert xp.exp is np.exp
    assert xp.outer is np.outer
    assert xp.linalg is np.linalg
    assert vars(xp)["exp"] is np.exp  # looked up once
    with pytest.raises(AttributeError, match="there_is_no_such_function"):
        _ = xp.there_is_no_such_function


def test_dtypes_are_dtype_objects():
    assert isinstance(xp.float32, np.dtype)
    assert isinstance(xp.bool, np.dtype)
    assert xp.int64 == np.int64


def test_settle():
    assert type(settle(np.float64(1.0))) is np.ndarray
    array = np.ones(())
    assert settle(array) is array


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("axis", [(0, 2, 3), (0, -1, -2), (0, 1, 2), (2, 3)])
@pytest.mark.parametrize("last", [True, False])
def test_sums_of_large_arrays_are_numpys_in_either_order_of_memory(dtype, axis, last):
    x = np.random.default_rng(0).integers(-9, 9, (8, 16, 24, 32)).astype(dtype)
    if last:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    for keepdims in (True, False):
        for name in ("sum", "mean"):
            found, expected = (getattr(lib, name)(x, axis=axis, keepdims=keepdims) for lib in (xp, np))
            assert found.shape == expected.shape
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("axis", [(0, 2, 3), (2, 0, -1), (1, 2, 3), (0, 1, 2)])
def test_sums_of_large_arrays_by_pieces_are_numpys(axis, monkeypatch):
    monkeypatch.setattr(numpy_library, "_SHARED", 1 << 12)
    monkeypatch.setattr(numpy_library, "_PIECE", 1 << 10)
    x = np.random.default_rng(0).normal(size=(8, 16, 24, 32)).astype("float32")
    taken = [xp.sum(x, axis=axis, keepdims=keepdims) for keepdims in (False, True)]
    for found, keepdims in zip(taken, (False, True), strict=True):
        np.testing.assert_allclose(found, np.sum(x, axis=axis, keepdims=keepdims, dtype="float64"), atol=1e-3)
        assert found.dtype == "float32"
        assert found.shape == np.sum(x, axis=axis, keepdims=keepdims).shape
    monkeypatch.setattr(numpy_library, "share", lambda function, pieces: [function(piece) for piece in pieces])
    assert np.array_equal(xp.sum(x, axis=axis), taken[0])  # to the last bit
