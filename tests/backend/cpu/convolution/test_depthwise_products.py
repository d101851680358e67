"""Each channel on its own: the same as windows written out channel by channel, at any geometry and size of block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorgrad.backend import kernels_of
from tensorgrad.backend.cpu.convolution import depthwise_products

pytestmark = pytest.mark.numpy_only(reason="the kernels are NumPy's")

# Image, kernel, stride, padding, dilation, results for each channel.
SHAPES: list[Any] = [
    ((9, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((9, 8), (3, 2), (1, 1), ((2, 0), (0, 1)), (1, 2), 2),
    ((9, 8), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1),
    ((11, 8), (2, 3), (3, 2), ((0, 0), (1, 2)), (1, 1), 3),
    ((7,), (3,), (1,), ((1, 1),), (1,), 1),
    ((4, 5, 6), (3, 2, 3), (1, 2, 1), ((1, 1), (0, 0), (1, 1)), (1, 1, 1), 1),
]


def _readings(shape: Any, dtype: str = "f8") -> list[Any]:
    size, kernel, stride, padding, dilation, m = shape
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, 16, *size)).astype(dtype), rng.normal(size=(16 * m, 1, *kernel)).astype(dtype)
    run = {name: kernels_of(f"correlate_windows{name}")["numpy"] for name in ("", "_x", "_weight")}
    moves = (stride, padding, dilation, 16)
    y = run[""](np, x, weight, *moves, rng.normal(size=16 * m).astype(dtype))
    image = run["_x"](np, y, weight, x.shape[2:], *moves, rng.normal(size=16).astype(dtype))
    return [y, image, run["_weight"](np, x, y, weight.shape[2:], *moves)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("block", [1, 200, 1 << 17])
def test_channels_on_their_own(shape: Any, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise_products, "LEAST", 1 << 30)
    expected = _readings(shape)
    monkeypatch.setattr(depthwise_products, "LEAST", 16)
    monkeypatch.setattr(depthwise_products, "_BLOCK", block)
    used: list[Any] = []
    plain = depthwise_products.correlating
    monkeypatch.setattr(
        depthwise_products, "correlating", lambda *arguments: used.append(arguments) or plain(*arguments)
    )
    for found, other in zip(_readings(shape), expected, strict=True):
        np.testing.assert_allclose(found, other, atol=1e-10)
    assert used


def test_results_lie_with_their_channels_last() -> None:
    y, image, _ = _readings(SHAPES[0], "f4")
    for found in (y, image):
        assert np.moveaxis(found, 1, -1).flags.c_contiguous
        assert found.dtype == np.float32
