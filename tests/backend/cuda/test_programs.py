"""What a program calls on a GPU; programs themselves are run in tests/program/test_on_gpu.py."""

import operator

import numpy as np
import pytest

from tensorgrad.backend.cpu.numpy_library import namespace
from tensorgrad.backend.cuda.programs import counterpart, functions_for, is_on_gpu, is_real, store
from tests.cuda_on_cpu import on_cpu

__all__ = ["on_cpu"]


class Other:
    sum = "sum"
    count_nonzero = "count"

    class linalg:
        inv = "inv"


def test_functions_are_found_by_name():
    assert counterpart(np.sum, Other) == "sum"
    assert counterpart(np.linalg.inv, Other) == "inv"
    assert counterpart(np.linalg.det, Other) is None
    assert counterpart(namespace.count_nonzero, Other) == "count"
    assert counterpart(len, Other) is len
    assert counterpart(operator.add, Other) is operator.add


def test_the_module_of_an_array_has_its_functions():
    assert functions_for(np.zeros(1)) is np


def test_arrays_in_host_memory_are_real_and_on_no_gpu():
    assert is_real(np.zeros(1))
    assert not is_on_gpu(np.zeros(1))
    assert not is_real([1.0])


@pytest.mark.parametrize("count", [1, 16, 17, 40])
def test_numbers_are_stored_by_launches(count, on_cpu):
    numbers = np.full(count, np.nan)
    values = [1, True, *np.linspace(-1, 1, 38).tolist()][:count]
    store(numbers, values)
    np.testing.assert_array_equal(numbers, values)
