"""What pixels read: weights that sum to one, places inside, and a way back that is the transpose."""

import numpy as np
import pytest

from tensorgrad.backend.stretch_taps import cubic_weights, taps_back, taps_of

RULES = ("nearest", "nearest-exact", "linear", "cubic", "smooth linear", "smooth cubic")


def matrix(places, weights, size):
    """The taps as a matrix.   -> (after, before)"""
    found = np.zeros((len(places), size))
    np.add.at(found, (np.arange(len(places))[:, None], places), weights)
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("before", "after"), [(5, 9), (9, 4), (6, 6), (1, 3)])
@pytest.mark.parametrize("align_corners", [True, False])
def test_weights_sum_to_one_and_the_way_back_is_the_transpose(rule, before, after, align_corners):
    stretch = (rule, before, after, before / after, align_corners)
    there = matrix(*taps_of(stretch), before)
    np.testing.assert_allclose(there.sum(axis=1), 1.0)
    np.testing.assert_allclose(matrix(*taps_back(stretch), after), there.T, atol=1e-12)


def test_a_cubic_kernel_on_a_pixel_reads_that_pixel():
    assert [float(each) for each in cubic_weights(np.float64(0.0))] == [0.0, 1.0, 0.0, 0.0]
