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
@given(_pools(dilated=False), st.booleans(), st.sampled_from([None, None, 3]))
def test_average_pooling_is_torchs(drawn: Any, count_include_pad: bool, divisor: int | None) -> None:
    F = import_torch().nn.functional
    axes, image, options = drawn
    options = options | {"count_include_pad": count_include_pad}
    if axes > 1:
        options["divisor_override"] = divisor
    name = f"avg_pool{axes}d"
    agree(lambda x: getattr(tg, name)(x, **options), lambda x: getattr(F, name)(x, **options), image)


@against_torch
@given(st.integers(1, 3), st.data())
def test_adaptive_pooling_is_torchs(axes: int, data: st.DataObject) -> None:
    F = import_torch().nn.functional
    sizes = data.draw(st.lists(st.integers(1, 7 if axes < 3 else 4), min_size=axes, max_size=axes))
    wanted = tuple(data.draw(st.lists(st.integers(1, 5), min_size=axes, max_size=axes)))
    image = np.random.default_rng(data.draw(st.integers(0, 2**31))).normal(size=(1, 2, *sizes))
    for kind in ("avg", "max"):
        name = f"adaptive_{kind}_pool{axes}d"
        ours, theirs = getattr(tg, name), getattr(F, name)
        agree(lambda x, f=ours: f(x, wanted), lambda x, f=theirs: f(x, wanted), image)


@against_torch
@given(st.integers(2, 3), st.integers(2, 7), st.integers(2, 7), st.booleans(), st.integers(0, 2**31))
def test_unpooling_is_torchs(kernel: int, h: int, w: int, whole: bool, seed: int) -> None:
    torch = import_torch()
    F = torch.nn.functional
    image = np.random.default_rng(seed).normal(size=(2, 2, max(h, kernel), max(w, kernel)))
    values, places = F.max_pool2d(torch.tensor(image), kernel, return_indices=True)
    size = tuple(image.shape[2:]) if whole else None
    ours = tg.asarray(places.numpy(), device=default_device())
    agree(
        lambda x: tg.max_unpool2d(x, ours, kernel, output_size=size or tuple(image.shape)),
        lambda x: F.max_unpool2d(x, places, kernel, output_size=image.shape[2:]),
        values.numpy(),
    )


# ── conventions and errors ──────────────────────────────────────────────────────────────────────────────────


def _here(values: Any, **options: Any) -> Any:
    options.setdefault("dtype", "float64")
    return tg.Tensor(np.asarray(values), device=default_device(), **options)


@pytest.mark.parametrize("pool", [tg.max_pool2d, tg.min_pool2d])
def test_values_that_tie_share_the_gradient_of_each_window_equally(pool: Any) -> None:
    x = _here([[[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]]], requires_grad=True)
    tg.sum(pool(x, 2, stride=1)).backward()
    assert x.grad.tolist() == [[[[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]]]]


def test_a_tie_is_shared_once_where_adaptive_windows_are_uneven() -> None:
    x = _here([[[2.0, 2.0, 1.0, 2.0, 2.0]]], requires_grad=True)
    tg.sum(tg.adaptive_max_pool1d(x, 3)).backward()  # windows [0, 2), [1, 4), [3, 5)
    assert x.grad.tolist() == [[[0.5, 1.0, 0.0, 1.0, 0.5]]]


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
    _, places = tg.max_pool2d(x, 2, stride=1, padding=1, return_indices=True)
    assert places.tolist()[0][0] == [[0, 0, 1], [0, 0, 1], [2, 2, 3]]


def test_the_first_of_equals_is_the_index() -> None:
    _, places = tg.max_pool2d(tg.ones((1, 1, 2, 4)), 2, return_indices=True)
    assert places.tolist() == [[[[0, 2]]]]


def test_where_unpooled_windows_overlap_the_last_value_stands_and_only_it_has_a_gradient() -> None:
    x = _here([[[[1.0, 2.0]]]], requires_grad=True)
    y = tg.max_unpool2d(x, tg.zeros((1, 1, 1, 2), dtype="int64"), (1, 2), (1, 1))
    assert y.tolist() == [[[[2.0, 0.0, 0.0]]]]
    tg.sum(y).backward()
    assert x.grad.tolist() == [[[[0.0, 1.0]]]]


def test_an_empty_batch_stays_empty() -> None:
    x = tg.zeros((0, 2, 4, 4))
    for pooled in (
        tg.max_pool2d(x, 2),
        tg.avg_pool2d(x, 2),
        tg.adaptive_avg_pool2d(x, 2),
        tg.adaptive_max_pool2d(x, 2),
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
        (ValueError, lambda: tg.global_avg_pool(tg.ones((1, 1))), "global_avg_pool: expected .* spatial axes"),
        (ValueError, lambda: tg.adaptive_max_pool1d(tg.ones((1, 1, 0)), 1), r"adaptive_max_pool1d: .* with pixels"),
        (ValueError, lambda: tg.adaptive_avg_pool2d(tg.ones((1, 1, 2, 2)), (1, 0)), "output_size is .*; expected"),
        (ValueError, lambda: tg.adaptive_avg_pool2d(tg.ones((1, 1, 2, 2)), (1,)), "one for each of 2 axes"),
        (
            ValueError,
            lambda: tg.max_unpool2d(tg.ones((1, 1, 2, 2)), tg.ones((1, 1, 2, 1), dtype="int64"), 2),
            "max_unpool2d: expected values and indices of one shape",
        ),
        (
            IndexError,
            lambda: tg.max_unpool2d(tg.ones((1, 1, 1, 1)), 4 * tg.ones((1, 1, 1, 1), dtype="int64"), 2),
            "max_unpool2d: index 4 is out of bounds for an axis of length 4",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
