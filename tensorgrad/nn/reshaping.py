"""Layers that only move elements: Flatten and Unflatten, Unfold and Fold, padding, pixel shuffles."""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad import ops
from tensorgrad.nn.making import arguments, batched, positive, sizes
from tensorgrad.nn.module import Module
from tensorgrad.ops.windows import Size


def _place(what: str, name: str, axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(f"{what}: {name} is {axis}, and the input has {ndim} axes")
    return axis % ndim


class Flatten(Module):
    """The axes from start_dim to end_dim as one.   (n, a, b, ...) -> (n, a b ...)

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.Flatten()(tg.ones((5, 3, 8, 8))).shape
    (5, 192)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        """The axes from start_dim to end_dim as one.   (n, a, b, ...) -> (n, a b ...)"""
        shape = tuple(x.shape)
        start = _place("Flatten", "start_dim", self.start_dim, len(shape))
        end = _place("Flatten", "end_dim", self.end_dim, len(shape))
        if start > end:
            raise ValueError(f"Flatten: start_dim {self.start_dim} lies behind end_dim {self.end_dim} in {shape}")
        return ops.reshape(x, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "start_dim", "end_dim")


class Unflatten(Module):
    """One axis as several.   (..., n, ...) -> (..., a, b, ...)

    unflattened_size: their lengths, one of which may be -1 for what is left.
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Any) -> Any:
        """One axis as several.   (..., n, ...) -> (..., a, b, ...)"""
        shape = tuple(x.shape)
        place = _place("Unflatten", "dim", self.dim, len(shape))
        known = prod(size for size in self.unflattened_size if size != -1)
        lengths = tuple(shape[place] // max(known, 1) if size == -1 else size for size in self.unflattened_size)
        if prod(lengths) != shape[place] or self.unflattened_size.count(-1) > 1:
            raise ValueError(f"Unflatten: axis {self.dim} of {shape} does not divide into {self.unflattened_size}")
        return ops.reshape(x, (*shape[:place], *lengths, *shape[place + 1 :]))

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "dim", "unflattened_size")


class Unfold(Module):
    """Every window of an image as a column.   (n, c, h, w) -> (n, c kh kw, windows)"""

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, x: Any) -> Any:
        """Every window as a column.   (n, c, h, w) -> (n, c kh kw, windows)"""
        return ops.unfold(
            x, _pair("Unfold", self.kernel_size), dilation=self.dilation, padding=self.padding, stride=self.stride
        )

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "kernel_size", "dilation", "padding", "stride")


class Fold(Module):
    """Columns added up where their windows lie: the adjoint of `Unfold`.   (n, c kh kw, windows) -> (n, c, h, w)"""

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, y: Any) -> Any:
        """Columns added up in an image.   (n, c kh kw, windows) -> (n, c, h, w)"""
        size, kernel = _pair("Fold", self.output_size, "output_size"), _pair("Fold", self.kernel_size)
        return ops.fold(y, size, kernel, dilation=self.dilation, padding=self.padding, stride=self.stride)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "output_size", "kernel_size", "dilation", "padding", "stride")


def _pair(what: str, value: Any, name: str = "kernel_size") -> tuple[int, ...]:
    return sizes(what, name, value, 2, 1)


class PixelShuffle(Module):
    """Channels become pixels, r x r for each.   (..., c r r, h, w) -> (..., c, h r, w r)

    Shi et al., "Real-time single image and video super-resolution", 2016, eq. 4.
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = positive("PixelShuffle", "upscale_factor", upscale_factor)

    def forward(self, x: Any) -> Any:
        """Channels become pixels.   (..., c r r, h, w) -> (..., c, h r, w r)"""
        return ops.pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "upscale_factor")


class PixelUnshuffle(Module):
    """The inverse of `PixelShuffle`: r x r pixels become channels.   (..., c, h r, w r) -> (..., c r r, h, w)"""

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = positive("PixelUnshuffle", "downscale_factor", downscale_factor)

    def forward(self, x: Any) -> Any:
        """Pixels become channels.   (..., c, h r, w r) -> (..., c r r, h, w)"""
        return ops.pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self) -> str:
        """The arguments."""
        return arguments(self, "downscale_factor")


class _Pad(Module):
    """A border around the last `axes` axes."""

    axes: int
    mode: str
    value: float = 0.0

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        # PyTorch's order: the last axis first, (left, right, top, bottom, front, back).
        self.padding = sizes(type(self).__name__, "padding", padding, 2 * self.axes)

    def forward(self, x: Any) -> Any:
        """x with a border.   (n, c, ...) or (c, ...) -> same axes"""
        pairs = list(zip(self.padding[::2], self.padding[1::2], strict=True))[::-1]
        widths = ((0, 0), (0, 0), *pairs)
        return batched(lambda each: ops.pad(each, widths, self.mode, self.value), x, self.axes + 1)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """The arguments."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """One value around a line.   (n, c, l) -> same axes

    padding: a number, or (left, right). value: what the border holds.
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """One value around an image.   (n, c, h, w) -> same axes

    padding: a number, or (left, right, top, bottom). value: what the border holds.
    """

    axes = 2


class ConstantPad3d(_ConstantPad):
    """One value around a volume.   (n, c, d, h, w) -> same axes

    padding: a number, or (left, right, top, bottom, front, back). value: what the border holds.
    """

    axes = 3


class ZeroPad1d(_Pad):
    """Zeros around a line.   (n, c, l) -> same axes

    padding: a number, or (left, right).
    """

    axes = 1
    mode = "constant"


class ZeroPad2d(_Pad):
    """Zeros around an image.   (n, c, h, w) -> same axes

    padding: a number, or (left, right, top, bottom).
    """

    axes = 2
    mode = "constant"


class ZeroPad3d(_Pad):
    """Zeros around a volume.   (n, c, d, h, w) -> same axes

    padding: a number, or (left, right, top, bottom, front, back).
    """

    axes = 3
    mode = "constant"


class ReflectionPad1d(_Pad):
    """A line mirrored beyond its edges, which are not repeated.   (n, c, l) -> same axes

    padding: a number, or (left, right).
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """An image mirrored beyond its edges, which are not repeated.   (n, c, h, w) -> same axes

    padding: a number, or (left, right, top, bottom).
    """

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A volume mirrored beyond its edges, which are not repeated.   (n, c, d, h, w) -> same axes

    padding: a number, or (left, right, top, bottom, front, back).
    """

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """The edges of a line repeated outwards.   (n, c, l) -> same axes

    padding: a number, or (left, right).
    """

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """The edges of an image repeated outwards.   (n, c, h, w) -> same axes

    padding: a number, or (left, right, top, bottom).
    """

    axes = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """The edges of a volume repeated outwards.   (n, c, d, h, w) -> same axes

    padding: a number, or (left, right, top, bottom, front, back).
    """

    axes = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """A line going on at its other side.   (n, c, l) -> same axes

    padding: a number, or (left, right).
    """

    axes = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """An image going on at its other side.   (n, c, h, w) -> same axes

    padding: a number, or (left, right, top, bottom).
    """

    axes = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """A volume going on at its other side.   (n, c, d, h, w) -> same axes

    padding: a number, or (left, right, top, bottom, front, back).
    """

    axes = 3
    mode = "circular"


__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Flatten",
    "Fold",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Unflatten",
    "Unfold",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]
