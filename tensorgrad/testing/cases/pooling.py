"""Cases of ops/pooling.py, against loops over every window."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.windows import windows
from tensorgrad.testing.strategies import booleans, integers, reals


def each_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _regions(
    sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[list[int], list[list[list[int]]]]:
    """How many windows along each axis, and the places that each reads there, padding among them."""
    counts, reads = [], []
    for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        starts = [start for start in range(0, size + p + 1, s) if start + d * (k - 1) < size + 2 * p]
        if ceil_mode and (not starts or starts[-1] + d * (k - 1) + 1 < size + 2 * p):
            following = starts[-1] + s if starts else 0
            if following < size + p:
                starts.append(following)
        counts.append(len(starts))
        reads.append([[start - p + i * d for i in range(k)] for start in starts])
    return counts, reads


def _pool(reduce: Any, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Any:
    """reduce(values, places) for every window: the values in the image, and where each of its places is."""
    axes = x.ndim - 2
    kernel, padding, dilation = (each_axis(each, axes) for each in (kernel, padding, dilation))
    stride = kernel if stride is None else each_axis(stride, axes)
    sizes = x.shape[2:]
    counts, reads = _regions(sizes, kernel, stride, padding, dilation, ceil_mode)
    out = np.zeros((*x.shape[:2], *counts), x.dtype)
    for plane in np.ndindex(*x.shape[:2]):
        for window in product(*map(range, counts)):
            places = list(product(*[reads[axis][w] for axis, w in enumerate(window)]))
            there = [p for p in places if all(0 <= i < size for i, size in zip(p, sizes, strict=True))]
            out[(*plane, *window)] = reduce([x[(*plane, *p)] for p in there], there, places, sizes, padding)
    return out


def _max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    geometry = kernel_size, stride, padding, dilation, ceil_mode
    values = _pool(lambda values, *_: max(values), x, *geometry)
    if not return_indices:
        return values

    def first(values: Any, there: Any, places: Any, sizes: Any, padding: Any) -> int:
        return int(np.ravel_multi_index(there[int(np.argmax(values))], sizes))

    return values, _pool(first, x, *geometry)


def _min_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    found = _max_pool(-x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return (-found[0], found[1]) if return_indices else -found


def _avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Any:
    def mean(values: Any, there: Any, places: Any, sizes: Any, padding: Any) -> Any:
        reach = zip(sizes, padding, strict=True)
        bounds = [(-p, size + p) for size, p in reach]
        padded = [q for q in places if all(low <= i < high for i, (low, high) in zip(q, bounds, strict=True))]
        return sum(values) / (divisor_override or len(padded if count_include_pad else there))

    return _pool(mean, x, kernel_size, stride, padding, 1, ceil_mode)


def distinct(dims: str) -> Any:
    return reals(-4, 4, dims, distinct=True)


_sizes = {"h": (3, 5), "w": (3, 5), "n": (1, 2), "c": (1, 2), "d": (2, 3)}
_overlap = {
    "stride": st.sampled_from([1, 2, (2, 1)]),
    "padding": st.sampled_from([0, 1, (0, 1)]),
    "dilation": st.sampled_from([1, 2]),
    "ceil_mode": st.booleans(),
}
_windows = {
    "kernel": (2, 2),
    "stride": st.sampled_from([(1, 1), (2, 1)]),
    "dilation": st.sampled_from([(1, 1), (1, 2)]),
}


def _extreme_windows(reduce: Any) -> Any:
    return lambda x, kernel, stride, dilation: _pool(
        lambda values, *_: reduce(values), x, kernel, stride, 0, dilation, False
    )


def _attained(x: Any, y: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    return windows(x, kernel, stride, 0, dilation).reshape(*x.shape[:2], -1, *y.shape[2:]) == y[:, :, None]


def _gathered(x: Any, best: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    found = windows(x, kernel, stride, 0, dilation).reshape(best.shape)
    return np.sum(found * best, axis=2) / np.maximum(np.sum(best, axis=2), 1)


def _shared(y: Any, best: Any, size: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    image = np.zeros((*y.shape[:2], *size))
    each = y / np.maximum(np.sum(best, axis=2), 1)
    for window in np.ndindex(*y.shape[2:]):
        for number, place in enumerate(np.ndindex(*kernel)):
            pixel = [w * s + i * d for w, s, i, d in zip(window, stride, place, dilation, strict=True)]
            image[(..., *pixel)] += each[(..., *window)] * best[(slice(None), slice(None), number, *window)]
    return image


def _spread(y: Any, size: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    image = np.zeros((*y.shape[:2], *size), y.dtype)
    for window in np.ndindex(*y.shape[2:]):
        for place in np.ndindex(*kernel):
            pixel = [w * s + i * d for w, s, i, d in zip(window, stride, place, dilation, strict=True)]
            image[(..., *pixel)] += y[(..., *window)]
    return image


# An image of 5 x 4: windows that overlap, that lie side by side, and with holes; pixels that none reaches.
_MOVES: dict[str, Any] = {
    "overlapping": ((3, 2), (2, 1), (1, 1), "2 3"),
    "side by side": ((2, 2), (2, 2), (1, 1), "2 2"),
    "over whole axes": ((5, 4), (1, 2), (1, 1), "1 1"),
    "with holes": ((2, 2), (1, 2), (2, 1), "3 2"),
}


def _readings(name: str, kernel: Any, stride: Any, dilation: Any, out: str) -> list[Any]:
    """What the gradients of pooling are made of, at one geometry."""
    moves: Any = {"kernel": kernel, "stride": stride, "dilation": dilation, "_sizes": {}}
    x, y, best = reals(dims="2 2 5 4"), reals(dims=f"2 2 {out}"), booleans(dims=f"2 2 {kernel[0] * kernel[1]} {out}")
    levels = [integers(0, 2, dims=dims) for dims in ("2 2 5 4", f"2 2 {out}")]
    return [
        case(ops.attained_windows, _attained, x=levels[0], y=levels[1], _name=f"attained_windows, {name}", **moves),
        case(ops.gather_windows, _gathered, x=x, best=best, _name=f"gather_windows, {name}", **moves),
        case(ops.share_windows, _shared, y=y, best=best, size=(5, 4), _name=f"share_windows, {name}", **moves),
        case(ops.spread_windows, _spread, y=y, size=(5, 4), _complex=True, _name=f"spread_windows, {name}", **moves),
    ]


CASES = [
    *[each for name, moves in _MOVES.items() for each in _readings(name, *moves)],
    case(ops.max_windows, _extreme_windows(max), x=distinct("n c h w"), **_windows, _sizes=_sizes),
    case(ops.min_windows, _extreme_windows(min), x=distinct("n c h w"), **_windows, _sizes=_sizes),
    case(ops.sum_windows, _extreme_windows(sum), x=reals(dims="n c h w"), **_windows, _sizes=_sizes, _complex=True),
    case(
        ops.max_pool1d,
        _max_pool,
        x=distinct("n c w"),
        kernel_size=2,
        dilation=st.sampled_from([1, 2]),
        stride=st.sampled_from([None, 1, 2]),
        padding=st.sampled_from([0, 1]),
        ceil_mode=st.booleans(),
        return_indices=st.booleans(),
        _sizes=_sizes,
    ),
    case(ops.max_pool2d, _max_pool, x=distinct("n c h w"), kernel_size=st.sampled_from([2, (1, 2), 3]), _sizes=_sizes),
    case(
        ops.max_pool2d,
        _max_pool,
        x=distinct("n c h w"),
        kernel_size=2,
        **_overlap,
        return_indices=st.booleans(),
        _sizes=_sizes,
        _name="max_pool2d with overlap",
    ),
    case(
        ops.max_pool3d,
        _max_pool,
        x=distinct("n c d h w"),
        kernel_size=(1, 2, 2),
        stride=st.sampled_from([None, (1, 2, 1)]),
        padding=st.sampled_from([0, (0, 1, 1)]),
        dilation=st.sampled_from([1, (1, 2, 1)]),
        ceil_mode=st.booleans(),
        return_indices=True,
        _sizes={**_sizes, "n": (1, 1), "h": (3, 4), "w": (2, 3)},
    ),
    case(
        ops.min_pool1d,
        _min_pool,
        x=distinct("n c w"),
        kernel_size=2,
        dilation=st.sampled_from([1, 2]),
        stride=st.sampled_from([None, 1, 2]),
        padding=st.sampled_from([0, 1]),
        ceil_mode=st.booleans(),
        return_indices=st.booleans(),
        _sizes=_sizes,
    ),
    case(
        ops.min_pool2d,
        _min_pool,
        x=distinct("n c h w"),
        kernel_size=2,
        **_overlap,
        return_indices=st.booleans(),
        _sizes=_sizes,
    ),
    case(
        ops.min_pool3d,
        _min_pool,
        x=distinct("n c d h w"),
        kernel_size=(1, 2, 2),
        stride=st.sampled_from([None, (1, 2, 1)]),
        padding=st.sampled_from([0, (0, 1, 1)]),
        dilation=st.sampled_from([1, (1, 2, 1)]),
        ceil_mode=st.booleans(),
        return_indices=True,
        _sizes={**_sizes, "n": (1, 1), "h": (3, 4), "w": (2, 3)},
    ),
    case(
        ops.avg_pool1d,
        _avg_pool,
        x=reals(dims="n c w"),
        kernel_size=st.sampled_from([2, 3]),
        stride=st.sampled_from([None, 1, 2]),
        padding=st.sampled_from([0, 1]),
        ceil_mode=st.booleans(),
        count_include_pad=st.booleans(),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.avg_pool2d,
        _avg_pool,
        x=reals(dims="n c h w"),
        kernel_size=st.sampled_from([2, (3, 2)]),
        stride=st.sampled_from([None, 1, (3, 2)]),
        padding=st.sampled_from([0, 1, (0, 1)]),
        ceil_mode=st.booleans(),
        count_include_pad=st.booleans(),
        divisor_override=st.sampled_from([None, 3]),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.avg_pool3d,
        _avg_pool,
        x=reals(dims="n c d h w"),
        kernel_size=2,
        stride=st.sampled_from([None, (1, 2, 1)]),
        padding=st.sampled_from([0, (0, 1, 0)]),
        ceil_mode=st.booleans(),
        count_include_pad=st.booleans(),
        divisor_override=st.sampled_from([None, 3]),
        _sizes={**_sizes, "n": (1, 1), "h": (2, 3), "w": (2, 3)},
        _complex=True,
    ),
]
