"""Convolutions over lines, images and volumes, and their transposes: one product of three arrays, read three ways.

The correlation of an image x with a kernel is bilinear. What it gives to x and to the kernel when a gradient y comes
back are its two other readings, so each of the three ops has the other two as its rules, to any order:
sum(y * correlate(x, w)) = sum(x * correlate_x(y, w)) = sum(w * correlate_weight(x, y)).
The two that give an image add a number for each of its channels, the bias, where there is one.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad.backend import Array
from tensorgrad.ops.padding import pad
from tensorgrad.ops.reduction import sum
from tensorgrad.ops.shape import reshape
from tensorgrad.ops.windows import Padding, Pads, Size, Sizes, columns_of, image_of, moves_of, per_axis, window_counts
from tensorgrad.primitive import op


@op(lift="operands")
def correlate_windows(
    xp: Any,
    x: Array,
    weight: Array,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
    bias: Array | None = None,
) -> Array:
    """Each window times each kernel.   (n, c, h, ..), (o, c / groups, kh, ..), (o,) -> (n, o, h', ..)   Unchecked."""
    n, o, kernel = x.shape[0], weight.shape[0], tuple(weight.shape[2:])
    counts = window_counts(tuple(x.shape[2:]), kernel, stride, padding, dilation, "conv")
    rows = weight.shape[1] * prod(kernel)
    columns = xp.reshape(columns_of(xp, x, kernel, stride, padding, dilation), (n, groups, rows, prod(counts)))
    found = xp.reshape(xp.matmul(xp.reshape(weight, (groups, o // groups, rows)), columns), (n, o, *counts))
    return found if bias is None else found + _over_channels(xp, bias, found)


@op(lift="operands")
def correlate_windows_x(
    xp: Any,
    y: Array,
    weight: Array,
    size: Sizes,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
    bias: Array | None = None,
) -> Array:
    """The adjoint in the image, of `size`.   (n, o, h', ..), (o, c / groups, kh, ..), (c,) -> (n, c, h, ..)"""
    n, o, *counts = y.shape
    kernel, rows = tuple(weight.shape[2:]), prod(weight.shape[1:])
    filters = xp.permute_dims(xp.reshape(weight, (groups, o // groups, rows)), (0, 2, 1))
    columns = xp.matmul(filters, xp.reshape(y, (n, groups, o // groups, prod(counts))))
    columns = xp.reshape(columns, (n, groups * rows, prod(counts)))
    image = image_of(xp, columns, size, kernel, stride, padding, dilation)
    return image if bias is None else image + _over_channels(xp, bias, image)


def _over_channels(xp: Any, bias: Array, x: Array) -> Array:
    return xp.reshape(bias, (1, x.shape[1], *[1] * (len(x.shape) - 2)))


def _of_channels(g: Array) -> Array:
    """The gradient of a bias."""
    return sum(g, axis=(0, *range(2, len(g.shape))))


@op(lift="operands")
def correlate_windows_weight(
    xp: Any, x: Array, y: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Array:
    """The adjoint in the kernel.   (n, c, h, ..), (n, o, h', ..) -> (o, c / groups, kh, ..)"""
    n, c = x.shape[:2]
    o, pixels = y.shape[1], prod(y.shape[2:])
    columns = columns_of(xp, x, kernel, stride, padding, dilation)
    columns = xp.reshape(columns, (n, groups, c // groups * prod(kernel), pixels))
    products = xp.matmul(xp.reshape(y, (n, groups, o // groups, pixels)), xp.permute_dims(columns, (0, 1, 3, 2)))
    return xp.reshape(xp.sum(products, axis=0), (o, c // groups, *kernel))


correlate_windows.vjp(
    x=lambda g, weight, stride, padding, dilation, groups, x_shape: correlate_windows_x(
        g, weight, tuple(x_shape[2:]), stride, padding, dilation, groups
    ),
    weight=lambda g, x, stride, padding, dilation, groups, weight_shape: correlate_windows_weight(
        x, g, tuple(weight_shape[2:]), stride, padding, dilation, groups
    ),
    bias=_of_channels,
)
correlate_windows_x.vjp(
    y=lambda g, weight, stride, padding, dilation, groups: correlate_windows(
        g, weight, stride, padding, dilation, groups
    ),
    weight=lambda g, y, stride, padding, dilation, groups, weight_shape: correlate_windows_weight(
        g, y, tuple(weight_shape[2:]), stride, padding, dilation, groups
    ),
    bias=_of_channels,
)
correlate_windows_weight.vjp(
    x=lambda g, y, stride, padding, dilation, groups, x_shape: correlate_windows_x(
        y, g, tuple(x_shape[2:]), stride, padding, dilation, groups
    ),
    y=lambda g, x, stride, padding, dilation, groups: correlate_windows(x, g, stride, padding, dilation, groups),
)


def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1
) -> Any:
    """Cross-correlation over one spatial axis.   (n, c, l), (o, c / groups, k), (o,) -> (n, o, l')

    Arguments, l' and errors are those of `conv2d`.

    >>> import tensorgrad as tg
    >>> tg.conv1d(tg.asarray([[[1.0, 2.0, 4.0]]]), tg.asarray([[[-1.0, 1.0]]])).tolist()
    [[[1.0, 2.0]]]
    """
    return _conv("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1
) -> Any:
    """Cross-correlation over two spatial axes.   (n, c, h, w), (o, c / groups, kh, kw), (o,) -> (n, o, h', w')

    h' = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1, in pixels.
    stride, dilation: a number, or one for each axis. padding: the same, or a pair (before, after) for each axis,
    "valid" for none, or "same" for h' = h, at stride 1 (where it is odd, the one more is put after).
    groups: input and output channels are cut into so many blocks, each convolved on its own.
    Raises ValueError when x and weight disagree on the channels, and when the kernel does not fit.
    LeCun et al., "Gradient-based learning applied to document recognition", 1998, section II.A.

    >>> import tensorgrad as tg
    >>> tg.conv2d(tg.ones((1, 1, 3, 3)), tg.ones((1, 1, 2, 2))).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    return _conv("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


def conv3d(
    x: Any, weight: Any, bias: Any = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1
) -> Any:
    """Cross-correlation over three axes.   (n, c, d, h, w), (o, c / groups, kd, kh, kw), (o,) -> (n, o, d', h', w')

    Arguments, sizes and errors are those of `conv2d`.

    >>> import tensorgrad as tg
    >>> tg.conv3d(tg.ones((1, 1, 2, 3, 3)), tg.ones((1, 1, 2, 3, 3))).tolist()
    [[[[[18.0]]]]]
    """
    return _conv("conv3d", 3, x, weight, bias, stride, padding, dilation, groups)


def _conv(
    what: str,
    axes: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    _check_channels(what, axes, x, weight, groups, 1)
    kernel = tuple(weight.shape[2:])
    moves = moves_of(what, kernel, stride, padding, dilation)
    window_counts(tuple(x.shape[2:]), kernel, *moves, what)
    _check_bias(what, bias, weight.shape[0])
    return correlate_windows(x, weight, *moves, groups, bias)


def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """The adjoint of conv1d in its input.   (n, c, l), (c, o / groups, k), (o,) -> (n, o, l')

    Arguments, l' and errors are those of `conv_transpose2d`.

    >>> import tensorgrad as tg
    >>> tg.conv_transpose1d(tg.asarray([[[1.0, 2.0]]]), tg.asarray([[[1.0, 1.0]]])).tolist()
    [[[1.0, 3.0, 2.0]]]
    """
    return _conv_transpose("conv_transpose1d", 1, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """The adjoint of conv2d in its image.   (n, c, h, w), (c, o / groups, kh, kw), (o,) -> (n, o, h', w')

    h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, in pixels. padding: as for `conv2d`,
    where it stands for as much less of the result.
    Raises ValueError when x and weight disagree on the channels, for an output_padding not below the stride or the
    dilation, and when nothing is left of the result.

    >>> import tensorgrad as tg
    >>> tg.conv_transpose2d(tg.ones((1, 1, 1, 1)), tg.ones((1, 1, 2, 2))).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """
    return _conv_transpose("conv_transpose2d", 2, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """The adjoint of conv3d in its volume.   (n, c, d, h, w), (c, o / groups, kd, kh, kw), (o,) -> (n, o, d', h', w')

    Arguments, sizes and errors are those of `conv_transpose2d`.

    >>> import tensorgrad as tg
    >>> tg.conv_transpose3d(tg.ones((1, 1, 1, 1, 1)), tg.ones((1, 1, 1, 2, 2)), stride=2).shape
    (1, 1, 1, 2, 2)
    """
    return _conv_transpose("conv_transpose3d", 3, x, weight, bias, stride, padding, output_padding, groups, dilation)


def _conv_transpose(
    what: str,
    axes: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    _check_channels(what, axes, x, weight, groups, 0)
    counts, kernel = x.shape[2:], tuple(weight.shape[2:])
    strides, pads, dilations = moves_of(what, kernel, stride, padding, dilation)
    extras = per_axis(output_padding, axes, what, "output_padding")
    if any(e and e >= max(s, d) for e, s, d in zip(extras, strides, dilations, strict=True)):
        raise ValueError(f"{what}: output_padding {output_padding} must be below the stride or the dilation")
    # output_padding is so much less of the padding cut off at the end; where it is more than that, no window reaches
    # the rest, which stays zero.
    pads = tuple([(before, after - e) for (before, after), e in zip(pads, extras, strict=True)])
    beyond = [max(0, -after) for _, after in pads]
    pads = tuple([(before, max(0, after)) for before, after in pads])
    geometry = zip(counts, kernel, strides, pads, dilations, strict=True)
    sizes = tuple([(count - 1) * s - before - after + d * (k - 1) + 1 for count, k, s, (before, after), d in geometry])
    if min(sizes) < 1:
        raise ValueError(f"{what}: padding {padding!r} leaves nothing of a result of {sizes}; pad less")
    o = weight.shape[1] * groups
    _check_bias(what, bias, o)
    if not any(beyond):
        return correlate_windows_x(x, weight, sizes, strides, pads, dilations, groups, bias)
    y = correlate_windows_x(x, weight, sizes, strides, pads, dilations, groups)
    y = pad(y, ((0, 0), (0, 0), *[(0, more) for more in beyond]))
    return y if bias is None else y + reshape(bias, (1, o, *[1] * axes))


def _check_bias(what: str, bias: Any, channels: int) -> None:
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ValueError(f"{what}: expected a bias of shape {(channels,)}, got {tuple(bias.shape)}")


def _check_channels(what: str, axes: int, x: Any, weight: Any, groups: int, axis: int) -> None:
    """Raise ValueError unless x and weight have `axes` spatial axes, and channels that agree."""
    if len(x.shape) != axes + 2 or len(weight.shape) != axes + 2:
        raise ValueError(
            f"{what}: expected x (n, c, {', '.join('dhw'[-axes:])}) and a weight of {axes + 2} axes, "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if groups < 1:
        raise ValueError(f"{what}: groups is {groups}; expected at least 1")
    expected = weight.shape[axis] * (groups if axis == 1 else 1)
    if x.shape[1] != expected or weight.shape[0] % groups:
        raise ValueError(
            f"{what}: x has {x.shape[1]} channels and the weight {tuple(weight.shape)} with groups={groups} is for "
            f"{expected}; both channel counts must be multiples of groups"
        )
