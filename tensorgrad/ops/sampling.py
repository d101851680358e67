"""Images read between and beside their pixels: interpolation to another size, sampling on a grid, pixel shuffles.

Arrays are (n, c, spatial axes). A position is counted in pixels from the middle of the first one. align_corners says
how two sizes lie upon each other: with it the middles of the outermost pixels coincide, without it their outer edges.
"""

from __future__ import annotations

from math import floor as whole
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend import Array, beside, get_default_dtype
from tensorgrad.backend.stretch_taps import Stretch, cubic_weights, taps_back, taps_of
from tensorgrad.ops.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from tensorgrad.ops.arrays import device_of, isdtype
from tensorgrad.ops.elementwise import abs, asarray, astype, clip, floor, isfinite, round, where
from tensorgrad.ops.indexing import array_of
from tensorgrad.ops.products import matmul
from tensorgrad.ops.shape import expand_dims, permute_dims, reshape, stack
from tensorgrad.ops.windows import Size, Sizes, per_axis
from tensorgrad.primitive import op

RULES = {"nearest": 0, "nearest-exact": 0, "linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "area": 0}


# ── another size, axis by axis ──────────────────────────────────────────────────────────────────────────────


@op(linear=True)
def stretch_axis(xp: Any, x: Array, axis: int, stretch: Stretch, adjoint: bool) -> Array:
    """An axis at another size, each pixel a weighted sum of some.   (.., n, ..) -> (.., m, ..)

    adjoint: the way back, m to n. Both read and add; nothing is scattered, so the order of a sum never changes.
    """
    places, weights = (taps_back if adjoint else taps_of)(stretch)
    along = (len(places), *[1] * (len(x.shape) - axis - 1))
    total: Any = None
    for tap in range(places.shape[1]):
        index = xp.asarray(places[:, tap].tolist(), dtype=xp.int64, device=x.device)
        part = xp.take(x, index, axis=axis)
        if np.any(weights[:, tap] != 1):
            weight = xp.asarray(weights[:, tap].tolist(), dtype=x.dtype, device=x.device)
            part = part * xp.reshape(weight, along)
        total = part if total is None else total + part
    return total


stretch_axis.vjp(x=lambda g, axis, stretch, adjoint: stretch_axis(g, axis, stretch, not adjoint))


def interpolate(
    x: Any,
    size: Size | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    antialias: bool = False,
) -> Any:
    """An image at another size.   (n, c, h, w) -> (n, c, h', w')   Lines and volumes too, by modes made for them.

    size: pixels, or scale_factor: h' = floor(h scale_factor); a number, or one for each spatial axis.
    mode: "nearest" (pixel floor(i h / h')), "nearest-exact" (floor((i + 1/2) h / h')), "area" (means of windows, see
    `adaptive_avg_pool2d`) for any number of axes; "linear" for one, "bilinear" and "bicubic" for two, "trilinear" for
    three. align_corners: for the last four, whether the middles of the corner pixels stay where they are.
    antialias: for "bilinear" and "bicubic", whether a new pixel that covers many old ones is made of all of them, by a
    kernel as wide as itself; without, it reads two or four for each axis, and what is between them is lost.
    Positions beyond the border read the border. Integers are interpolated as floating numbers, but for the nearest.
    Raises ValueError for another mode, for both or neither of size and scale_factor, for an empty image, and for
    antialias with another mode.
    Keys, "Cubic convolution interpolation for digital image processing", 1981 (bicubic).

    >>> import tensorgrad as tg
    >>> tg.interpolate(tg.asarray([[[1.0, 3.0]]]), size=4, mode="linear").tolist()
    [[[1.0, 1.5, 2.5, 3.0]]]
    """
    axes = len(x.shape) - 2
    if mode not in RULES or axes not in (1, 2, 3) or RULES[mode] not in (0, axes):
        fitting = [name for name, of in RULES.items() if of in (0, axes)]
        raise ValueError(
            f"interpolate: mode is {mode!r} for the shape {tuple(x.shape)}; expected (n, c, and 1 to 3 spatial axes), "
            f"with one of {', '.join(map(repr, fitting))} for {axes} of them"
        )
    if align_corners is not None and not RULES[mode]:
        raise ValueError(f"interpolate: align_corners has no meaning for mode {mode!r}; leave it out")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias is for 'bilinear' and 'bicubic', not for mode {mode!r}; leave it out")
    if not prod(x.shape[2:]):
        raise ValueError(f"interpolate: there are no pixels in the shape {tuple(x.shape)}")
    sizes, steps = _sizes_and_steps(tuple(x.shape[2:]), size, scale_factor)
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[axes - 1](x, sizes)
    rule = mode if not RULES[mode] else "cubic" if mode == "bicubic" else "linear"
    rule = f"smooth {rule}" if antialias else rule
    if not (rule.startswith("nearest") or isdtype(x.dtype, ("real floating", "complex floating"))):
        x = astype(x, get_default_dtype())
    for axis, (before, after, step) in enumerate(zip(x.shape[2:], sizes, steps, strict=True), 2):
        # As PyTorch's, an axis that keeps its size is left alone, whatever the factor; but for the cubic rule.
        if before != after or (rule == "cubic" and step != 1.0 and not align_corners):
            x = stretch_axis(x, axis, (rule, before, after, step, bool(align_corners)), False)
    return x


def _sizes_and_steps(sizes: Sizes, size: Any, scale_factor: Any) -> tuple[Sizes, tuple[float, ...]]:
    """The new sizes, and how many old pixels go to a new one."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: expected either size or scale_factor")
    if size is not None:
        wanted = per_axis(size, len(sizes), "interpolate", "size", 1)
        return wanted, tuple([n / m for n, m in zip(sizes, wanted, strict=True)])
    factors = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * len(sizes)
    if len(factors) != len(sizes) or not all(0 < each < np.inf for each in factors):
        raise ValueError(
            f"interpolate: scale_factor is {scale_factor!r}; expected a number above 0, or one for each of "
            f"{len(sizes)} axes"
        )
    wanted = tuple([whole(n * float(each)) for n, each in zip(sizes, factors, strict=True)])
    if min(wanted) < 1:
        raise ValueError(f"interpolate: scale_factor {scale_factor!r} leaves nothing of an image of {sizes}")
    return wanted, tuple([1.0 / float(each) for each in factors])


# ── pixels for channels ─────────────────────────────────────────────────────────────────────────────────────


def pixel_shuffle(x: Any, upscale_factor: int) -> Any:
    """Channels become pixels, r x r for each.   (..., c r r, h, w) -> (..., c, h r, w r)

    Raises ValueError where the channels are no multiple of r r.
    Shi et al., "Real-time single image and video super-resolution", 2016, eq. 4.

    >>> import tensorgrad as tg
    >>> tg.pixel_shuffle(tg.reshape(tg.arange(4.0), (1, 4, 1, 1)), 2).tolist()
    [[[[0.0, 1.0], [2.0, 3.0]]]]
    """
    r = upscale_factor
    if len(x.shape) < 3 or r < 1 or x.shape[-3] % (r * r):
        raise ValueError(
            f"pixel_shuffle: expected (..., c * {r * r}, h, w) for upscale_factor={r}, got the shape {tuple(x.shape)}"
        )
    *batch, channels, h, w = x.shape
    x = reshape(x, (prod(batch), channels // (r * r), r, r, h, w))
    return reshape(permute_dims(x, (0, 1, 4, 2, 5, 3)), (*batch, channels // (r * r), h * r, w * r))


def pixel_unshuffle(x: Any, downscale_factor: int) -> Any:
    """The inverse of pixel_shuffle: r x r pixels become channels.   (..., c, h r, w r) -> (..., c r r, h, w)

    Raises ValueError where the sizes are no multiples of r.

    >>> import tensorgrad as tg
    >>> tg.pixel_unshuffle(tg.reshape(tg.arange(4.0), (1, 1, 2, 2)), 2).shape
    (1, 4, 1, 1)
    """
    r = downscale_factor
    if len(x.shape) < 3 or r < 1 or x.shape[-2] % r or x.shape[-1] % r:
        raise ValueError(
            f"pixel_unshuffle: expected (..., c, h * {r}, w * {r}) for downscale_factor={r}, got the shape "
            f"{tuple(x.shape)}"
        )
    *batch, channels, h, w = x.shape
    x = reshape(x, (prod(batch), channels, h // r, r, w // r, r))
    return reshape(permute_dims(x, (0, 1, 3, 5, 2, 4)), (*batch, channels * r * r, h // r, w // r))


# ── pixels by their places ──────────────────────────────────────────────────────────────────────────────────
# One form of an image, weights and a result, linear in each, and its three derivatives; so each is the rule of the
# others, and all orders follow. Places go from 0 to m - 1; one below 0 is no pixel, and has no part in anything.


def _rows(xp: Any, x: Array, places: Array) -> list[Array]:
    """The pixels that each tap reads, channels last.   (n, c, m), (n, t, p) -> t x (n, p, c)"""
    n, c, m = x.shape
    nothing = xp.zeros((1, c), dtype=x.dtype, device=x.device)  # a row of its own, so that no infinity leaks
    rows = xp.concat([xp.reshape(xp.permute_dims(x, (0, 2, 1)), (n * m, c)), nothing], axis=0)
    first = xp.reshape(xp.arange(n, dtype=xp.int64, device=x.device) * m, (n, 1, 1))
    index = xp.where(places < 0, n * m, places + first)
    taken = [xp.take(rows, xp.reshape(index[:, tap, :], (-1,)), axis=0) for tap in range(places.shape[1])]
    return [xp.reshape(each, (n, places.shape[2], c)) for each in taken]


@op(linear=True)
def read_taps(xp: Any, x: Array, places: Array, weight: Array = None) -> Array:
    """y[n, c, p] = sum over t of weight[n, t, p] x[n, c, places[n, t, p]].   (n, c, m), 2 of (n, t, p) -> (n, c, p)

    weight: all 1 where it is left out.
    """
    total: Any = None
    for tap, part in enumerate(_rows(xp, x, places)):
        part = part if weight is None else part * xp.expand_dims(weight[:, tap, :], axis=-1)
        total = part if total is None else total + part
    return xp.permute_dims(total, (0, 2, 1))


@op(linear=True)
def read_taps_x(xp: Any, y: Array, places: Array, size: int, weight: Array = None) -> Array:
    """The adjoint in the image, of m = size pixels.   (n, c, p), 2 of (n, t, p) -> (n, c, m)

    What meets at a pixel is added in the order of the taps and, within each, of the positions.
    """
    pixels = xp.reshape(xp.arange(size, dtype=xp.int64, device=y.device), (1, size, 1))
    total: Any = None
    for tap in range(places.shape[1]):
        hot = xp.astype(xp.expand_dims(places[:, tap, :], axis=1) == pixels, y.dtype)
        part = hot if weight is None else hot * xp.expand_dims(weight[:, tap, :], axis=1)
        total = part if total is None else total + part
    return xp.matmul(y, xp.matrix_transpose(total))


@op(linear=True)
def read_taps_weight(xp: Any, x: Array, y: Array, places: Array) -> Array:
    """The adjoint in the weights.   (n, c, m), (n, c, p), (n, t, p) -> (n, t, p)"""
    given = xp.permute_dims(y, (0, 2, 1))
    return xp.stack([xp.sum(part * given, axis=-1) for part in _rows(xp, x, places)], axis=1)


read_taps.vjp(
    x=lambda g, places, weight, x_shape: read_taps_x(g, places, x_shape[2], weight),
    weight=lambda g, x, places: read_taps_weight(x, g, places),
)
read_taps_x.vjp(
    y=lambda g, places, weight: read_taps(g, places, weight),
    weight=lambda g, y, places: read_taps_weight(g, y, places),
)
read_taps_weight.vjp(
    x=lambda g, y, places, x_shape: read_taps_x(y, places, x_shape[2], g),
    y=lambda g, x, places: read_taps(x, places, g),
)


# ── wherever a grid says ────────────────────────────────────────────────────────────────────────────────────


def grid_sample(
    x: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> Any:
    """An image read at the positions of a grid.   (n, c, h, w), (n, h', w', 2) -> (n, c, h', w')

    Volumes too: (n, c, d, h, w), (n, d', h', w', 3) -> (n, c, d', h', w'). A position is (x, y) or (x, y, z), x along
    the last axis, -1 and 1 being the ends of the image: the middles of its outermost pixels with align_corners, their
    outer edges without. A NaN counts as -1.
    mode: "bilinear" (in volumes too, where it takes 8 pixels), "bicubic" (images only) or "nearest", halves to the even
    pixel, which has no slope: the gradient of the grid is 0. padding_mode: what lies outside: "zeros", "border" (the
    nearest pixel of the image) or "reflection" (at the ends, as often as needed).
    Raises ValueError when shapes do not fit, for an empty image, and for "bicubic" of a volume.
    Jaderberg et al., "Spatial transformer networks", 2015, eq. 3; Keys, 1981, eq. 15 (bicubic).

    >>> import tensorgrad as tg
    >>> image = tg.asarray([[[[1.0, 3.0]]]])
    >>> tg.grid_sample(image, tg.asarray([[[[0.0, 0.0], [-0.5, 0.0]]]])).tolist()
    [[[[2.0, 1.0]]]]
    """
    axes = len(x.shape) - 2
    if axes not in (2, 3) or len(grid.shape) != axes + 2 or grid.shape[0] != x.shape[0] or grid.shape[-1] != axes:
        raise ValueError(
            "grid_sample: expected (n, c, h, w) and a grid (n, h', w', 2), or (n, c, d, h, w) and (n, d', h', w', 3), "
            f"got {tuple(x.shape)} and {tuple(grid.shape)}"
        )
    if mode not in ("bilinear", "nearest", "bicubic")[: 5 - axes]:
        also = ", 'bicubic'" if axes == 2 else ""
        raise ValueError(f"grid_sample: mode is {mode!r}; it may be 'bilinear', 'nearest'{also} for {axes} axes")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: padding_mode is {padding_mode!r}; it may be 'zeros', 'border' or 'reflection'")
    (n, c, *sizes), shape = x.shape, grid.shape
    if not prod(sizes):
        raise ValueError(f"grid_sample: there are no pixels in the shape {tuple(x.shape)}")
    grid = reshape(where(grid == grid, grid, -1.0), (n, prod(grid.shape[1:-1]), axes))
    if mode == "nearest":
        grid = array_of(grid)
    with beside(array_of(x)):
        nodes = [
            _nodes(grid[..., axes - 1 - axis], size, mode, padding_mode, align_corners)
            for axis, size in enumerate(sizes)
        ]
        places, weight = _taps(nodes, tuple(sizes), padding_mode)
    return reshape(read_taps(reshape(x, (n, c, prod(sizes))), places, weight), (n, c, *shape[1:-1]))


def _nodes(coordinate: Any, size: int, mode: str, padding_mode: str, align_corners: bool) -> tuple[Any, Any]:
    """The places that are read along an axis for coordinates from -1 to 1, and what each weighs.   (n, p) -> (n, t, p)

    Places are whole, and may lie outside; those of the nearest pixel weigh None.
    """
    if align_corners and size == 1:  # the one pixel, for an infinite coordinate too
        position = where(isfinite(array_of(coordinate)), coordinate, 0.0) * 0.0
    else:
        position = (coordinate + 1.0) * ((size - 1) / 2) if align_corners else ((coordinate + 1.0) * size - 1.0) * 0.5
    if mode != "bicubic":
        position = _inside(position, size, padding_mode, align_corners)
        if mode == "nearest":
            return expand_dims(round(position), axis=1), None
        low = floor(array_of(position))
        return stack([low, low + 1.0], axis=1), stack([low + 1.0 - position, position - low], axis=1)
    if padding_mode == "reflection":
        position = where(isfinite(array_of(position)), position, 0.0)
    else:
        position = clip(position, -3.0, size + 2.0)  # further out all four pixels are one, or zero
    low = floor(array_of(position))
    # The four places are brought inside, not the position: beyond an end the kernel goes on over what is there.
    places = stack([low + float(step) for step in range(-1, 3)], axis=1)
    if padding_mode != "zeros":
        places = _inside(places, size, padding_mode, align_corners)
    return places, stack(cubic_weights(position - low), axis=1)


def _inside(position: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """A position in pixels, brought into an axis by the padding's rule."""
    if padding_mode == "zeros":
        return clip(position, -1.0, float(size))  # no further than a pixel outside, where all is zero anyway
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if not span:
            position = position * 0.0
        else:
            position = where(isfinite(array_of(position)), position, 0.0)
            distance = abs(position - low)
            flips = floor(array_of(distance) / span)
            odd = flips - 2.0 * floor(flips / 2.0)
            position = (distance - flips * span) * (1.0 - 2.0 * odd) + odd * span + low
    return clip(position, 0.0, size - 1.0)


def _taps(nodes: list[tuple[Any, Any]], sizes: Sizes, padding_mode: str) -> tuple[Any, Any]:
    """Every node of an axis with every one of the others.   axes x 2 of (n, t, p) -> 2 of (n, t .., p)"""
    index: Any = None
    weight: Any = None
    for axis, ((place, weighs), size) in enumerate(zip(nodes, sizes, strict=True)):
        within = clip(place, 0.0, size - 1.0)
        step = astype(within, "int64") * prod(sizes[axis + 1 :])
        if padding_mode == "zeros":  # what other axes add does not lead back
            step = where(within == place, step, -prod(sizes))
        if index is None:
            index, weight = step, weighs
            continue
        shape = (step.shape[0], index.shape[1] * step.shape[1], step.shape[2])
        index = reshape(expand_dims(index, axis=2) + expand_dims(step, axis=1), shape)
        if weight is not None:
            weight = reshape(expand_dims(weight, axis=2) * expand_dims(weighs, axis=1), shape)
    return index, weight


def affine_grid(theta: Any, size: tuple[int, ...], align_corners: bool = False) -> Any:
    """The grid for `grid_sample` that an affine map gives.   (n, 2, 3) -> (n, h, w, 2); (n, 3, 4) -> (n, d, h, w, 3)

    size: the shape (n, c, h, w) or (n, c, d, h, w) of the image to be made. Each position is theta (x, y, 1).
    Raises ValueError when theta and size do not fit. Jaderberg et al., 2015, eq. 1.

    >>> import tensorgrad as tg
    >>> tg.affine_grid(tg.asarray([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2)).tolist()
    [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    axes = len(size) - 2
    if axes not in (2, 3) or tuple(theta.shape) != (size[0], axes, axes + 1) or min(size) < 1:
        raise ValueError(
            "affine_grid: expected theta (n, 2, 3) with a size (n, c, h, w), or (n, 3, 4) with (n, c, d, h, w), none "
            f"below 1; got {tuple(theta.shape)} and {tuple(size)}"
        )
    lines = []
    for count in size[2:]:
        line = np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(1)
        lines.append(line if align_corners else line * ((count - 1) / count))
    points = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(size[2:])], axis=-1)
    points = asarray(points.reshape(-1, axes + 1), dtype=theta.dtype, device=device_of(theta))
    return reshape(matmul(points, theta.mT), (size[0], *size[2:], axes))
