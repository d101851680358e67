"""A chain does what its ufuncs do, one after another."""

from importlib.util import find_spec

import numpy as np
import pytest

from tensorgrad.backend.numba.chains import MOST, NUMBERS, UFUNCS, Chain, chain_loop, compiled_chains

POSITIVE = {np.sqrt, np.log}


@pytest.fixture(params=["as Python", "compiled"])
def loop_for(request):
    if request.param == "as Python":
        return lambda dtype: chain_loop
    if find_spec("numba") is None:
        pytest.skip("numba is not installed (the extra `fast`)")
    return compiled_chains


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("size", [1, 4, MOST])
def test_every_ufunc_is_itself(loop_for, dtype, size):
    """Arithmetic and roots to the bit; what a C library computes to a few units."""
    rng = np.random.default_rng(size)
    for ufunc in UFUNCS:
        registers = rng.normal(size=(3, size)).astype(dtype) * 3
        if ufunc in POSITIVE:
            registers = np.abs(registers) + np.asarray(0.1, dtype)
        expected = ufunc(*registers[: ufunc.nin])
        Chain([(NUMBERS[ufunc], 0, ufunc.nin - 1, 2)], registers, loop_for(dtype))()
        assert registers.dtype == dtype
        if ufunc in (np.exp, np.log, np.sin, np.cos, np.tanh):
            np.testing.assert_allclose(registers[2], expected, rtol=8 * np.finfo(dtype).eps, err_msg=str(ufunc))
        else:
            np.testing.assert_array_equal(registers[2], expected, err_msg=str(ufunc))


def test_nan_passes_through_the_larger_and_the_smaller(loop_for):
    nan = np.nan
    for ufunc in (np.maximum, np.minimum):
        registers = np.asarray([[nan, 1, nan, 2, -np.inf], [0, nan, nan, 1, np.inf], [0] * 5], "f")
        Chain([(NUMBERS[ufunc], 0, 1, 2)], registers, loop_for("f"))()
        np.testing.assert_array_equal(registers[2], ufunc(registers[0], registers[1]))


def test_a_result_may_lie_where_an_operand_was(loop_for):
    registers = np.asarray([[1.0, 2.0], [3.0, 4.0]], "f")
    code = [(NUMBERS[np.add], 0, 1, 0), (NUMBERS[np.multiply], 0, 0, 1), (NUMBERS[np.negative], 1, 1, 1)]
    Chain(code, registers, loop_for("f"))()
    np.testing.assert_array_equal(registers, [[4, 6], [-16, -36]])
