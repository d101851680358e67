"""Kernels of one pixel: the layout in memory is kept, whatever it is, and pieces change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorgrad.backend.cpu.convolution import pointwise_products
from tensorgrad.backend.cpu.convolution.pointwise_products import correlated, correlated_filters


def _laid(x: Any, last: bool) -> Any:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else np.ascontiguousarray(x)


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
@pytest.mark.parametrize("last", [True, False])
def test_correlated(last: bool, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointwise_products, "_BLOCK", block)
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(5, 3, 4, 6)), rng.normal(size=(2, 3)), rng.normal(size=2)
    found = correlated(_laid(x, last), weight, bias)
    np.testing.assert_allclose(found, np.einsum("nchw,oc->nohw", x, weight) + bias[:, None, None], atol=1e-12)
    assert (np.moveaxis(found, 1, -1) if last else found).flags.c_contiguous


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
@pytest.mark.parametrize("x_last", [True, False])
@pytest.mark.parametrize("y_last", [True, False])
def test_correlated_filters(x_last: bool, y_last: bool, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointwise_products, "_BLOCK", block)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3, 4, 6)), rng.normal(size=(50, 2, 4, 6))
    found = correlated_filters(_laid(x, x_last), _laid(y, y_last))
    np.testing.assert_allclose(found, np.einsum("nchw,nohw->oc", x, y), atol=1e-10)


def test_of_no_images_the_gradient_is_zero() -> None:
    np.testing.assert_array_equal(correlated_filters(np.ones((0, 3, 4)), np.ones((0, 2, 4))), np.zeros((2, 3)))
