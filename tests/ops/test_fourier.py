"""The ops of ops/fourier.py under all laws, and their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.fourier import CASES
from tests.proof import every, prove
from tests.small_ops import leaf


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_precision_is_kept_and_integers_become_the_default_dtype() -> None:
    for given, real, of_complex in (("int64", "float32", "complex64"), ("float32", "float32", "complex64")):
        x = tg.ones(4, dtype=given)
        assert {str(f(x).dtype) for f in (tg.fft.fft, tg.fft.ifft, tg.fft.rfft, tg.fft.ihfft)} == {of_complex}
        assert {str(f(x).dtype) for f in (tg.fft.irfft, tg.fft.hfft)} == {real}
    assert str(tg.fft.fft(tg.ones(4, dtype="float64")).dtype) == "complex128"


def test_axes_default_to_the_last_where_only_lengths_are_given() -> None:
    x = tg.ones((2, 3, 4))
    assert tg.fft.fftn(x).tolist() == tg.fft.fftn(x, axes=(0, 1, 2)).tolist()
    assert tg.fft.fftn(x, s=(5, 6)).shape == (2, 5, 6)
    assert tg.fft.rfftn(x, s=(5, 6)).shape == (2, 5, 4)
    assert tg.fft.irfftn(x, s=(5, 6)).shape == (2, 5, 6)
    assert tg.fft.irfftn(x).shape == (2, 3, 6)
    assert tg.fft.irfft(x, axis=0).shape == (2, 3, 4)


def test_the_gradient_of_a_real_array_is_real() -> None:
    x = leaf([1.0, 2.0, 4.0])
    (tg.abs(tg.fft.fft(x)) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [6.0, 12.0, 24.0], rtol=1e-12)  # Parseval: n times the squares


def test_what_irfft_does_not_look_at_has_no_gradient() -> None:
    x = tg.asarray([1.0 + 2j, 3.0 + 4j, 5.0 + 6j], dtype="complex128", requires_grad=True)
    (tg.fft.irfft(x) * tg.asarray([1.0, 2.0, 3.0, 5.0], dtype="float64")).sum().backward()
    assert x.grad.tolist()[0].imag == 0.0
    assert x.grad.tolist()[2].imag == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tg.fft.fft(x, norm="half"), "fft: norm is 'half'; it may be 'backward', 'ortho' or 'forward'"),
        (lambda x: tg.fft.hfft(x, norm="half"), "hfft: norm is 'half'"),
        (lambda x: tg.fft.ifft(x, n=0), "ifft: the length along axis 1 is 0; it must be above 0"),
        (lambda x: tg.fft.fft(x, axis=2), "fft: axis 2 is out of bounds"),
        (lambda x: tg.fft.fftn(x, axes=(0, 0)), "fftn: the same axis is named twice"),
        (lambda x: tg.fft.rfftn(x, s=(2,), axes=(0, 1)), "rfftn: s has 1 lengths for 2 axes"),
        (lambda x: tg.fft.irfft(x[:, :1]), "irfft: one number along axis 1 gives none without n"),
        (lambda x: tg.fft.fftn(x[0, 0]), "fftn: there is no axis to transform"),
        (lambda x: tg.fft.fftfreq(0), "fftfreq: n is 0; there must be at least one sample"),
        (lambda x: tg.fft.rfftfreq(0), "rfftfreq: n is 0"),
    ],
)
def test_what_does_not_fit_is_said(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(".", r"\.")):
        call(tg.ones((2, 3)))


@pytest.mark.parametrize("name", ["rfft", "rfftn", "ihfft"])
def test_transforms_of_real_numbers_refuse_complex_ones(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected real numbers, got complex64; take real"):
        getattr(tg.fft, name)(tg.asarray([1j, 2.0]))
