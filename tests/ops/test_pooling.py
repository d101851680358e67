"""The ops of ops/pooling.py under all laws, against PyTorch, and their conventions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.testing.cases.pooling import CASES
from tests.proof import every, prove
from tests.torch_reference import against_torch, agree, import_torch


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# ── against PyTorch ─────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def _pools(draw: st.DrawFn, dilated: bool = True) -> tuple[int, Any, dict[str, Any]]:
    """(axes, image, options) whose windows fit."""
    axes = draw(st.integers(1, 3))

    def each(low: int, high: int) -> Any:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    kernel, dilation = each(1, 3), each(1, 2) if dilated else (1,) * axes
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    # torch's 1-D and 3-D forms do not count the dilation here, its 3-D means want an image no smaller than the kernel,
    # and where a window lies in padding alone its index is outside the image: such draws are left out.
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    geometry = zip(reach, padding, dilation, kernel, strict=True)
    least = [max(r - 2 * p, d, k if axes == 3 else 1) for r, p, d, k in geometry]
    sizes = tuple(draw(st.integers(size, size + 5)) for size in least)
    options: dict[str, Any] = {"kernel_size": kernel, "padding": padding, "ceil_mode": draw(st.booleans())}
    if draw(st.booleans()):
        options["stride"] = each(1, 3)
    if dilated:
        options["dilation"] = dilation
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return axes, rng.normal(size=(draw(st.integers(1, 2)), draw(st.integers(1, 2)), *sizes)), options


@against_torch
@given(_pools())
def test_max_pooling_is_torchs_and_so_are_its_indices(drawn: Any) -> None:
    F = import_torch().nn.functional
    axes, image, options = drawn
    name = f"max_pool{axes}d"
    agree(lambda x: getattr(tg, name)(x, **options), lambda x: getattr(F, name)(x, **options), image)
    _, places = getattr(tg, name)(_here(image), **options, return_indices=True)
    _, expected = getattr(F, name)(import_torch().tensor(image), **options, return_indices=True)
    assert places.tolist() == expected.tolist()


@against_torch
@given(_pools())
def test_min_pooling_is_max_pooling_of_the_opposite(drawn: Any) -> None:
    axes, image, options = drawn
    least, places = getattr(tg, f"min_pool{axes}d")(_here(image), **options, return_indices=True)
    largest, expected = getattr(tg, f"max_pool{axes}d")(_here(-image), **options, return_indices=True)
    assert (-largest).tolist() == least.tolist()
    assert expected.tolist() == places.tolist()


@against_torch
@given(_pools(dilated=False), st.booleans(), st.sampled_from([None, None, 3]))
def test_average_pooling_is_torchs(drawn: Any, count_include_pad: bool, divisor: int | None) -> None:
    F = import_torch().nn.functional
    axes, image, options = drawn
    options = options | {"count_include_pad": count_include_pad}
    if axes > 1:
        options["divisor_override"] = divisor
    name = f"avg_pool{axes}d"
    agree(lambda x: getattr(tg, name)(x, **options), lambda x: getattr(F, name)(x, **options), image)


# ── conventions and errors ──────────────────────────────────────────────────────────────────────────────────


def _here(values: Any, **options: Any) -> Any:
    options.setdefault("dtype", "float64")
    return tg.Tensor(np.asarray(values), device=default_device(), **options)


@pytest.mark.parametrize("pool", [tg.max_pool2d, tg.min_pool2d])
def test_values_that_tie_share_the_gradient_of_each_window_equally(pool: Any) -> None:
    x = _here([[[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]]], requires_grad=True)
    tg.sum(pool(x, 2, stride=1)).backward()
    assert x.grad.tolist() == [[[[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]]]]


def test_padding_never_wins_and_takes_no_gradient() -> None:
    x = _here([[[[-5.0, -7.0]]]], requires_grad=True)
    y = tg.max_pool2d(x, (1, 2), stride=(1, 1), padding=(0, 1))
    assert y.tolist() == [[[[-5.0, -5.0, -7.0]]]]
    tg.sum(y).backward()
    assert x.grad.tolist() == [[[[2.0, 1.0]]]]


def test_integers_are_pooled_as_integers() -> None:
    x = _here([[[[3, -1], [2, -9]]]], dtype="int8")
    assert tg.max_pool2d(x, 2, stride=1, padding=1).dtype == x.dtype
    assert tg.max_pool2d(x, 2, stride=1, padding=1).tolist()[0][0] == [[3, 3, -1], [3, 3, -1], [2, 2, -9]]
    assert tg.min_pool2d(x, 2, stride=1, padding=1).tolist()[0][0] == [[3, -1, -1], [2, -9, -9], [2, -9, -9]]
    assert tg.avg_pool2d(x, 2).tolist() == [[[[-1.25]]]]


def test_a_nan_is_the_largest_of_its_windows_alone_and_takes_no_gradient() -> None:
    x = _here([[[1.0, np.nan, 3.0, 4.0]]], requires_grad=True)
    y = tg.max_pool1d(x, 2)
    np.testing.assert_array_equal(y.tolist(), [[[np.nan, 4.0]]])
    tg.sum(y).backward()
    assert x.grad.tolist() == [[[0.0, 0.0, 0.0, 1.0]]]


def test_indices_lie_in_the_image_even_where_all_is_minus_infinity() -> None:
    x = _here(np.full((1, 1, 2, 2), -np.inf))
    for pool, image in ((tg.max_pool2d, x), (tg.min_pool2d, -x)):
        _, places = pool(image, 2, stride=1, padding=1, return_indices=True)
        assert places.tolist()[0][0] == [[0, 0, 1], [0, 0, 1], [2, 2, 3]]


def test_the_first_of_equals_is_the_index() -> None:
    _, places = tg.max_pool2d(tg.ones((1, 1, 2, 4)), 2, return_indices=True)
    assert places.tolist() == [[[[0, 2]]]]


def test_an_empty_batch_stays_empty() -> None:
    x = tg.zeros((0, 2, 4, 4))
    for pooled in (
        tg.max_pool2d(x, 2),
        tg.avg_pool2d(x, 2),
        tg.min_pool2d(x, 2),
    ):
        assert pooled.shape == (0, 2, 2, 2)


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda: tg.max_pool2d(tg.ones((1, 2, 2)), 2), r"max_pool2d: expected \(n, c, h, w\)"),
        (ValueError, lambda: tg.max_pool1d(tg.ones((1, 1, 4)), 2, padding=2), "beyond half of the kernel"),
        (ValueError, lambda: tg.avg_pool1d(tg.ones((1, 1, 2)), 3), "avg_pool1d: the kernel .* does not fit"),
        (ValueError, lambda: tg.avg_pool2d(tg.ones((1, 1, 2, 2)), 0), "avg_pool2d: kernel_size is 0; expected"),
        (
            TypeError,
            lambda: tg.max_pool1d(tg.ones((1, 1, 2), dtype="complex64"), 1),
            "complex64 values have no largest",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
