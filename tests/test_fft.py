"""`tensorgrad.fft`: the vocabulary's Fourier transforms under the standard's name, and frequencies as tensors."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import fft, ops
from tests.small_ops import leaf


def test_it_is_an_attribute_of_the_package_and_holds_what_ops_holds():
    assert tg.fft is fft
    assert fft.__all__ == ops.fft.__all__
    transforms = [name for name in fft.__all__ if not name.endswith("freq")]
    assert all(getattr(fft, name) is getattr(ops.fft, name) for name in transforms)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_frequencies_are_tensors(n):
    for ours, numpys in ((fft.fftfreq, np.fft.fftfreq), (fft.rfftfreq, np.fft.rfftfreq)):
        found = ours(n, d=0.25, dtype=tg.float64)
        assert isinstance(found, tg.Tensor)
        assert found.device == tg.ones(1).device
        assert found.tolist() == numpys(n, 0.25).tolist()
        assert ours(n, requires_grad=True).requires_grad
        assert ours(n).dtype == tg.float32


def test_a_filter_made_of_transforms_has_a_gradient():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    kept = fft.rfft(x) * tg.asarray([1.0, 0.0, 0.0], dtype=tg.float64)
    (fft.irfft(kept)[0] * 4.0).backward()  # four times the mean
    np.testing.assert_allclose(x.grad.tolist(), [1.0, 1.0, 1.0, 1.0], rtol=1e-12)
