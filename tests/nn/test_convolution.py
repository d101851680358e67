"""Convolutions and their transposes beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.random import TorchGenerator
from tests.nn.beside import array_of, close, here, same_layer
from tests.torch_reference import against_torch, import_torch

AXES = [1, 2, 3]


def each(draw: st.DrawFn, axes: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))


@st.composite
def convolutions(draw: st.DrawFn, axes: int) -> tuple[Any, ...]:
    """(arguments, keywords, image): layers of all kinds with an image that fits."""
    groups = draw(st.integers(1, 2))
    channels = [groups * draw(st.integers(1, 2)) for _ in range(2)]
    kernel, dilation = each(draw, axes, 1, 3), each(draw, axes, 1, 2)
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    same = draw(st.booleans()) and draw(st.booleans())
    stride = (1,) * axes if same else each(draw, axes, 1, 3)
    padding: Any = draw(st.sampled_from(["same", "valid"])) if same else each(draw, axes, 0, 2)
    # No mirror shows more than the image without its edge, and the kernel must fit.
    reach = [max(d * (k - 1) + 1, 3) for k, d in zip(kernel, dilation, strict=True)]
    image = [draw(st.integers(size, size + 2)) for size in reach]
    batch = draw(st.sampled_from([(), (1,), (2,)]))
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "padding_mode": mode}
    keywords["bias"] = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return (*channels, kernel), keywords, rng.normal(size=(*batch, channels[0], *image))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch's, about its own speed
@against_torch
@given(st.data())
def test_convolutions_are_torchs(axes: int, data: Any) -> None:
    torch = import_torch()
    args, keywords, x = data.draw(convolutions(axes))
    name = f"Conv{axes}d"
    ours = getattr(nn, name)(*args, **keywords, dtype=tg.float64)
    theirs = getattr(torch.nn, name)(*args, **keywords, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, x)


@st.composite
def transposes(draw: st.DrawFn, axes: int) -> tuple[Any, ...]:
    """(arguments, keywords, image, output_size or None)."""
    groups = draw(st.integers(1, 2))
    channels = [groups * draw(st.integers(1, 2)) for _ in range(2)]
    kernel, dilation, stride = each(draw, axes, 1, 3), each(draw, axes, 1, 2), each(draw, axes, 1, 3)
    padding = each(draw, axes, 0, 1)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    image = each(draw, axes, 2, 4)
    geometry = list(zip(image, kernel, stride, padding, dilation, strict=True))
    least = [(count - 1) * s - 2 * p + d * (k - 1) + 1 for count, k, s, p, d in geometry]
    padding = tuple(0 if size < 1 else p for size, p in zip(least, padding, strict=True))
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": False}
    keywords["bias"] = draw(st.booleans())
    by_size = draw(st.booleans())
    size = None
    if by_size:  # torch counts the stride alone here
        extra = tuple(min(e, s - 1) for e, s in zip(extra, stride, strict=True))
        geometry = list(zip(image, kernel, stride, padding, dilation, strict=True))
        least = [(count - 1) * s - 2 * p + d * (k - 1) + 1 for count, k, s, p, d in geometry]
        size = tuple(low + e for low, e in zip(least, extra, strict=True))
    else:
        keywords["output_padding"] = extra
    batch = draw(st.sampled_from([(), (2,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return (*channels, kernel), keywords, rng.normal(size=(*batch, channels[0], *image)), size


@pytest.mark.parametrize("axes", AXES)
@against_torch
@given(st.data())
def test_transposes_are_torchs(axes: int, data: Any) -> None:
    torch = import_torch()
    args, keywords, x, size = data.draw(transposes(axes))
    name = f"ConvTranspose{axes}d"
    ours = getattr(nn, name)(*args, **keywords, dtype=tg.float64)
    theirs = getattr(torch.nn, name)(*args, **keywords, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    same_layer(ours, theirs, x, call=lambda module, inputs: module(*inputs, output_size=size))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("way", ["Conv", "ConvTranspose"])
def test_they_start_where_pytorchs_do(axes: int, way: str) -> None:
    torch = import_torch()
    torch.manual_seed(3)
    expected = getattr(torch.nn, f"{way}{axes}d")(4, 6, 3, groups=2).state_dict()
    ours = getattr(nn, f"{way}{axes}d")(4, 6, 3, groups=2, generator=TorchGenerator(3))
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(array_of(value), expected[name].numpy(), rtol=0, atol=1e-7)


def test_padding_may_differ_before_and_after() -> None:
    layer = nn.Conv1d(1, 1, 2, padding=((1, 0),), dtype=tg.float64)
    x = np.array([[[1.0, 2.0]]])
    a, b = layer.weight.tolist()[0][0]
    expected = np.array([[[b, a + 2 * b]]]) + layer.bias.tolist()[0]
    close(layer(here(x)), here(expected), "value")
    assert "padding=((1, 0),)" in repr(layer)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "multiples of groups"),
        (lambda: nn.Conv2d(0, 4, 3), "in_channels is 0"),
        (lambda: nn.Conv2d(3, 4, (3, 0)), "kernel_size"),
        (lambda: nn.Conv2d(3, 4, 3, stride=(1, 2, 3)), "stride"),
        (lambda: nn.Conv2d(3, 4, 3, padding="around"), "'same', 'valid'"),
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"), "stride 1 only"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "it may be 'zeros'"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), "'zeros' only"),
        (lambda: nn.Conv2d(3, 4, 3)(tg.ones((1, 2, 5, 5))), "x has 2 channels"),
        (lambda: nn.Conv2d(3, 4, 3)(tg.ones((5, 5))), "conv2d: expected x"),
        (lambda: nn.ConvTranspose1d(1, 1, 2, 2)(tg.ones((1, 1, 3)), (9,)), r"it may be \(6,\) to \(7,\)"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
