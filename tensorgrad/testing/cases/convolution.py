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
    "padding": st.sampled_from([0, 1, (1, 0)]),
    "dilation": st.sampled_from([1, (1, 2)]),
}


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _windows(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[Any, int, int]:
    """All windows, (n, c, kh, kw, h', w'), by loops."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = _pair(kernel), _pair(stride), _pair(padding), _pair(dilation)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    rows = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    columns = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    found = np.zeros((*x.shape[:2], kh, kw, rows, columns))
    for i, j, r, s in product(range(kh), range(kw), range(rows), range(columns)):
        found[:, :, i, j, r, s] = x[:, :, r * sh + i * dh, s * sw + j * dw]
    return found, rows, columns


def _unfold(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    found, rows, columns = _windows(x, kernel_size, stride, padding, dilation)
    return found.reshape(x.shape[0], -1, rows * columns)


def _unfold_pairs(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    return _unfold(x, kernel, stride, padding, dilation)


def _fold(y: Any, output_size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    (kh, kw), (ph, pw) = _pair(kernel_size), _pair(padding)
    (sh, sw), (dh, dw) = _pair(stride), _pair(dilation)
    h, w = output_size
    n, c = y.shape[0], y.shape[1] // (kh * kw)
    rows = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    columns = (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    y = y.reshape(n, c, kh, kw, rows, columns)
    image = np.zeros((n, c, h + 2 * ph, w + 2 * pw))
    for i, j, r, s in product(range(kh), range(kw), range(rows), range(columns)):
        image[:, :, r * sh + i * dh, s * sw + j * dw] += y[:, :, i, j, r, s]
    return image[:, :, ph : ph + h, pw : pw + w]


def _conv(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    found, _, _ = _windows(x, weight.shape[2:], stride, padding, dilation)
    n, c = x.shape[:2]
    found = found.reshape(n, groups, c // groups, *found.shape[2:])
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    out = np.einsum("ngcijrs,gocij->ngors", found, filters)
    return out.reshape(n, -1, *out.shape[3:]) + bias.reshape(1, -1, 1, 1)


def _conv_transpose(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Any:
    (sh, sw), (ph, pw), (eh, ew), (dh, dw) = map(_pair, (stride, padding, output_padding, dilation))
    n, c, h, w = x.shape
    _, o, kh, kw = weight.shape
    image = np.zeros((n, o * groups, (h - 1) * sh + dh * (kh - 1) + eh + 1, (w - 1) * sw + dw * (kw - 1) + ew + 1))
    for channel, i, j, r, s in product(range(c), range(kh), range(kw), range(h), range(w)):
        group = channel // (c // groups)
        target = image[:, group * o : (group + 1) * o, r * sh + i * dh, s * sw + j * dw]
        target += x[:, channel, r, s, None] * weight[channel, :, i, j]
    image = image[:, :, ph : image.shape[2] - ph, pw : image.shape[3] - pw]
    return image + bias.reshape(1, -1, 1, 1)


_as_pairs = {
    "stride": st.sampled_from([(1, 1), (1, 2)]),
    "padding": st.sampled_from([(0, 0), (1, 0)]),
    "dilation": st.sampled_from([(1, 1), (1, 2)]),
}

CASES = [
    case(ops.unfold_windows, _unfold_pairs, x=reals(dims="n c h w"), kernel=(2, 2), **_as_pairs, _sizes=_sizes),
    case(
        ops.fold_windows,
        lambda y, size, kernel, stride, padding, dilation: _fold(y, size, kernel, stride, padding, dilation),
        y=reals(dims="n 4 9"),
        size=(5, 5),
        kernel=(2, 2),
        stride=(2, 2),
        padding=(1, 1),
        dilation=(2, 2),
        _sizes=_sizes,
    ),
    case(
        ops.fold_windows,
        lambda y, size, kernel, stride, padding, dilation: _fold(y, size, kernel, stride, padding, dilation),
        y=reals(dims="n 4 12"),
        size=(5, 4),
        kernel=(1, 2),
        stride=(2, 1),
        padding=(0, 1),
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
        ops.conv_transpose2d,
        _conv_transpose,
        x=reals(dims="n c 2 3"),
        weight=reals(dims="c o 2 3"),
        bias=reals(dims="o"),
        stride=st.sampled_from([1, 2, (2, 3)]),
        padding=st.sampled_from([0, 1, (0, 1)]),
        output_padding=given_args(lambda args: 0 if args["stride"] == 1 else st.sampled_from([0, 1])),
        groups=1,
        dilation=st.sampled_from([1, 2]),
        _sizes=_sizes,
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
]
