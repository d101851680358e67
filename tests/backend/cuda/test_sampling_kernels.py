"""Images at another size for a GPU, run on the processor: every rule there and back, every dtype."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda import sampling_kernels as cuda_sampling_kernels
from tensorgrad.backend.cuda.launch import FLOATS
from tests.cuda_on_cpu import agree, as_dtype, on_cpu, prove

__all__ = ["on_cpu"]

RULES = ("nearest", "nearest-exact", "linear", "cubic", "smooth linear", "smooth cubic")


@pytest.fixture(autouse=True)
def _no_tables(monkeypatch):
    monkeypatch.setattr(cuda_sampling_kernels, "_tables", {})


def test_the_kernel_equals_the_composition(on_cpu, monkeypatch):
    prove(ops.stretch_axis, monkeypatch)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("before", "after"), [(5, 9), (9, 4), (1, 3)])
def test_every_rule_there_and_back(rule, before, after, on_cpu):
    rng = np.random.default_rng(0)
    stretch = (rule, before, after, before / after, False)
    agree(ops.stretch_axis, rng.normal(size=(2, 3, before, 4)), 2, stretch, False)
    agree(ops.stretch_axis, rng.normal(size=(2, 3, after, 4)), 2, stretch, True)
    agree(ops.stretch_axis, rng.normal(size=(2, 3, before)), 2, stretch, False)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_dtype_and_arrays_with_gaps(dtype, on_cpu):
    x = as_dtype(np.random.default_rng(0).normal(size=(4, 5, 3, 2)), dtype).T
    agree(ops.stretch_axis, x, 2, ("linear", 5, 8, 5 / 8, False), False)
    agree(ops.stretch_axis, np.zeros((0, 2, 5), x.dtype), 2, ("linear", 5, 8, 5 / 8, False), False)


def test_tables_are_made_once_and_not_for_ever(on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_sampling_kernels, "KEPT", 2)
    x = np.ones((1, 1, 4))
    for after in (5, 6, 5, 7):
        agree(ops.stretch_axis, x, 2, ("linear", 4, after, 4 / after, False), False)
    assert [key[0][2] for key in cuda_sampling_kernels._tables] == [7]
