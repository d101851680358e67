"""Cases of ops/sampling.py, against loops over every pixel made."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.adaptive_pooling import CASES as POOLING
from tensorgrad.testing.strategies import integers, reals


def _hat(t: float) -> float:
    return max(0.0, 1.0 - abs(t))


def _cubic(t: float, a: float = -0.75) -> float:
    t = abs(t)
    if t >= 2:
        return 0.0
    return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4)


def _line(rule: str, n: int, m: int, step: float, align_corners: bool) -> Any:
    """The matrix (m, n) that stretches a line."""
    matrix = np.zeros((m, n))
    if rule.startswith("smooth"):
        corners = (n - 1) / (m - 1) if m > 1 else 0.0
        return _smooth_line(rule, n, m, corners if align_corners else step)
    for i in range(m):
        if rule.startswith("nearest"):
            matrix[i, min(n - 1, int(np.floor((i + 0.5 * (rule == "nearest-exact")) * step + 1e-9)))] = 1.0
            continue
        position = i * (n - 1) / max(m - 1, 1) if align_corners else (i + 0.5) * step - 0.5
        weigh = _cubic if rule == "cubic" else _hat
        for place in range(int(np.floor(position)) - 3, int(np.floor(position)) + 5):
            matrix[i, min(max(place, 0), n - 1)] += weigh(position - place)
    return matrix


def _smooth_line(rule: str, n: int, m: int, step: float) -> Any:
    """Every old pixel weighs by its distance from a new one, counted in the wider of both, and weights sum to 1."""
    matrix = np.zeros((m, n))
    for i, j in np.ndindex(m, n):
        distance = (j + 0.5 - (i + 0.5) * step) / max(step, 1.0)
        matrix[i, j] = _cubic(distance, -0.5) if rule == "smooth cubic" else _hat(distance)
    return matrix / matrix.sum(axis=1, keepdims=True)


def _stretch_axis(x: Any, axis: int, stretch: Any, adjoint: bool) -> Any:
    matrix = _line(*stretch)
    return np.moveaxis(np.tensordot(matrix.T if adjoint else matrix, x, axes=(1, axis)), 0, axis)


def _interpolate(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
    antialias: bool = False,
) -> Any:
    axes = x.ndim - 2
    given = size if size is not None else scale_factor
    wanted = given if isinstance(given, tuple) else (given,) * axes
    if mode == "area":
        reference: Any = next(each.reference for each in POOLING if each.op is ops.adaptive_avg_pool2d)
        return reference(x, wanted)
    rule = mode if mode.startswith("nearest") else "cubic" if mode == "bicubic" else "linear"
    rule = f"smooth {rule}" if antialias else rule
    for axis, each in enumerate(wanted, 2):
        n = x.shape[axis]
        m, step = (each, n / each) if size is not None else (int(n * each), 1 / each)
        x = _stretch_axis(x, axis, (rule, n, m, step, bool(align_corners)), False)
    return x


def _shuffle(x: Any, upscale_factor: int) -> Any:
    r = upscale_factor
    n, c, h, w = x.shape
    out = np.zeros((n, c // r**2, h * r, w * r), x.dtype)
    for k, i, j in product(range(c // r**2), range(r), range(r)):
        out[:, k, i::r, j::r] = x[:, k * r * r + i * r + j]
    return out


def _unshuffle(x: Any, downscale_factor: int) -> Any:
    r = downscale_factor
    n, c, h, w = x.shape
    out = np.zeros((n, c * r**2, h // r, w // r), x.dtype)
    for k, i, j in product(range(c), range(r), range(r)):
        out[:, k * r * r + i * r + j] = x[:, k, i::r, j::r]
    return out


def _inside(position: float, size: int, padding_mode: str, align_corners: bool) -> float:
    if padding_mode == "border":
        return min(max(position, 0.0), size - 1.0)
    low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
    if padding_mode == "reflection":
        while not low <= position <= high:
            position = 2 * low - position if position < low else 2 * high - position
        return min(max(position, 0.0), size - 1.0)
    return position


def _matrix(places: Any, weight: Any, size: int) -> Any:
    """What each position takes of each pixel.   2 of (n, t, p) -> (n, p, m)"""
    matrix = np.zeros((places.shape[0], places.shape[2], size), np.float64 if weight is None else weight.dtype)
    for n, t, p in np.ndindex(*places.shape):
        if places[n, t, p] >= 0:
            matrix[n, p, places[n, t, p]] += 1.0 if weight is None else weight[n, t, p]
    return matrix


def _read_taps(x: Any, places: Any, weight: Any = None) -> Any:
    return np.einsum("ncm,npm->ncp", x, _matrix(places, weight, x.shape[2]))


def _read_taps_x(y: Any, places: Any, size: int, weight: Any = None) -> Any:
    return np.einsum("ncp,npm->ncm", y, _matrix(places, weight, size))


def _read_taps_weight(x: Any, y: Any, places: Any) -> Any:
    out = np.zeros(places.shape, np.result_type(x, y))
    for n, t, p in np.ndindex(*places.shape):
        if places[n, t, p] >= 0:
            out[n, t, p] = np.sum(x[n, :, places[n, t, p]] * y[n, :, p])
    return out


def _grid_sample(x: Any, grid: Any, mode: str, padding_mode: str, align_corners: bool) -> Any:
    sizes = x.shape[2:]
    out = np.zeros((*x.shape[:2], *grid.shape[1:-1]), np.result_type(x, grid))
    for point in np.ndindex(*grid.shape[:-1]):
        positions = []
        for size, coordinate in zip(sizes, grid[point][::-1], strict=True):
            reach = (size - 1) / 2 if align_corners else size / 2
            positions.append(_inside(coordinate * reach + (size - 1) / 2, size, padding_mode, align_corners))
        if mode == "nearest":
            positions = [float(np.round(each)) for each in positions]
        for pixel in np.ndindex(*sizes):
            weight = np.prod([_hat(position - place) for position, place in zip(positions, pixel, strict=True)])
            out[(point[0], slice(None), *point[1:])] += weight * x[(point[0], slice(None), *pixel)]
    return out


def _grid_sample_bicubic(x: Any, grid: Any, mode: str, padding_mode: str, align_corners: bool) -> Any:
    out = np.zeros((*x.shape[:2], *grid.shape[1:-1]), np.result_type(x, grid))
    for point in np.ndindex(*grid.shape[:-1]):
        positions = []
        for size, coordinate in zip(x.shape[2:], grid[point][::-1], strict=True):
            reach = (size - 1) / 2 if align_corners else size / 2
            positions.append(coordinate * reach + (size - 1) / 2)
        lows = [int(np.floor(each)) for each in positions]
        for offsets in product(range(-1, 3), repeat=2):
            places = [low + offset for low, offset in zip(lows, offsets, strict=True)]
            weight = np.prod([_cubic(each - place) for each, place in zip(positions, places, strict=True)])
            ends = zip(places, x.shape[2:], strict=True)
            inside = [int(_inside(place, size, padding_mode, align_corners)) for place, size in ends]
            if all(0 <= place < size for place, size in zip(inside, x.shape[2:], strict=True)):
                out[(point[0], slice(None), *point[1:])] += weight * x[(point[0], slice(None), *inside)]
    return out


def _affine_grid(theta: Any, size: Any, align_corners: bool) -> Any:
    sizes = size[2:]
    out = np.zeros((size[0], *sizes, len(sizes)))
    for pixel in np.ndindex(*sizes):
        ends = zip(pixel, sizes, strict=True)
        place = [0.0 if n == 1 else 2 * i / (n - 1) - 1 if align_corners else (2 * i + 1) / n - 1 for i, n in ends]
        out[(slice(None), *pixel)] = theta @ np.array([*place[::-1], 1.0])
    return out


_sizes = {"h": (2, 4), "w": (2, 4), "n": (1, 2), "c": (1, 2)}
# Where, for 3 pixels, a position meets a pixel or an end of the image, and half-way between two pixels.
_KINKS = (-4 / 3, -1.0, -2 / 3, 0.0, 2 / 3, 1.0, 4 / 3)
_HALVES = (-5 / 3, -1.5, -1.0, -0.5, -1 / 3, 1 / 3, 0.5, 1.0, 1.5, 5 / 3)
_places = integers(-3, 4, "n t p")
_taps: dict[str, Any] = {"_sizes": {"n": (1, 2), "c": (1, 2), "t": (1, 3), "p": (1, 4)}}
_outside = {"padding_mode": st.sampled_from(["zeros", "border", "reflection"]), "align_corners": st.booleans()}

CASES = [
    case(
        ops.stretch_axis,
        _stretch_axis,
        x=reals(dims="n 4 w"),
        axis=1,
        stretch=st.sampled_from(
            [
                ("nearest", 4, 7, 4 / 7, False),
                ("nearest-exact", 4, 2, 2.0, False),
                ("linear", 4, 6, 4 / 6, False),
                ("linear", 4, 3, 4 / 3, True),
                ("cubic", 4, 5, 4 / 5, False),
                ("smooth linear", 4, 2, 4 / 2, False),
                ("smooth cubic", 4, 3, 4 / 3, True),
            ]
        ),
        adjoint=False,
        _complex=True,
    ),
    case(
        ops.stretch_axis,
        _stretch_axis,
        x=reals(dims="n w 3"),
        axis=2,
        stretch=st.sampled_from(
            [("nearest", 5, 3, 5 / 3, False), ("linear", 2, 3, 2 / 3, False), ("smooth linear", 7, 3, 7 / 3, False)]
        ),
        adjoint=True,
        _name="stretch_axis, back",
    ),
    case(
        ops.interpolate,
        _interpolate,
        x=reals(dims="n c h w"),
        size=st.sampled_from([3, (5, 2), (1, 7)]),
        mode=st.sampled_from(["nearest", "nearest-exact", "area"]),
        _sizes=_sizes,
    ),
    case(
        ops.interpolate,
        _interpolate,
        x=reals(dims="n c h w"),
        size=st.sampled_from([3, (5, 2), (1, 7)]),
        mode=st.sampled_from(["bilinear", "bicubic"]),
        align_corners=st.sampled_from([None, False, True]),
        _sizes=_sizes,
        _complex=True,
        _name="interpolate between pixels",
    ),
    case(
        ops.interpolate,
        _interpolate,
        x=reals(dims="n c h w"),
        scale_factor=st.sampled_from([2, 1.7, (0.6, 3.0)]),
        mode=st.sampled_from(["nearest", "nearest-exact", "bilinear", "bicubic"]),
        _sizes=_sizes,
        _name="interpolate by a factor",
    ),
    case(
        ops.interpolate,
        _interpolate,
        x=reals(dims="n c h w"),
        size=st.sampled_from([2, (1, 3), (5, 2)]),
        mode=st.sampled_from(["bilinear", "bicubic"]),
        align_corners=st.sampled_from([None, False, True]),
        antialias=True,
        _sizes={**_sizes, "h": (2, 6), "w": (2, 6)},
        _complex=True,
        _name="interpolate with antialias",
    ),
    case(
        ops.interpolate,
        _interpolate,
        x=reals(dims="n c w"),
        size=st.sampled_from([1, 3, 6]),
        mode="linear",
        align_corners=st.booleans(),
        _sizes=_sizes,
        _name="interpolate a line",
    ),
    case(
        ops.interpolate,
        _interpolate,
        x=reals(dims="n c 2 h w"),
        size=st.sampled_from([2, (3, 1, 4)]),
        mode="trilinear",
        align_corners=st.booleans(),
        _sizes={**_sizes, "n": (1, 1)},
        _name="interpolate a volume",
    ),
    case(ops.pixel_shuffle, _shuffle, x=reals(dims="n 8 h w"), upscale_factor=st.sampled_from([1, 2]), _complex=True),
    case(
        ops.pixel_unshuffle,
        _unshuffle,
        x=reals(dims="n c 4 2"),
        downscale_factor=st.sampled_from([1, 2]),
        _complex=True,
    ),
    case(ops.read_taps, _read_taps, x=reals(dims="n c 4"), places=_places, weight=reals(dims="n t p"), **_taps),
    case(ops.read_taps, _read_taps, x=reals(dims="n c 4"), places=_places, _name="read_taps, all alike", **_taps),
    case(
        ops.read_taps_x,
        _read_taps_x,
        y=reals(dims="n c p"),
        places=_places,
        size=4,
        weight=reals(dims="n t p"),
        **_taps,
    ),
    case(
        ops.read_taps_x,
        _read_taps_x,
        y=reals(dims="n c p"),
        places=_places,
        size=4,
        _name="read_taps_x, all alike",
        **_taps,
    ),
    case(
        ops.read_taps_weight,
        _read_taps_weight,
        x=reals(dims="n c 4"),
        y=reals(dims="n c p"),
        places=_places,
        **_taps,
    ),
    case(
        ops.grid_sample,
        _grid_sample,
        x=reals(dims="n c 3 3"),
        grid=reals(-1.8, 1.8, "n h w 2", avoid=_KINKS),
        mode="bilinear",
        **_outside,
        _sizes=_sizes,
    ),
    case(
        ops.grid_sample,
        _grid_sample,
        x=reals(dims="n c 3 3"),
        grid=reals(-1.8, 1.8, "n h w 2", avoid=_HALVES),
        mode="nearest",
        **_outside,
        _sizes=_sizes,
        _name="grid_sample, nearest",
    ),
    case(
        ops.grid_sample,
        _grid_sample_bicubic,
        x=reals(dims="n c 3 3"),
        grid=reals(-1.8, 1.8, "n h w 2", avoid=_KINKS),
        mode="bicubic",
        **_outside,
        _sizes={**_sizes, "h": (1, 2), "w": (1, 2)},
        _name="grid_sample, bicubic",
    ),
    case(
        ops.grid_sample,
        _grid_sample,
        x=reals(dims="n c 3 3 3"),
        grid=reals(-1.8, 1.8, "n 1 2 w 3", avoid=_KINKS),
        mode="bilinear",
        **_outside,
        _sizes={**_sizes, "w": (1, 2)},
        _order=1,  # the same code as in the plane, where it goes to the second
        _name="grid_sample of a volume",
    ),
    case(
        ops.affine_grid,
        _affine_grid,
        theta=reals(dims="2 2 3"),
        size=st.sampled_from([(2, 1, 3, 2), (2, 3, 1, 4)]),
        align_corners=st.booleans(),
    ),
    case(
        ops.affine_grid,
        _affine_grid,
        theta=reals(dims="1 3 4"),
        size=(1, 1, 2, 1, 3),
        align_corners=st.booleans(),
        _name="affine_grid of a volume",
    ),
]
