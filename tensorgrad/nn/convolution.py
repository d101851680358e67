"""Convolutions and their transposes as layers, with PyTorch's arguments, weights and names."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from tensorgrad import ops
from tensorgrad.nn import init
from tensorgrad.nn.making import batched, empty_parameter, positive, sizes
from tensorgrad.nn.module import Module
from tensorgrad.ops.windows import Padding, Size, pads_of

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class _Convolution(Module):
    """What convolutions of all kinds keep: geometry, weight and bias."""

    axes: int

    def _keep(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        dilation: Size,
        groups: int,
        padding_mode: str,
    ) -> None:
        what, axes = type(self).__name__, self.axes
        self.in_channels = positive(what, "in_channels", in_channels)
        self.out_channels = positive(what, "out_channels", out_channels)
        self.groups = positive(what, "groups", groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{what}: in_channels is {in_channels} and out_channels {out_channels}; both must be multiples of "
                f"groups, which is {groups}"
            )
        self.kernel_size = sizes(what, "kernel_size", kernel_size, axes, 1)
        self.stride = sizes(what, "stride", stride, axes, 1)
        self.dilation = sizes(what, "dilation", dilation, axes, 1)
        if padding_mode not in MODES:
            raise ValueError(f"{what}: padding_mode is {padding_mode!r}; it may be {', '.join(map(repr, MODES))}")
        self.padding_mode = padding_mode

    def _make(self, weight_shape: tuple[int, ...], bias: bool, device: str | None, dtype: Any, generator: Any) -> None:
        self.weight = empty_parameter(weight_shape, device, dtype)
        self.bias = empty_parameter((self.out_channels,), device, dtype) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw weight and bias anew."""
        init.fan_in_uniform_(self.weight, generator)
        if self.bias is not None:
            bound = 1 / sqrt(prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound, generator)

    def _said(self, padding: Any, output_padding: Any = None) -> str:
        """The arguments that are not the default ones, as PyTorch shows them."""
        none = (0,) * self.axes
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        parts += [f"padding={padding}"] if padding != none else []
        parts += [f"dilation={self.dilation}"] if self.dilation != (1,) * self.axes else []
        parts += [f"output_padding={output_padding}"] if output_padding not in (None, none) else []
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join(parts)


