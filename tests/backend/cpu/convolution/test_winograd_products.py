"""Convolution by tiles, whatever the sizes of tile, kernel, stride, image and block."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tensorgrad.backend import kernels_of
from tensorgrad.backend.cpu.convolution import convolution_kernels, winograd_products

pytestmark = pytest.mark.numpy_only(reason="the kernels are NumPy's")

# Image, kernel, stride, padding, and outputs of a tile: tiles that fit and that hang over, pads unequal and beyond.
SHAPES: list[Any] = [
    ((8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (4, 4)),
    ((7, 9), (3, 3), (1, 1), ((0, 2), (1, 0)), (4, 4)),
    ((6, 5), (3, 2), (1, 1), ((1, 1), (3, 0)), (2, 3)),
    ((9, 8), (4, 4), (2, 2), ((1, 1), (1, 2)), (4, 4)),
    ((8, 10), (4, 2), (2, 1), ((2, 1), (0, 0)), (3, 4)),
    ((8, 8), (5, 5), (1, 1), ((2, 2), (2, 2)), (2, 2)),
    ((11,), (3,), (1,), ((1, 1),), (4,)),
    ((13,), (6,), (3,), ((1, 2),), (4,)),
]


def _readings(x: Any, weight: Any, stride: Any, padding: Any, groups: int, bias: Any) -> list[Any]:
    run = {name: kernels_of(f"correlate_windows{name}")["numpy"] for name in ("", "_x", "_weight")}
    moves = (stride, padding, (1,) * len(stride), groups)
    y = run[""](np, x, weight, *moves, bias)
    shift = np.arange(x.shape[1], dtype=x.dtype)
    return [
        y,
        run["_x"](np, y, weight, x.shape[2:], *moves, shift),
        run["_weight"](np, x, y, weight.shape[2:], *moves),
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("block", [1, 1 << 19])
def test_tiles_give_what_windows_give(shape: Any, groups: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size, kernel, stride, padding, tile = shape
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(3, 4, *size)), rng.normal(size=(6, 4 // groups, *kernel)), rng.normal(size=6)
    expected = _readings(x, weight, stride, padding, groups, bias)
    used: list[Any] = []
    monkeypatch.setattr(convolution_kernels, "tile_of", lambda *arguments: used.append(arguments) or tile)
    monkeypatch.setattr(winograd_products, "_BLOCK", block)
    monkeypatch.setattr(winograd_products, "_LEAST", 2)
    singles = [each.astype("f4") for each in (x, weight)]
    found = _readings(*singles, stride, padding, groups, bias.astype("f4"))
    assert used
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * abs(theirs).max())


def test_a_value_that_is_not_finite_stays_in_its_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution_kernels, "tile_of", lambda *arguments: (4, 4))
    x, weight = np.ones((2, 1, 16, 16), "f4"), np.ones((1, 1, 3, 3), "f4")
    x[0, 0, 1, 1] = np.inf
    found = kernels_of("correlate_windows")["numpy"](np, x, weight, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    assert not np.isfinite(found[0, 0, :3, :3]).any()
    assert np.isfinite(found[0, 0, 4:]).all()
    assert np.isfinite(found[1]).all()


def test_tiles_are_never_written_out_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution_kernels, "tile_of", lambda *arguments: (4, 4))
    x, weight = np.ones((32, 32, 64, 64), "f4"), np.ones((32, 32, 3, 3), "f4")
    geometry = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    tracemalloc.start()
    y = kernels_of("correlate_windows")["numpy"](np, x, weight, *geometry)
    kernels_of("correlate_windows_weight")["numpy"](np, x, y, (3, 3), *geometry)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * x.nbytes  # the result, and some blocks; all tiles are twice and a half the image
