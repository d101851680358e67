"""Each way of computing a convolution, forced in turn: value, first and second derivatives; and what is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu.convolution import convolution_kernels
from tensorgrad.backend.cpu.convolution.choice import tile_of

WAYS = ["windows", "tiles of 2", "tiles of 3", "tiles of 4"]
CASES: list[Any] = [
    ("conv2d", (2, 4, 9, 8), (6, 4, 3, 3), {"padding": 1}),
    ("conv2d", (2, 4, 8, 8), (6, 4, 4, 4), {"padding": 1, "stride": 2}),
    ("conv2d", (2, 4, 7, 7), (6, 2, 3, 3), {"padding": 1, "groups": 2}),
    ("conv_transpose2d", (2, 4, 5, 4), (4, 3, 4, 4), {"padding": 1, "stride": 2}),
    ("conv1d", (2, 4, 11), (3, 4, 3), {"padding": 1}),
    ("conv_transpose1d", (2, 4, 6), (4, 3, 3), {"padding": 1}),
]


@pytest.fixture(autouse=True)
def _allowed_again() -> Iterator[None]:
    yield
    tg.set_winograd(True)


def _orders(name: str, x: Any, weight: Any, bias: Any, keywords: Any) -> list[Any]:
    """The value, its gradients, and the gradients of those along some direction."""
    leaves = [tg.asarray(each, requires_grad=True) for each in (x, weight, bias)]
    y = getattr(tg, name)(*leaves, **keywords)
    first = tg.grad(tg.sum(tg.sin(y)), leaves, create_graph=True)
    second = tg.grad(sum(tg.sum(each * tg.cos(each)) for each in first), leaves)
    return [each.detach().numpy() for each in (y, *first, *second)]


@pytest.mark.numpy_only(reason="the kernels are NumPy's")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_way_gives_value_and_both_derivatives(case: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, x_shape, weight_shape, keywords = case
    rng = np.random.default_rng(0)
    channels = weight_shape[1] if "transpose" in name else weight_shape[0]
    arrays = [rng.normal(size=x_shape), rng.normal(size=weight_shape) / 4, rng.normal(size=channels)]
    expected = _orders(name, *arrays, keywords)  # in float64, so by windows
    tile = None if way == "windows" else (int(way[-1]),) * (len(x_shape) - 2)
    monkeypatch.setattr(convolution_kernels, "tile_of", lambda *arguments: tile)
    found = _orders(name, *[each.astype("f4") for each in arrays], keywords)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * abs(theirs).max())


def _chosen(dtype: str = "f4", c: int = 64, o: int = 128, dilation: int = 1, size: int = 32) -> Any:
    return tile_of(np.dtype(dtype), 32, c, o, (3, 3), (1, 1), (dilation, dilation), (size, size))


def test_only_single_precision_without_holes_is_computed_by_tiles() -> None:
    assert _chosen() == (4, 4)
    assert _chosen("f8") is None
    assert _chosen("c8") is None
    assert _chosen(dilation=2) is None
    assert _chosen(c=1) is None  # the transforms would cost more than they save


def test_tiles_may_be_forbidden() -> None:
    assert tg.get_winograd()
    tg.set_winograd(False)
    assert not tg.get_winograd()
    assert _chosen() is None


@pytest.mark.numpy_only(reason="the kernels are NumPy's")
def test_without_tiles_the_error_is_that_of_a_sum() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(4, 64, 32, 32)), rng.normal(size=(64, 64, 3, 3))
    exact = tg.conv2d(tg.asarray(x), tg.asarray(weight), padding=1).numpy()
    singles = [tg.asarray(each.astype("f4")) for each in (x, weight)]
    errors = []
    for allowed in (True, False):
        tg.set_winograd(allowed)
        found = tg.conv2d(*singles, padding=1).numpy()
        errors.append(np.max(np.abs(found - exact)) / np.max(np.abs(exact)))
    assert errors[1] < errors[0] < 1e-5


@pytest.mark.numpy_only(reason="the kernels are NumPy's")
@pytest.mark.parametrize("kernel", [3, 1])
def test_results_are_the_same_to_the_bit_for_any_number_of_threads(kernel: int) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(16, 32, 24, 24)).astype("f4"), rng.normal(size=(32, 32, kernel, kernel)).astype("f4")
    found = []
    try:
        for threads in (1, 2, 3):
            tg.set_num_threads(threads)
            leaves = [tg.asarray(each, requires_grad=True) for each in (x, weight)]
            y = tg.conv2d(*leaves, padding=kernel // 2)
            found.append([y.detach().numpy(), *[each.numpy() for each in tg.grad(tg.sum(y * y), leaves)]])
    finally:
        tg.set_num_threads(None)
    for other in found[1:]:
        for ours, theirs in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)
