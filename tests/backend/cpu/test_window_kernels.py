"""Windows by strides: a view that is copied once, and a fold that adds in place. The law "kernels" compares both
with their compositions; here stands what a law cannot see.
"""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import kernels_of


@pytest.mark.numpy_only(reason="the kernels are NumPy's")
def test_unfold_of_a_strided_image_reads_the_strided_pixels() -> None:
    image = np.arange(64.0).reshape(1, 1, 8, 8)[:, :, ::2, ::-2]
    found = kernels_of("unfold_windows")["numpy"](None, image, (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    expected = [image[0, 0, i : i + 3, j : j + 3].ravel() for i in range(2) for j in range(2)]
    np.testing.assert_array_equal(found[0], expected)


@pytest.mark.numpy_only(reason="the kernels are NumPy's")
def test_unfold_gives_memory_of_its_own() -> None:
    image = np.ones((1, 1, 2, 2))
    found = kernels_of("unfold_windows")["numpy"](None, image, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    found[...] = 7.0
    assert image.sum() == 4.0


def test_a_kernel_larger_than_the_image_is_refused_before_any_kernel_runs() -> None:
    with pytest.raises(ValueError, match=r"unfold: the kernel \(3, 3\) .* does not fit into an image of 2 x 2"):
        tg.unfold(tg.ones((1, 1, 2, 2)), 3)
