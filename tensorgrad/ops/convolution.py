"""Windows over images: unfold and fold, each the other's adjoint, and the convolutions made of them."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array
from tensorgrad.ops.linalg import matmul
from tensorgrad.ops.shape import permute_dims, reshape
from tensorgrad.primitive import op

Pair = int | tuple[int, int]
Two = tuple[int, int]


def pair(value: Pair, what: str, name: str, least: int = 0) -> tuple[int, int]:
    """A number for both axes, or one for each. Raises ValueError for anything else, and below `least`."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or min(both) < least:
        raise ValueError(f"{what}: {name} is {value!r}; expected an integer or a pair of them, at least {least}")
    return both


def window_counts(
    height: int, width: int, kernel: tuple[int, int], stride: Any, padding: Any, dilation: Any, what: str
) -> tuple[int, int]:
    """How many windows fit: h' = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1.

    Raises ValueError when not one does.
    """
    counts = []
    for size, k, s, p, d in zip((height, width), kernel, stride, padding, dilation, strict=True):
        room = size + 2 * p - d * (k - 1) - 1
        if room < 0:
            raise ValueError(
                f"{what}: the kernel {kernel} with dilation {dilation} does not fit into an image of "
                f"{height} x {width} padded by {padding}"
            )
        counts.append(room // s + 1)
    return counts[0], counts[1]


@op(linear=True)
def unfold_windows(xp: Any, x: Array, kernel: Two, stride: Two, padding: Two, dilation: Two) -> Array:
    """Every window of an image as a column, the sizes checked by `unfold`.   (n, c, h, w) -> (n, c kh kw, h' w')"""
    n, c, h, w = x.shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    rows, columns = window_counts(h, w, kernel, stride, padding, dilation, "unfold")
    x = _placed(xp, _placed(xp, x, 2, ph, h + 2 * ph), 3, pw, w + 2 * pw)
    windows = [
        xp.expand_dims(
            x[:, :, i * dh : i * dh + sh * (rows - 1) + 1 : sh, j * dw : j * dw + sw * (columns - 1) + 1 : sw], axis=2
        )
        for i in range(kh)
        for j in range(kw)
    ]
    return xp.reshape(xp.concat(windows, axis=2), (n, c * kh * kw, rows * columns))


@op(linear=True)
def fold_windows(xp: Any, y: Array, size: Two, kernel: Two, stride: Two, padding: Two, dilation: Two) -> Array:
    """Columns added back into their windows, the sizes checked by `fold`.   (n, c kh kw, h' w') -> (n, c, h, w)"""
    (h, w), (kh, kw), (sh, sw), (ph, pw), (dh, dw) = size, kernel, stride, padding, dilation
    rows, columns = window_counts(h, w, kernel, stride, padding, dilation, "fold")
    n, c = y.shape[0], y.shape[1] // (kh * kw)
    y = xp.reshape(y, (n, c, kh * kw, rows, columns))
    image = xp.zeros((n, c, h + 2 * ph, w + 2 * pw), dtype=y.dtype, device=y.device)
    for i in range(kh):
        for j in range(kw):
            piece = _spread(xp, _spread(xp, y[:, :, i * kw + j, :, :], 2, sh), 3, sw)
            image = image + _placed(xp, _placed(xp, piece, 2, i * dh, h + 2 * ph), 3, j * dw, w + 2 * pw)
    return image[:, :, ph : ph + h, pw : pw + w]


def _zeros(xp: Any, x: Array, axis: int, size: int) -> Array:
    """Zeros like x, with `size` of them along an axis."""
    return xp.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), dtype=x.dtype, device=x.device)


def _placed(xp: Any, x: Array, axis: int, before: int, total: int) -> Array:
    """x among zeros along an axis: `before` of them first, `total` elements in all."""
    after = total - before - x.shape[axis]
    parts = [_zeros(xp, x, axis, before)] * (before > 0) + [x] + [_zeros(xp, x, axis, after)] * (after > 0)
    return xp.concat(parts, axis=axis) if len(parts) > 1 else x


def _spread(xp: Any, x: Array, axis: int, stride: int) -> Array:
    """stride - 1 zeros between the elements along an axis."""
    if stride == 1:
        return x
    apart = xp.expand_dims(x, axis=axis + 1)
    apart = xp.concat([apart, _zeros(xp, apart, axis + 1, stride - 1)], axis=axis + 1)
    wide = xp.reshape(apart, (*x.shape[:axis], x.shape[axis] * stride, *x.shape[axis + 1 :]))
    return wide[(*(slice(None),) * axis, slice(0, (x.shape[axis] - 1) * stride + 1), ...)]


unfold_windows.vjp(
    x=lambda g, kernel, stride, padding, dilation, x_shape: fold_windows(
        g, tuple(x_shape[2:]), kernel, stride, padding, dilation
    )
)
fold_windows.vjp(y=lambda g, kernel, stride, padding, dilation: unfold_windows(g, kernel, stride, padding, dilation))


def unfold(x: Any, /, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1) -> Any:
    """Every window of an image as a column.   (n, c, h, w) -> (n, c kh kw, h' w')

    h' = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1, and w' likewise, in windows.
    Raises ValueError when the kernel is larger than the padded image.

    >>> import tensorgrad as tg
    >>> tg.unfold(tg.ones((1, 2, 4, 4)), 3).shape
    (1, 18, 4)
    """
    if len(x.shape) != 4:
        raise ValueError(f"unfold: expected (n, c, h, w), got the shape {tuple(x.shape)}")
    kernel, moves = _moves("unfold", kernel_size, stride, padding, dilation)
    window_counts(x.shape[2], x.shape[3], kernel, *moves, "unfold")
    return unfold_windows(x, kernel, *moves)


