"""Pooling as layers: the largest, the mean or a norm of each window, and what undoes it. Arguments are PyTorch's.

An input without the batch axis has a result without one.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad import ops
from tensorgrad.nn.making import arguments, batched, sizes
from tensorgrad.nn.module import Module
from tensorgrad.ops.windows import Size

Sizes = int | None | tuple[int | None, ...]


class _MaxPool(Module):
    """The largest value of each window over `axes` spatial axes."""

    axes: int

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x: Any) -> Any:
        """The largest values; with return_indices their places too.   (n, c, ...) or (c, ...) -> (n, c, ...)"""
        return batched(self._pooled, x, self.axes + 1)

    def _pooled(self, x: Any) -> Any:
        return getattr(ops, f"max_pool{self.axes}d")(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "kernel_size", "stride", "padding", "dilation", "ceil_mode")


class _AvgPool(Module):
    """The mean of each window over `axes` spatial axes."""

    axes: int

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Any) -> Any:
        """The means.   (n, c, ...) or (c, ...) -> (n, c, ...)"""
        return batched(self._pooled, x, self.axes + 1)

    def _pooled(self, x: Any) -> Any:
        args = (self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        if self.divisor_override is not None:
            return getattr(ops, f"avg_pool{self.axes}d")(x, *args, divisor_override=self.divisor_override)
        return getattr(ops, f"avg_pool{self.axes}d")(x, *args)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "kernel_size", "stride", "padding")


class _LPPool(Module):
    """The p-norm of each window over `axes` spatial axes."""

    axes: int

    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        if norm_type == 0:
            raise ValueError(f"{type(self).__name__}: norm_type is 0; expected another number")
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, x: Any) -> Any:
        """(sum over the window of x^p)^(1 / p), NaN where that has no root.   (n, c, ...) -> (n, c, ...)"""
        return batched(self._pooled, x, self.axes + 1)

    def _pooled(self, x: Any) -> Any:
        pool = getattr(ops, f"avg_pool{self.axes}d")
        count = prod(sizes(type(self).__name__, "kernel_size", self.kernel_size, self.axes, 1))
        # Means over what is there, times the whole size: a window that hangs over the end counts as a full one.
        total = pool(x**self.norm_type, self.kernel_size, self.stride, 0, self.ceil_mode) * count
        none = total == 0  # where a root has no slope
        return ops.where(none, 0.0, ops.where(none, 1.0, total) ** (1 / self.norm_type))

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "norm_type", "kernel_size", "stride", "ceil_mode")


class _MaxUnpool(Module):
    """Values put back where max pooling found them, zeros elsewhere."""

    axes: int

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        what = type(self).__name__
        self.kernel_size = sizes(what, "kernel_size", kernel_size, self.axes, 1)
        self.stride = self.kernel_size if stride is None else sizes(what, "stride", stride, self.axes, 1)
        self.padding = sizes(what, "padding", padding, self.axes)

    def forward(self, x: Any, indices: Any, output_size: Any = None) -> Any:
        """The values at their places.   (n, c, ...), the same int -> (n, c, ...)

        output_size: the spatial sizes, or a whole shape; without it, those that the geometry gives.
        """
        if len(x.shape) == self.axes + 1:
            whole = self.forward(ops.expand_dims(x, axis=0), ops.expand_dims(indices, axis=0), output_size)
            return ops.squeeze(whole, axis=0)
        if output_size is None:
            geometry = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, strict=True)
            wanted = tuple((count - 1) * s - 2 * p + k for count, k, s, p in geometry)
        else:
            wanted = tuple(output_size)[-self.axes :]
        # Places count through a whole plane, so that any two axes of the same number of pixels do.
        shape, plane = tuple(x.shape[:2]), (wanted[0], prod(wanted[1:]))
        flat = (*shape, x.shape[2], prod(x.shape[3:]))
        y = ops.max_unpool2d(ops.reshape(x, flat), ops.reshape(indices, flat), 1, output_size=plane)
        return ops.reshape(y, (*shape, *wanted))

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "kernel_size", "stride", "padding")


class _AdaptiveAvgPool(Module):
    """The means of as many windows as are asked for."""

    axes: int

    def __init__(self, output_size: Sizes) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        """The means.   (n, c, ...) or (c, ...) -> (n, c, *output_size)"""
        pool = getattr(ops, f"adaptive_avg_pool{self.axes}d")
        return batched(lambda each: pool(each, self.output_size), x, self.axes + 1)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "output_size")


class _AdaptiveMaxPool(Module):
    """The largest values of as many windows as are asked for."""

    axes: int

    def __init__(self, output_size: Sizes) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        """The largest values.   (n, c, ...) or (c, ...) -> (n, c, *output_size)"""
        pool = getattr(ops, f"adaptive_max_pool{self.axes}d")
        return batched(lambda each: pool(each, self.output_size), x, self.axes + 1)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "output_size")


class MaxPool1d(_MaxPool):
    """The largest value in each window of a line.   (n, c, l) -> (n, c, l')

    Arguments are those of `MaxPool2d`.
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest value in each window of an image.   (n, c, h, w) -> (n, c, h', w')

    The stride is the kernel's size unless given. padding: what lies there counts as minus infinity. return_indices:
    give their places too, as `MaxUnpool2d` takes them. ceil_mode: a window that hangs over the end counts. Values that
    tie share the gradient.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.MaxPool2d(2)(tg.reshape(tg.arange(16.0), (1, 1, 4, 4))).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest value in each window of a volume.   (n, c, d, h, w) -> (n, c, d', h', w')

    Arguments are those of `MaxPool2d`.
    """

    axes = 3


class AvgPool1d(_AvgPool):
    """The mean of each window of a line.   (n, c, l) -> (n, c, l')

    Arguments are those of `AvgPool2d`, but for divisor_override.
    """

    axes = 1

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window of an image.   (n, c, h, w) -> (n, c, h', w')

    The stride is the kernel's size unless given. count_include_pad: whether the zeros of the padding count in the mean.
    ceil_mode: a window that hangs over the end counts. divisor_override: what the sum is divided by instead.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.AvgPool2d(2)(tg.reshape(tg.arange(16.0), (1, 1, 4, 4))).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of a volume.   (n, c, d, h, w) -> (n, c, d', h', w')

    Arguments are those of `AvgPool2d`.
    """

    axes = 3


class LPPool1d(_LPPool):
    """The p-norm of each window of a line.   (n, c, l) -> (n, c, l')

    Arguments are those of `LPPool2d`.
    """

    axes = 1


class LPPool2d(_LPPool):
    """The p-norm of each window of an image.   (n, c, h, w) -> (n, c, h', w')

    norm_type: p; 1 gives sums. Where the sum of the powers is 0 so is the gradient; where it is below 0 and has no root
    the result is NaN, as PyTorch's: pool even powers, or positive numbers.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.LPPool2d(2, (1, 2))(tg.asarray([[[[3.0, 4.0]]]])).tolist()
    [[[[5.0]]]]
    """

    axes = 2


class LPPool3d(_LPPool):
    """The p-norm of each window of a volume.   (n, c, d, h, w) -> (n, c, d', h', w')

    Arguments are those of `LPPool2d`.
    """

    axes = 3


class MinPool2d(_MaxPool):
    """The smallest value in each window of an image; padding counts as infinity.   (n, c, h, w) -> (n, c, h', w')

    Arguments are those of `MaxPool2d`, but for return_indices.
    """

    axes = 2

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, False, ceil_mode)

    def _pooled(self, x: Any) -> Any:
        return ops.min_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxUnpool1d(_MaxUnpool):
    """Values put back where max pooling found them, zeros elsewhere.   (n, c, l') -> (n, c, l)

    Arguments are those of `MaxUnpool2d`.
    """

    axes = 1


class MaxUnpool2d(_MaxUnpool):
    """Values put back where max pooling found them, zeros elsewhere.   (n, c, h', w') -> (n, c, h, w)

    Call it with the values and their places, as `MaxPool2d(..., return_indices=True)` gives both.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> values, places = nn.MaxPool2d(2, return_indices=True)(tg.asarray([[[[1.0, 3.0], [2.0, 0.0]]]]))
    >>> nn.MaxUnpool2d(2)(values, places).tolist()
    [[[[0.0, 3.0], [0.0, 0.0]]]]
    """

    axes = 2


class MaxUnpool3d(_MaxUnpool):
    """Values put back where max pooling found them, zeros elsewhere.   (n, c, d', h', w') -> (n, c, d, h, w)

    Arguments are those of `MaxUnpool2d`.
    """

    axes = 3


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of as many windows of a line as are asked for.   (n, c, l) -> (n, c, s)

    Arguments are those of `AdaptiveAvgPool2d`.
    """

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of as many windows of an image as are asked for.   (n, c, h, w) -> (n, c, s, t)

    output_size: a number, or one for each axis, None for as many as there are pixels.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.AdaptiveAvgPool2d((1, None))(tg.ones((2, 3, 5, 4))).shape
    (2, 3, 1, 4)
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of as many windows of a volume as are asked for.   (n, c, d, h, w) -> (n, c, s, t, u)

    Arguments are those of `AdaptiveAvgPool2d`.
    """

    axes = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest values of as many windows of a line as are asked for.   (n, c, l) -> (n, c, s)

    Arguments are those of `AdaptiveMaxPool2d`.
    """

    axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest values of as many windows of an image as are asked for.   (n, c, h, w) -> (n, c, s, t)

    output_size: a number, or one for each axis, None for as many as there are pixels.
    """

    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest values of as many windows of a volume as are asked for.   (n, c, d, h, w) -> (n, c, s, t, u)

    Arguments are those of `AdaptiveMaxPool2d`.
    """

    axes = 3


__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "MinPool2d",
]
