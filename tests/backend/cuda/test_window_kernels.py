"""Windows for a GPU, run on the processor: one to three axes, moves of every kind, all dtypes."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda.launch import FLOATS, Source
from tests.cuda_on_cpu import agree, as_dtype, on_cpu, prove

__all__ = ["on_cpu"]

# size, kernel, stride, padding, dilation
MOVES = [
    ((7,), (3,), (2,), ((1, 0),), (1,)),
    ((5, 6), (2, 3), (1, 2), ((0, 1), (2, 2)), (2, 1)),
    ((4, 5, 3), (2, 1, 3), (2, 3, 1), ((1, 1), (0, 0), (1, 2)), (1, 1, 2)),
    ((6, 6), (3, 3), (4, 4), ((0, 0), (0, 0)), (1, 1)),  # some pixels are in no window
]


@pytest.mark.parametrize("op", [ops.unfold_windows, ops.fold_windows], ids=lambda op: op.__name__)
def test_kernels_equal_the_composition(op, on_cpu, monkeypatch):
    prove(op, monkeypatch)


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), MOVES, ids=str)
@pytest.mark.parametrize("images", [(2, 3), (0, 3), (3, 0)], ids=str)
def test_every_window_of_lines_images_and_volumes(size, kernel, stride, padding, dilation, images, on_cpu):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(*images, *size))
    agree(ops.unfold_windows, x, kernel, stride, padding, dilation)
    columns = ops.unfold_windows(x, kernel, stride, padding, dilation)
    agree(ops.fold_windows, rng.normal(size=columns.shape), size, kernel, stride, padding, dilation)


@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "bool"])
def test_windows_of_every_dtype(dtype, on_cpu):
    x = as_dtype(np.random.default_rng(0).integers(0, 2, (2, 2, 5)), dtype)
    agree(ops.unfold_windows, x, (2,), (1,), ((1, 1),), (2,))


def test_images_with_gaps_and_wide_indices(on_cpu, monkeypatch):
    plain = Source.launch
    monkeypatch.setattr(
        Source, "launch", lambda self, name, blocks, of, given, _, *rest: plain(self, name, blocks, of, given, 1 << 40)
    )
    x = np.random.default_rng(0).normal(size=(6, 5, 3, 2)).T
    agree(ops.unfold_windows, x, (2, 3), (1, 2), ((1, 1), (0, 2)), (1, 1))
    columns = np.random.default_rng(1).normal(size=(2, 3 * 6, 5 * 3))
    agree(ops.fold_windows, columns, (5, 4), (2, 3), (1, 1), ((0, 1), (0, 1)), (1, 1))
