"""The GPU's random words and values, run on the processor, against NumPy's generator."""

import numpy as np
import pytest

from tensorgrad.backend import kernels
from tensorgrad.random import Generator
from tests.cuda_on_cpu import on_cpu

__all__ = ["on_cpu"]


def made(xp, kind, key, counter, count, dtype):
    return kernels.kernels_of("random_values")["cupy"](xp, None, kind, key, counter, count, np.dtype(dtype))


@pytest.mark.parametrize("counter", [0, 2**64 - 3, 2**128 - 2, 2**192 - 1, 12345678901234567890123])
@pytest.mark.parametrize("count", [0, 1, 6, 16, 2500])
def test_words_are_numpys(count, counter, on_cpu):
    key = 0x0123456789ABCDEF_FEDCBA9876543210
    expected = np.random.Philox(key=key, counter=counter).random_raw(count)
    assert np.array_equal(made(on_cpu, "words", key, counter, count, "uint64"), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 6, 1001])
def test_values_are_those_of_the_cpu(count, dtype, on_cpu):
    here = Generator(11, device="cpu")
    assert np.array_equal(made(on_cpu, "uniform", 11, 0, count, dtype), here.random(count, dtype=dtype).numpy())
    here.set_state({"key": 11, "counter": 0})
    expected = here.standard_normal(count, dtype=dtype).numpy()
    np.testing.assert_allclose(made(on_cpu, "normal", 11, 0, count, dtype), expected, atol=1e-6, rtol=0)
    here.set_state({"key": 11, "counter": 0})
    expected = here.exponential(size=count, dtype=dtype).numpy()
    np.testing.assert_allclose(made(on_cpu, "exponential", 11, 0, count, dtype), expected, rtol=1e-6)
