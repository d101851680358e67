"""Windows by blocks: the size of a block changes nothing, and never are all windows written out at once."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tensorgrad.backend import kernels_of
from tensorgrad.backend.cpu.convolution import column_products

pytestmark = pytest.mark.numpy_only(reason="the kernels are NumPy's")
_GEOMETRY: Any = ((2, 1), ((1, 0), (1, 1)), (1, 2), 2)  # stride, padding, dilation, groups


def _readings(x: Any, weight: Any) -> list[Any]:
    """The three readings at one geometry."""
    run = {name: kernels_of(f"correlate_windows{name}")["numpy"] for name in ("", "_x", "_weight")}
    y = run[""](np, x, weight, *_GEOMETRY)
    return [
        y,
        run["_x"](np, y, weight, x.shape[2:], *_GEOMETRY),
        run["_weight"](np, x, y, weight.shape[2:], *_GEOMETRY),
    ]


@pytest.mark.parametrize("block", [1, 100, 1000])
@pytest.mark.parametrize("channels", [2, 16])
def test_the_size_of_a_block_changes_nothing(block: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one row, of some rows and of several images; rows of a window short and long."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, channels, 9, 8)), rng.normal(size=(4, channels // 2, 3, 2))
    whole = _readings(x, weight)
    monkeypatch.setattr(column_products, "_BLOCK", block)
    for found, expected in zip(_readings(x, weight), whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_windows_are_never_written_out_all_at_once() -> None:
    x, weight = np.ones((8, 16, 64, 64)), np.ones((16, 16, 3, 3))
    geometry = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    tracemalloc.start()
    y = kernels_of("correlate_windows")["numpy"](np, x, weight, *geometry)
    kernels_of("correlate_windows_weight")["numpy"](np, x, y, (3, 3), *geometry)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * x.nbytes  # all windows are nine times the image
