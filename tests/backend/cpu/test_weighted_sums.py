"""blend is keep * y + weight * x, whichever way it is computed."""

import numpy as np
import pytest

from tensorgrad.backend import as_array, default_device, to_numpy
from tensorgrad.backend.cpu import blas
from tensorgrad.backend.cpu.weighted_sums import _routine, blend

SIZES = [0, 1, 7, (1 << 13) - 1, 1 << 13, 10_007]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_the_sum_is_as_written(dtype, size):
    rng = np.random.default_rng(size)
    y, x = (rng.normal(size=size).astype(dtype) for _ in range(2))
    expected = 0.75 * y + -0.3 * x
    blend(y, 0.75, x, -0.3)
    np.testing.assert_allclose(y, expected, rtol=1e-3 if dtype == "float16" else 1e-6, atol=np.finfo(dtype).eps * 8)
    assert y.dtype == dtype


@pytest.mark.parametrize(
    ("y", "x"),
    [
        (np.ones((200, 100)).T, np.full((100, 200), 2.0)),
        (np.ones(20_000)[::2], np.full(10_000, 2.0)),
        (np.ones((100, 200)), np.broadcast_to(np.full(200, 2.0), (100, 200))),
        (np.ones(10_000, np.float32), np.full(10_000, 2.0)),
        (np.ones((100, 200)), np.full(200, 2.0)),
    ],
    ids=["transposed", "every second", "broadcast", "another dtype", "fewer axes"],
)
def test_arrays_may_lie_in_memory_as_they_like(y, x):
    blend(y, 0.5, x, 3.0)
    assert np.all(y == 6.5)


def test_x_may_be_y_and_may_be_read_only():
    y = np.arange(10_000.0)
    blend(y, 1, y, -1)
    assert not y.any()
    x = np.ones(10_000)
    x.flags.writeable = False
    blend(y, 1, x, 2.0)
    assert np.all(y == 2)


def test_what_may_not_be_written_is_refused():
    y = np.ones(10_000)
    y.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        blend(y, 0.5, np.ones(10_000), 1.0)


def test_arrays_of_any_library():
    y, x = (as_array(values, device=default_device()) for values in ([1.0, 2.0], [4.0, 8.0]))
    blend(y, 0.5, x, 0.25)
    assert to_numpy(y).tolist() == [1.5, 3.0]


def test_the_routine_is_found_where_openblas_is():
    assert (_routine("f") is not None) == (blas.blas_threads() is not None)
    assert _routine("e") is None
