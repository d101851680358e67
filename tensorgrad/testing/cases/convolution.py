"""Cases of ops/convolution.py, against loops over every window."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.windows import by_axis, moves, pads, sizes, windows
from tensorgrad.testing.strategies import given_args, reals


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
    stride, extras, dilation = (by_axis(value, axes) for value in (stride, output_padding, dilation))
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
        slice(before, size - after) for size, (before, after) in zip(wide, pads(padding, kernel, dilation), strict=True)
    ]
    return image[(slice(None), slice(None), *inner)] + bias.reshape(1, -1, *[1] * axes)


def _correlate_windows(
    x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, groups: int, bias: Any = None
) -> Any:
    bias = np.zeros(weight.shape[0]) if bias is None else bias
    return _conv(x, weight, bias, stride, padding, dilation, groups)


def _by_products(of: Any, like: Any) -> Any:
    """The adjoint of a linear function of an array like `like`, from what it gives for each of its numbers in turn."""
    found = np.zeros(like.shape, like.dtype)
    for place in np.ndindex(like.shape):
        one = np.zeros(like.shape)
        one[place] = 1.0
        found[place] = of(one)
    return found


def _correlate_windows_x(
    y: Any, weight: Any, size: Any, stride: Any, padding: Any, dilation: Any, groups: int, bias: Any = None
) -> Any:
    image = np.zeros((y.shape[0], weight.shape[1] * groups, *size), np.result_type(y, weight))
    found = _by_products(
        lambda one: np.sum(y * _correlate_windows(one, weight, stride, padding, dilation, groups)), image
    )
    return found if bias is None else found + bias[:, None, None]


def _correlate_windows_weight(
    x: Any, y: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    filters = np.zeros((y.shape[1], x.shape[1] // groups, *kernel), np.result_type(x, y))
    return _by_products(lambda one: np.sum(y * _correlate_windows(x, one, stride, padding, dilation, groups)), filters)


# An image of 5 x 4 under kernels of 3 x 2, and the sizes of what comes out: every phase of a stride is met, and pixels
# that no window reaches.
_GEOMETRIES: dict[str, Any] = {
    "plain": {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "out": "3 3"},
    "strided": {"stride": (2, 3), "padding": ((1, 0), (0, 1)), "dilation": (1, 1), "out": "2 2"},
    "dilated": {"stride": (1, 1), "padding": ((2, 2), (1, 0)), "dilation": (2, 2), "out": "5 3"},
    "strided and dilated": {"stride": (2, 2), "padding": ((1, 0), (0, 3)), "dilation": (2, 3), "out": "1 2"},
}


def _readings(name: str, stride: Any, padding: Any, dilation: Any, out: str) -> list[Any]:
    """The three ops, at one geometry."""
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 2, "_complex": name == "strided"}
    x, weight, y = reals(dims="2 2 5 4"), reals(dims="4 1 3 2"), reals(dims=f"2 4 {out}")
    each: Any = {"_sizes": {}, **geometry}
    shifts: Any = {"o": {"bias": reals(dims="4")}, "c": {"bias": reals(dims="2")}}
    if name == "dilated":
        shifts = {"o": {}, "c": {}}
    return [
        case(
            ops.correlate_windows, _correlate_windows, x=x, weight=weight, _name=f"correlate_windows, {name}",
            **shifts["o"], **each,
        ),
        case(
            ops.correlate_windows_x, _correlate_windows_x, y=y, weight=weight, size=(5, 4),
            _name=f"correlate_windows_x, {name}", **shifts["c"], **each,
        ),
        case(
            ops.correlate_windows_weight, _correlate_windows_weight, x=x, y=y, kernel=(3, 2),
            _name=f"correlate_windows_weight, {name}", **each,
        ),
    ]  # fmt: skip


def _pointwise() -> list[Any]:
    """Kernels of one pixel and a bias."""
    moves: Any = {"padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1, "_sizes": {}}
    x, weight = reals(dims="2 3 5 4"), reals(dims="4 3 1 1")
    return [
        case(
            ops.correlate_windows, _correlate_windows, x=x, weight=weight, stride=stride, bias=reals(dims="4"),
            _name=f"correlate_windows, one pixel, stride {stride}", **moves,
        )
        for stride in ((1, 1), (2, 3))
    ] + [
        case(
            ops.correlate_windows_x, _correlate_windows_x, y=reals(dims=f"2 4 {out}"), weight=weight, size=(5, 4),
            stride=stride, bias=reals(dims="3"), _name=f"correlate_windows_x, one pixel, stride {stride}", **moves,
        )
        for stride, out in (((1, 1), "5 4"), ((2, 3), "3 2"))
    ] + [
        case(
            ops.correlate_windows_weight, _correlate_windows_weight, x=x, y=reals(dims=f"2 4 {out}"), kernel=(1, 1),
            stride=stride, _name=f"correlate_windows_weight, one pixel, stride {stride}", **moves,
        )
        for stride, out in (((1, 1), "5 4"), ((2, 3), "3 2"))
    ]  # fmt: skip


CASES = [
    *_pointwise(),
    *[each for name, geometry in _GEOMETRIES.items() for each in _readings(name, **geometry)],
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
        _sizes=sizes,
        _complex=True,
    ),
    case(
        ops.conv2d,
        _conv,
        x=reals(dims="n c h w"),
        weight=reals(dims="o c 2 2"),
        bias=reals(dims="o"),
        **moves,
        groups=1,
        _sizes=sizes,
        _complex=True,
    ),
    case(
        ops.conv2d,
        _conv,
        x=reals(dims="n 4 h w"),
        weight=reals(dims="6 2 2 1"),
        bias=reals(dims="6"),
        **moves,
        groups=2,
        _sizes=sizes,
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
        _sizes=sizes,
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
        _sizes={**sizes, "n": (1, 1)},
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
        _sizes=sizes,
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
        _sizes=sizes,
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
        _sizes=sizes,
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
        _sizes={**sizes, "n": (1, 1)},
        _complex=True,
    ),
]