class _Conv(_Convolution):
    """A convolution over `axes` spatial axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        self._keep(in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode)
        pads = pads_of(padding, self.kernel_size, self.stride, self.dilation, type(self).__name__)
        even = all(before == after for before, after in pads)
        self.padding: Any = padding if isinstance(padding, str) else tuple(b for b, _ in pads) if even else pads
        self._pads = pads
        self._make((out_channels, in_channels // groups, *self.kernel_size), bias, device, dtype, generator)

    def forward(self, x: Any) -> Any:
        """The cross-correlation of x and the weight, plus the bias.   (n, c, ...) or (c, ...) -> (n, o, ...)"""
        return batched(self._convolved, x, self.axes + 1)

    def _convolved(self, x: Any) -> Any:
        pads: Any = self._pads
        if self.padding_mode != "zeros":
            x = ops.pad(x, ((0, 0), (0, 0), *pads), mode=MODES[self.padding_mode])
            pads = 0
        return getattr(ops, f"conv{self.axes}d")(
            x, self.weight, self.bias, self.stride, pads, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        """The arguments."""
        return self._said(self.padding)


class _ConvTranspose(_Convolution):
    """The transpose of a convolution over `axes` spatial axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        what = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f"{what}: padding_mode is {padding_mode!r}; a transposed convolution has 'zeros' only")
        self._keep(in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode)
        self.padding = sizes(what, "padding", padding, self.axes)
        self.output_padding = sizes(what, "output_padding", output_padding, self.axes)
        self._make((in_channels, out_channels // groups, *self.kernel_size), bias, device, dtype, generator)

    def forward(self, x: Any, output_size: Any = None) -> Any:
        """The transposed convolution of x, plus the bias.   (n, c, ...) or (c, ...) -> (n, o, ...)

        output_size: the spatial sizes wanted, instead of output_padding. Raises ValueError for one out of reach.
        """
        return batched(lambda each: self._convolved(each, output_size), x, self.axes + 1)

    def _convolved(self, x: Any, output_size: Any) -> Any:
        extra = self.output_padding if output_size is None else self._extra(tuple(x.shape[2:]), output_size)
        return getattr(ops, f"conv_transpose{self.axes}d")(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, counts: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
        """The output_padding that gives these sizes."""
        wanted = tuple(output_size)[-self.axes :]
        geometry = zip(counts, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = [(count - 1) * s - 2 * p + d * (k - 1) + 1 for count, k, s, p, d in geometry]
        most = [size + max(s, d) - 1 for size, s, d in zip(least, self.stride, self.dilation, strict=True)]
        if len(wanted) != self.axes or any(
            not low <= size <= high for size, low, high in zip(wanted, least, most, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__}: output_size is {tuple(output_size)}; from {counts} it may be "
                f"{tuple(least)} to {tuple(most)}"
            )
        return tuple(size - low for size, low in zip(wanted, least, strict=True))

    def extra_repr(self) -> str:
        """The arguments."""
        return self._said(self.padding, self.output_padding)


class Conv1d(_Conv):
    """Cross-correlation over one spatial axis, with a learnt kernel.   (n, c, l) -> (n, o, l')

    Arguments are those of `Conv2d`. weight: (o, c / groups, k), bias: (o,).

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Conv1d(3, 4, 3, stride=2, padding=1)(tg.ones((5, 3, 8))).shape
    (5, 4, 4)
    """

    axes = 1


class Conv2d(_Conv):
    """Cross-correlation over two spatial axes, with a learnt kernel.   (n, c, h, w) -> (n, o, h', w')

    kernel_size, stride, dilation: a number, or one for each axis. padding: the same, or pairs (before, after), "valid"
    for none, "same" for as many pixels as went in, at stride 1. groups: channels are cut into so many blocks, each
    convolved on its own. padding_mode: what the border holds, "zeros", "reflect", "replicate" or "circular".
    weight: (o, c / groups, kh, kw) and bias: (o,), both from U(-k, k) with k^2 = groups / (c kh kw); bias=False leaves
    it out. generator, device, dtype: as for `Linear`. An input without the batch axis has a result without one.
    Raises ValueError for sizes that are not positive and channels that are no multiple of groups.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Conv2d(3, 4, 3, stride=2, padding=1)(tg.ones((5, 3, 8, 8))).shape
    (5, 4, 4, 4)
    """

    axes = 2


class Conv3d(_Conv):
    """Cross-correlation over three axes, with a learnt kernel.   (n, c, d, h, w) -> (n, o, d', h', w')

    Arguments are those of `Conv2d`. weight: (o, c / groups, kd, kh, kw), bias: (o,).

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Conv3d(3, 4, 3, stride=2, padding=1)(tg.ones((1, 3, 8, 8, 8))).shape
    (1, 4, 4, 4, 4)
    """

    axes = 3


class ConvTranspose1d(_ConvTranspose):
    """The adjoint of a convolution over one spatial axis.   (n, c, l) -> (n, o, l')

    Arguments are those of `ConvTranspose2d`. weight: (c, o / groups, k), bias: (o,).

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.ConvTranspose1d(3, 4, 2, stride=2)(tg.ones((5, 3, 4))).shape
    (5, 4, 8)
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The adjoint of a convolution over two spatial axes.   (n, c, h, w) -> (n, o, h', w')

    h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, in pixels; or call it with `output_size`.
    weight: (c, o / groups, kh, kw), from U(-k, k), k^2 = groups / (o kh kw), and bias: (o,).
    Other arguments and errors are those of `Conv2d`.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.ConvTranspose2d(3, 4, 2, stride=2)(tg.ones((5, 3, 4, 4))).shape
    (5, 4, 8, 8)
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The adjoint of a convolution over three axes.   (n, c, d, h, w) -> (n, o, d', h', w')

    Arguments are those of `ConvTranspose2d`. weight: (c, o / groups, kd, kh, kw), bias: (o,).

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.ConvTranspose3d(3, 4, 2, stride=2)(tg.ones((1, 3, 4, 4, 4))).shape
    (1, 4, 8, 8, 8)
    """

    axes = 3


__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
