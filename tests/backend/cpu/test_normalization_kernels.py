"""Norms in few passes: where the mean is far from 0, in every layout, and in many blocks."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cpu.row_blocks import BLOCK
from tensorgrad.backend.libraries import NUMPY

pytestmark = pytest.mark.usefixtures("kernels_of_numpy")
GENERATOR = np.random.default_rng(0)


def both(op, *args):
    """What the kernel gives, and what the composition gives, in double precision."""
    wide = [each.astype("float64") if isinstance(each, np.ndarray) else each for each in args]
    return op.op.kernels["numpy"](NUMPY.namespace, *args), op.op.composition(NUMPY.namespace, *wide)


def agree(op, *args, tolerance=2e-5):
    found, expected = both(op, *args)
    for ours, exact in zip(found, expected, strict=True):
        assert ours.shape == exact.shape
        assert ours.dtype == args[0].dtype
        assert np.abs(ours - exact).max() <= tolerance * (1 + np.abs(exact).max())
    return found


def draw(*shape):
    return GENERATOR.normal(size=shape).astype("float32")


@pytest.mark.parametrize("far", [0.0, 100.0])
@pytest.mark.parametrize("positions", [(), (3,), (8, 8)])
def test_channels_far_from_zero_keep_their_digits(far, positions):
    """The mean square less the square of the mean loses all digits at 100; in double precision the rule is the same."""
    x, g, weight, bias = draw(6, 4, *positions) + np.float32(far), draw(6, 4, *positions), draw(4), draw(4)
    tolerance = 2e-5 if far == 0.0 else 2e-3  # x - mean(x) itself is only right to 1e-5 there
    *_, average, rstd = agree(ops.batch_norm_train, x, weight, bias, tolerance=tolerance)
    back = (g, draw(4), draw(4), x, average, rstd, weight)
    agree(ops.batch_norm_train_back, *back, tolerance=tolerance)
    _y, average, rstd = agree(ops.group_norm_parts, x, weight, bias, 2, tolerance=tolerance)
    agree(ops.group_norm_parts_back, g, x, average, rstd, weight, tolerance=tolerance)


def test_rows_far_from_zero_keep_their_digits():
    x, g, weight = draw(9, 33) + np.float32(100), draw(9, 33), draw(33)
    _, average, rstd = agree(ops.layer_norm_rows, x, weight, weight, tolerance=2e-4)
    agree(ops.layer_norm_rows_back, g, x, average, rstd, weight, tolerance=2e-4)


def test_many_blocks_and_other_layouts():
    shape = (3, 8, BLOCK // 64 + 3, 5)
    x, g = draw(*shape), draw(*shape)
    channels_last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    for each in (x, np.moveaxis(channels_last, -1, 1), x[::-1]):
        _, _, _, average, rstd = agree(ops.batch_norm_train, each)
        agree(ops.batch_norm_train_back, g, np.zeros(8, "f"), np.zeros(8, "f"), each, average, rstd, tolerance=2e-4)
    rows = draw(2 * BLOCK // 64 + 3, 64)
    _, average, rstd = agree(ops.layer_norm_rows, rows)
    agree(ops.layer_norm_rows_back, draw(*rows.shape), rows, average, rstd, tolerance=1e-4)
    _, rstd = agree(ops.rms_norm_rows, rows)
    agree(ops.rms_norm_rows_back, draw(*rows.shape), rows, rstd, tolerance=1e-4)


def test_what_blas_does_not_know_is_left_to_the_composition():
    x = draw(3, 4).astype("float16")
    kernel = ops.rms_norm_rows.op.kernels["numpy"]
    for found, expected in zip(
        kernel(NUMPY.namespace, x), ops.rms_norm_rows.op.composition(NUMPY.namespace, x), strict=True
    ):
        assert np.array_equal(found, expected)
    assert ops.layer_norm_rows(np.ones((0, 4), "float32"))[..., 0].shape == (0,)
