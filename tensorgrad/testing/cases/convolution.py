"""Cases of ops/convolution.py, against loops over every window."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import given_args, reals

_sizes = {"h": (3, 5), "w": (3, 5), "n": (1, 2), "c": (1, 2), "o": (1, 2)}
_moves = {
    "stride": st.sampled_from([1, 2, (1, 2)]),
    "padding": st.sampled_from([0, 1, (1, 0), ((0, 1), (2, 1)), "valid"]),
    "dilation": st.sampled_from([1, (1, 2)]),
}


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _pads(padding: Any, kernel: Any, dilation: Any) -> list[tuple[int, int]]:
    if padding == "same":
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(span // 2, (span + 1) // 2) for span in spans]
    both = _each(0 if padding == "valid" else padding, len(kernel))
    return [(each, each) if isinstance(each, int) else each for each in both]


def windows(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, value: float = 0.0) -> Any:
    """All windows, (n, c, kh, .., h', ..), by loops."""
    axes = x.ndim - 2
    kernel, stride, dilation = (_each(each, axes) for each in (kernel, stride, dilation))
    x = np.pad(x, [(0, 0), (0, 0), *_pads(padding, kernel, dilation)], constant_values=value)
    reaches = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    counts = [(size - reach) // s + 1 for size, reach, s in zip(x.shape[2:], reaches, stride, strict=True)]
    found: Any = np.zeros((*x.shape[:2], *kernel, *counts), x.dtype)
    for place in product(*map(range, kernel)):
        for window in product(*map(range, counts)):
            pixel = [w * s + i * d for w, s, i, d in zip(window, stride, place, dilation, strict=True)]
            found[(slice(None), slice(None), *place, *window)] = x[(slice(None), slice(None), *pixel)]
    return found


def _unfold(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    found = windows(x, kernel_size, stride, padding, dilation)
    axes = x.ndim - 2
    return found.reshape(x.shape[0], -1, int(np.prod(found.shape[2 + axes :])))


def _unfold_windows(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    return _unfold(x, kernel, stride, padding, dilation)


def _fold(y: Any, output_size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    axes = len(output_size)
    kernel, stride, dilation = (_each(each, axes) for each in (kernel_size, stride, dilation))
    pads = _pads(padding, kernel, dilation)
    n, c = y.shape[0], y.shape[1] // int(np.prod(kernel))
    wide = [size + before + after for size, (before, after) in zip(output_size, pads, strict=True)]
    counts = [(size - d * (k - 1) - 1) // s + 1 for size, k, s, d in zip(wide, kernel, stride, dilation, strict=True)]
    y = y.reshape(n, c, *kernel, *counts)
    image = np.zeros((n, c, *wide), y.dtype)
    for place in product(*map(range, kernel)):
        for window in product(*map(range, counts)):
            pixel = [w * s + i * d for w, s, i, d in zip(window, stride, place, dilation, strict=True)]
            image[(slice(None), slice(None), *pixel)] += y[(slice(None), slice(None), *place, *window)]
    inner = [slice(before, before + size) for size, (before, _) in zip(output_size, pads, strict=True)]
    return image[(slice(None), slice(None), *inner)]


def _fold_windows(y: Any, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    return _fold(y, size, kernel, stride, padding, dilation)


def _conv(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    found = windows(x, weight.shape[2:], stride, padding, dilation)
    axes = x.ndim - 2
    counts = found.shape[2 + axes :]
    found = found.reshape(x.shape[0], groups, -1, int(np.prod(counts)))
    out = np.einsum("ngkp,gok->ngop", found, weight.reshape(groups, weight.shape[0] // groups, -1))
    return out.reshape(x.shape[0], -1, *counts) + bias.reshape(1, -1, *[1] * axes)


def _conv_transpose(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Any:
    axes = x.ndim - 2
    stride, extras, dilation = (_each(each, axes) for each in (stride, output_padding, dilation))
    n, c, *counts = x.shape
    _, o, *kernel = weight.shape
    geometry = zip(counts, kernel, stride, extras, dilation, strict=True)
    wide = [(count - 1) * s + d * (k - 1) + e + 1 for count, k, s, e, d in geometry]
    image = np.zeros((n, o * groups, *wide), x.dtype)
    for channel in range(c):
        group = channel // (c // groups)
        for place in product(*map(range, kernel)):
            for window in product(*map(range, counts)):
                pixel = [w * s + i * d for w, s, i, d in zip(window, stride, place, dilation, strict=True)]
                target = image[(slice(None), slice(group * o, (group + 1) * o), *pixel)]
                target += x[(slice(None), channel, *window, None)] * weight[(channel, slice(None), *place)]
    inner = [
        slice(before, size - after)
        for size, (before, after) in zip(wide, _pads(padding, kernel, dilation), strict=True)
    ]
    return image[(slice(None), slice(None), *inner)] + bias.reshape(1, -1, *[1] * axes)


CASES = [
    case(
        ops.unfold_windows,
        _unfold_windows,
        x=reals(dims="n c h w"),
        kernel=(2, 2),
        stride=st.sampled_from([(1, 1), (1, 2)]),
        padding=st.sampled_from([((0, 0), (0, 0)), ((1, 0), (0, 2))]),
        dilation=st.sampled_from([(1, 1), (1, 2)]),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.unfold_windows,
        _unfold_windows,
        x=reals(dims="n c w"),
        kernel=(2,),
        stride=st.sampled_from([(1,), (2,)]),
        padding=st.sampled_from([((0, 0),), ((1, 2),)]),
        dilation=st.sampled_from([(1,), (2,)]),
        _sizes=_sizes,
        _name="unfold_windows, a line",
    ),
    case(
        ops.fold_windows,
        _fold_windows,
        y=reals(dims="n 4 9"),
        size=(5, 5),
        kernel=(2, 2),
        stride=(2, 2),
        padding=((1, 1), (1, 1)),
        dilation=(2, 2),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.fold_windows,
        _fold_windows,
        y=reals(dims="n 4 12"),
        size=(5, 4),
        kernel=(1, 2),
        stride=(2, 1),
        padding=((0, 0), (2, 0)),
        dilation=(3, 2),
        _sizes=_sizes,
        _name="fold_windows, uneven",
    ),
    case(
        ops.unfold,
        _unfold,
        x=reals(dims="n c h w"),
        kernel_size=st.sampled_from([1, 2, (1, 2)]),
        **_moves,
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.fold,
        _fold,
        y=reals(dims="n 4 6"),
        output_size=(3, 4),
        kernel_size=2,
        stride=1,
        padding=0,
        dilation=1,
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.fold,
        _fold,
        y=reals(dims="n 4 4"),
        output_size=(4, 4),
        kernel_size=(2, 2),
        stride=(2, 2),
        padding=0,
        dilation=1,
        _sizes=_sizes,
        _name="fold with strides",
        _complex=True,
    ),
    case(
        ops.conv1d,
        _conv,
        x=reals(dims="n 2 w"),
        weight=reals(dims="4 1 2"),
        bias=reals(dims="4"),
        stride=st.sampled_from([1, 2]),
        padding=st.sampled_from([0, 2, ((0, 1),)]),
        dilation=st.sampled_from([1, 2]),
        groups=2,
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.conv2d,
        _conv,
        x=reals(dims="n c h w"),
        weight=reals(dims="o c 2 2"),
        bias=reals(dims="o"),
        **_moves,
        groups=1,
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.conv2d,
        _conv,
        x=reals(dims="n 4 h w"),
        weight=reals(dims="6 2 2 1"),
        bias=reals(dims="6"),
        **_moves,
        groups=2,
        _sizes=_sizes,
        _name="conv2d in groups",
    ),
    case(
        ops.conv2d,
        _conv,
        x=reals(dims="n c h w"),
        weight=reals(dims="o c 3 2"),
        bias=reals(dims="o"),
        stride=1,
        padding="same",
        dilation=st.sampled_from([1, (1, 2)]),
        groups=1,
        _sizes=_sizes,
        _name="conv2d of the same size",
    ),
    case(
        ops.conv3d,
        _conv,
        x=reals(dims="n c 2 3 3"),
        weight=reals(dims="o c 2 1 2"),
        bias=reals(dims="o"),
        stride=st.sampled_from([1, (1, 2, 1)]),
        padding=st.sampled_from([0, (1, 0, 1)]),
        dilation=st.sampled_from([1, (1, 1, 2)]),
        groups=1,
        _sizes={**_sizes, "n": (1, 1)},
        _complex=True,
    ),
    case(
        ops.conv_transpose1d,
        _conv_transpose,
        x=reals(dims="n c w"),
        weight=reals(dims="c o 3"),
        bias=reals(dims="o"),
        stride=st.sampled_from([1, 2]),
        padding=st.sampled_from([0, 1, ((0, 1),), ((2, 1),)]),
        output_padding=1,
        groups=1,
        dilation=2,
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.conv_transpose2d,
        _conv_transpose,
        x=reals(dims="n c 2 3"),
        weight=reals(dims="c o 2 3"),
        bias=reals(dims="o"),
        stride=st.sampled_from([1, 2, (2, 3)]),
        padding=st.sampled_from([0, 1, (0, 1), "valid"]),
        output_padding=given_args(lambda args: 0 if args["stride"] == 1 else st.sampled_from([0, 1, (1, 0)])),
        groups=1,
        dilation=st.sampled_from([1, 2]),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.conv_transpose2d,
        _conv_transpose,
        x=reals(dims="n 4 2 2"),
        weight=reals(dims="4 3 2 2"),
        bias=reals(dims="6"),
        stride=2,
        padding=0,
        output_padding=0,
        groups=2,
        dilation=1,
        _sizes=_sizes,
        _name="conv_transpose2d in groups",
    ),
    case(
        ops.conv_transpose3d,
        _conv_transpose,
        x=reals(dims="n c 1 2 2"),
        weight=reals(dims="c o 2 1 2"),
        bias=reals(dims="o"),
        stride=st.sampled_from([2, (1, 2, 2)]),
        padding=st.sampled_from([0, (0, 0, 1)]),
        output_padding=st.sampled_from([0, (0, 1, 1)]),
        groups=1,
        dilation=1,
        _sizes={**_sizes, "n": (1, 1)},
        _complex=True,
    ),
]