def fold(
    y: Any, /, output_size: Pair, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> Any:
    """Columns added back into the windows they came from: the adjoint of unfold.   (n, c kh kw, h' w') -> (n, c, h, w)

    Raises ValueError when the columns are not those of an image of output_size.

    >>> import tensorgrad as tg
    >>> tg.fold(tg.ones((1, 4, 4)), (3, 3), 2).tolist()
    [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    h, w = pair(output_size, "fold", "output_size", 1)
    kernel, moves = _moves("fold", kernel_size, stride, padding, dilation)
    rows, columns = window_counts(h, w, kernel, *moves, "fold")
    area = kernel[0] * kernel[1]
    if len(y.shape) != 3 or y.shape[1] % area or y.shape[2] != rows * columns:
        raise ValueError(
            f"fold: expected (n, c * {area}, {rows * columns}) for an image of {h} x {w}, "
            f"got the shape {tuple(y.shape)}"
        )
    return fold_windows(y, (h, w), kernel, *moves)


def _moves(
    what: str, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Two, tuple[Two, Two, Two]]:
    """The kernel's size, and (stride, padding, dilation), each a pair."""
    moves = pair(stride, what, "stride", 1), pair(padding, what, "padding"), pair(dilation, what, "dilation", 1)
    return pair(kernel_size, what, "kernel_size", 1), moves


# ── convolutions: compositions of windows and one product ──────────────────────────────────────────────────


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Any:
    """Cross-correlation over two spatial axes.   (n, c, h, w), (o, c / groups, kh, kw), (o,) -> (n, o, h', w')

    h' = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1, in pixels.
    Raises ValueError when x and weight disagree on the channels.
    LeCun et al., "Gradient-based learning applied to document recognition", 1998, section II.A.

    >>> import tensorgrad as tg
    >>> tg.conv2d(tg.ones((1, 1, 3, 3)), tg.ones((1, 1, 2, 2))).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    _check_image("conv2d", x, weight, groups, 1)
    n, c, h, w = x.shape
    o, _, kh, kw = weight.shape
    strides, dilations = pair(stride, "conv2d", "stride", 1), pair(dilation, "conv2d", "dilation", 1)
    rows, columns = window_counts(h, w, (kh, kw), strides, pair(padding, "conv2d", "padding"), dilations, "conv2d")
    patches = unfold(x, (kh, kw), stride, padding, dilation)
    patches = reshape(patches, (n, groups, c // groups * kh * kw, rows * columns))
    filters = reshape(weight, (groups, o // groups, c // groups * kh * kw))
    y = reshape(matmul(filters, patches), (n, o, rows, columns))
    return y if bias is None else y + reshape(bias, (1, o, 1, 1))


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Any:
    """The adjoint of conv2d in its image.   (n, c, h, w), (c, o / groups, kh, kw), (o,) -> (n, o, h', w')

    h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, in pixels.
    Raises ValueError when x and weight disagree on the channels, and for an output_padding not below the stride
    or the dilation.

    >>> import tensorgrad as tg
    >>> tg.conv_transpose2d(tg.ones((1, 1, 1, 1)), tg.ones((1, 1, 2, 2))).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """
    _check_image("conv_transpose2d", x, weight, groups, 0)
    n, c, h, w = x.shape
    _, o, kh, kw = weight.shape
    strides, dilations = (
        pair(stride, "conv_transpose2d", "stride", 1),
        pair(dilation, "conv_transpose2d", "dilation", 1),
    )
    paddings = pair(padding, "conv_transpose2d", "padding")
    extras = pair(output_padding, "conv_transpose2d", "output_padding")
    sizes = []
    for size, k, s, p, e, d in zip((h, w), (kh, kw), strides, paddings, extras, dilations, strict=True):
        if e and e >= max(s, d):
            raise ValueError(
                f"conv_transpose2d: output_padding {output_padding} must be below the stride or the dilation"
            )
        sizes.append((size - 1) * s - 2 * p + d * (k - 1) + e + 1)
    pixels = reshape(x, (n, groups, c // groups, h * w))
    filters = permute_dims(reshape(weight, (groups, c // groups, o * kh * kw)), (0, 2, 1))
    columns = reshape(matmul(filters, pixels), (n, groups * o * kh * kw, h * w))
    y = fold(columns, (sizes[0], sizes[1]), (kh, kw), stride, padding, dilation)
    return y if bias is None else y + reshape(bias, (1, o * groups, 1, 1))


def _check_image(what: str, x: Any, weight: Any, groups: int, axis: int) -> None:
    if len(x.shape) != 4 or len(weight.shape) != 4:
        raise ValueError(
            f"{what}: expected x (n, c, h, w) and a weight of 4 axes, got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    expected = weight.shape[axis] * (groups if axis == 1 else 1)
    if x.shape[1] != expected or weight.shape[0] % groups:
        raise ValueError(
            f"{what}: x has {x.shape[1]} channels and the weight {tuple(weight.shape)} with groups={groups} is for "
            f"{expected}; both channel counts must be multiples of groups"
        )
