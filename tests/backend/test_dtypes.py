"""dtypes: NumPy's objects, and the default."""

import numpy as np
import pytest

from tensorgrad.backend.dtypes import complex_of, get_default_dtype, is_inexact, names, natural, set_default_dtype


@pytest.fixture(autouse=True)
def _leave_the_default_as_it_was():
    yield
    set_default_dtype("float32")


def test_the_default_is_float32_until_it_is_set():
    assert get_default_dtype() == np.dtype("float32")
    set_default_dtype("float64")
    assert get_default_dtype() == np.dtype("float64")
    set_default_dtype(np.float32)
    assert get_default_dtype() == np.dtype("float32")
    assert isinstance(get_default_dtype(), np.dtype)


@pytest.mark.parametrize("dtype", ["int64", "complex64", "float16", "bool", np.uint8])
def test_only_float32_and_float64_are_defaults(dtype):
    set_default_dtype("float64")
    with pytest.raises(TypeError, match=f"set_default_dtype: expected float32 or float64, got {np.dtype(dtype)}"):
        set_default_dtype(dtype)
    assert get_default_dtype() == np.dtype("float64")


def test_python_numbers_have_a_natural_dtype():
    assert [natural(value) for value in (True, 1, 1.0, 1j)] == ["bool", "int64", "float32", "complex64"]
    set_default_dtype("float64")
    assert [natural(value) for value in (True, 1, 1.0, 1j)] == ["bool", "int64", "float64", "complex128"]


def test_the_complex_dtype_has_the_precision_of_the_real_one():
    assert complex_of("float32") == np.dtype("complex64")
    assert complex_of(np.float64) == np.dtype("complex128")


def test_floating_and_complex_values_carry_gradients():
    assert [name for name in names if is_inexact(np.dtype(name))] == ["float32", "float64", "complex64", "complex128"]
    assert len(names) == len(set(names)) == 13
