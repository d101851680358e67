"""One number per window: max pooling."""

from __future__ import annotations

from math import inf
from typing import Any

from tensorgrad.ops.convolution import Pair, pair, unfold, window_counts
from tensorgrad.ops.padding import pad
from tensorgrad.ops.reduction import max
from tensorgrad.ops.shape import reshape


def max_pool2d(x: Any, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0, dilation: Pair = 1) -> Any:
    """The largest value in each window; padding counts as minus infinity.   (n, c, h, w) -> (n, c, h', w')

    h' = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1; the stride is the kernel's size unless given.
    Values that tie share the gradient equally. Raises ValueError for padding beyond half of the kernel.

    >>> import tensorgrad as tg
    >>> tg.max_pool2d(tg.reshape(tg.arange(16.0), (1, 1, 4, 4)), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    if len(x.shape) != 4:
        raise ValueError(f"max_pool2d: expected (n, c, h, w), got the shape {tuple(x.shape)}")
    kernel = pair(kernel_size, "max_pool2d", "kernel_size", 1)
    strides = kernel if stride is None else pair(stride, "max_pool2d", "stride", 1)
    paddings, dilations = pair(padding, "max_pool2d", "padding"), pair(dilation, "max_pool2d", "dilation", 1)
    if any(p > k // 2 for p, k in zip(paddings, kernel, strict=True)):
        raise ValueError(f"max_pool2d: padding {padding} is beyond half of the kernel {kernel}")
    n, c, h, w = x.shape
    rows, columns = window_counts(h, w, kernel, strides, paddings, dilations, "max_pool2d")
    if any(paddings):
        ph, pw = paddings
        x = pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-inf)
    if strides == kernel and dilations == (1, 1):  # windows side by side: a view, no copies
        x = x[:, :, : rows * kernel[0], : columns * kernel[1]]
        return max(reshape(x, (n, c, rows, kernel[0], columns, kernel[1])), axis=(3, 5))
    windows = reshape(unfold(x, kernel, strides, 0, dilations), (n, c, kernel[0] * kernel[1], rows, columns))
    return max(windows, axis=2)
