"""Pooling layers beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tests.nn.beside import array_of, close, here, same_layer
from tests.torch_reference import against_torch, import_torch

AXES = [1, 2, 3]


@st.composite
def pools(draw: st.DrawFn, axes: int, dilated: bool = False, padded: bool = True) -> tuple[Any, dict[str, Any]]:
    """(image, options) whose windows fit, and that torch takes too."""

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    kernel, dilation = each(1, 3), each(1, 2) if dilated else (1,) * axes
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    # torch's 1-D and 3-D forms do not count the dilation here, its 3-D means want an image no smaller than the kernel,
    # and where a window lies in padding alone its index is outside the image: such draws are left out.
    padding = tuple(draw(st.integers(0, k // 2 if padded else 0)) for k in kernel)
    geometry = zip(reach, padding, dilation, kernel, strict=True)
    least = [max(r - 2 * p, d, k if axes == 3 else 1) for r, p, d, k in geometry]
    sizes = tuple(draw(st.integers(size, size + 3)) for size in least)
    options: dict[str, Any] = {"kernel_size": kernel, "ceil_mode": draw(st.booleans())}
    if padded:
        options["padding"] = padding
    if draw(st.booleans()):
        options["stride"] = each(1, 3)
    if dilated:
        options["dilation"] = dilation
    batch = draw(st.sampled_from([(), (2,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return rng.normal(size=(*batch, draw(st.integers(1, 2)), *sizes)), options


def both(name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    torch = import_torch()
    return getattr(nn, name)(**options), getattr(torch.nn, name)(**options)


@pytest.mark.parametrize("axes", AXES)
@against_torch
@given(st.data(), st.booleans())
def test_max_pooling_is_torchs(axes: int, data: Any, return_indices: bool) -> None:
    x, options = data.draw(pools(axes, dilated=True))
    ours, theirs = both(f"MaxPool{axes}d", options | {"return_indices": return_indices})
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, x)


@pytest.mark.parametrize("axes", AXES)
@against_torch
@given(st.data(), st.booleans(), st.sampled_from([None, 3]))
def test_average_pooling_is_torchs(axes: int, data: Any, count_include_pad: bool, divisor: int | None) -> None:
    x, options = data.draw(pools(axes))
    options["count_include_pad"] = count_include_pad
    if axes > 1:
        options["divisor_override"] = divisor
    ours, theirs = both(f"AvgPool{axes}d", options)
    if axes > 1:  # torch makes tuples of numbers for AvgPool1d alone
        assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, x)


@pytest.mark.parametrize("axes", AXES)
@against_torch
@given(st.data(), st.sampled_from([1, 2, 3, 1.5]))
def test_power_average_pooling_is_torchs(axes: int, data: Any, p: float) -> None:
    x, options = data.draw(pools(axes, padded=False))
    if axes == 1:  # torch takes one number here
        options |= {"kernel_size": options["kernel_size"][0]}
        options |= {"stride": options["stride"][0]} if "stride" in options else {}
    ours, theirs = both(f"LPPool{axes}d", options | {"norm_type": p})
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, x if p in (1, 2) else np.abs(x) + 0.1, rtol=1e-7)


@pytest.mark.parametrize("axes", AXES)
@against_torch
@given(st.data())
def test_unpooling_is_torchs(axes: int, data: Any) -> None:
    torch = import_torch()
    x, options = data.draw(pools(axes))
    options = options | {"stride": options["kernel_size"], "ceil_mode": False}  # no place is named twice
    pool = getattr(torch.nn, f"MaxPool{axes}d")(**options, return_indices=True)
    values, places = pool(torch.tensor(x))
    del options["ceil_mode"]
    ours, theirs = both(f"MaxUnpool{axes}d", options)
    assert repr(ours) == repr(theirs)
    geometry = zip(values.shape[-axes:], *(options[key] for key in ("kernel_size", "stride", "padding")), strict=True)
    least = np.prod([(count - 1) * s - 2 * p + k for count, k, s, p in geometry])
    # Without a size the result is the smallest that fits; places that lie in a larger image need its size.
    by_size = bool((places.numpy() >= least).any()) or data.draw(st.booleans())
    size = tuple(x.shape[-axes:]) if by_size else None
    same_layer(
        ours, theirs, values.numpy(), places.numpy(), call=lambda module, inputs: module(*inputs, output_size=size)
    )


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("kind", ["Avg", "Max"])
@against_torch
@given(st.data())
def test_adaptive_pooling_is_torchs(kind: str, axes: int, data: Any) -> None:
    sizes = data.draw(st.lists(st.integers(1, 7 if axes < 3 else 4), min_size=axes, max_size=axes))
    wanted: Any = tuple(data.draw(st.sampled_from([None, 1, 2, 3, 5])) for _ in sizes)
    wanted = wanted if axes > 1 else wanted[0] or 1
    batch = data.draw(st.sampled_from([(), (2,)]))
    x = np.random.default_rng(data.draw(st.integers(0, 2**31))).normal(size=(*batch, 2, *sizes))
    ours, theirs = both(f"Adaptive{kind}Pool{axes}d", {"output_size": wanted})
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, x)


def test_the_smallest_is_the_largest_of_the_negative() -> None:
    x = here(np.random.default_rng(0).normal(size=(2, 3, 7, 6)))
    options: dict[str, Any] = {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}
    close(nn.MinPool2d(**options)(x), -nn.MaxPool2d(**options)(-x), "value")


def test_a_norm_of_zeros_has_gradient_zero_and_a_norm_without_a_root_is_nan() -> None:
    x = here(np.zeros((1, 1, 2)), requires_grad=True)
    nn.LPPool1d(2, 2)(x).sum().backward()
    assert array_of(x.grad).tolist() == [[[0.0, 0.0]]]
    with np.errstate(invalid="ignore"):
        assert np.isnan(array_of(nn.LPPool1d(3, 2)(here(np.array([[[-1.0, 0.0]]])))))
    with pytest.raises(ValueError, match="norm_type is 0"):
        nn.LPPool1d(0, 2)


def test_errors_name_the_layer() -> None:
    with pytest.raises(ValueError, match="MaxUnpool2d: kernel_size"):
        nn.MaxUnpool2d((1, 2, 3))
    with pytest.raises(ValueError, match="beyond half of the kernel"):
        nn.MaxPool2d(2, padding=2)(tg.ones((1, 1, 4, 4)))
