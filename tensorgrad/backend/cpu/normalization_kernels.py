"""Layer, root-mean-square, group and batch norm in the fewest passes over memory.

Layer norm goes once over each block of rows. Batch and group norm are, with x seen as one row per instance and channel,
two sums of each row (one sweep), a few numbers per channel or group, and one scale and one shift of each row (another
sweep); their gradients likewise: two sums, and three factors of each row. What is kept for the gradients is two numbers
per channel, group or row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.cpu.buffers import room
from tensorgrad.backend.cpu.row_blocks import as_rows, is_plain, over_rows
from tensorgrad.backend.cpu.workers import in_order
from tensorgrad.backend.kernels import kernel, picky
from tensorgrad.backend.numba import channels as numba_channels

# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


@kernel("layer_norm_rows", "numpy")
@picky
def _layer_norm_rows(xp: Any, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if not is_plain(x, weight, bias):
        return NotImplemented
    rows = as_rows(x, x.shape[-1])
    out = room(x.shape, x.dtype)
    ys = out.reshape(rows.shape)
    average, rstd = np.empty((2, len(rows), 1), x.dtype)
    share = np.full(rows.shape[1], 1 / rows.shape[1], x.dtype)

    def block(s: slice) -> None:
        y = ys[s]
        average[s, 0] = rows[s] @ share
        np.subtract(rows[s], average[s], out=y)
        rstd[s, 0] = 1 / np.sqrt(np.vecdot(y, y) * share[0] + eps)
        np.multiply(y, rstd[s], out=y)
        _affine_in_place(y, weight, bias)

    over_rows(block, *rows.shape)
    column = (*x.shape[:-1], 1)
    return out, average.reshape(column), rstd.reshape(column)


def _affine_in_place(y: Any, weight: Any, bias: Any) -> None:
    if weight is not None:
        np.multiply(y, weight, out=y)
    if bias is not None:
        np.add(y, bias, out=y)


@kernel("layer_norm_rows_back", "numpy")
@picky
def _layer_norm_rows_back(xp: Any, g: Any, x: Any, average: Any, rstd: Any, weight: Any = None) -> Any:
    """With c = x - average and h = g weight: dx = rstd h - rstd^3 mean(h c) c - rstd mean(h)."""
    if not is_plain(g, x, weight):
        return NotImplemented
    gs, rows = as_rows(g, g.shape[-1]), as_rows(x, x.shape[-1])
    m, r = average.reshape(-1, 1), rstd.reshape(-1, 1)
    out = room(x.shape, x.dtype)
    ys = out.reshape(rows.shape)
    share = np.full(rows.shape[1], 1 / rows.shape[1], x.dtype)
    if weight is not None:
        share *= weight

    def block(s: slice) -> Any:
        d, rs = ys[s], r[s]
        centred = rows[s] - m[s]
        product = np.multiply(gs[s], centred, out=d)
        d_weight, along = rs[:, 0] @ product, product @ share
        np.multiply(centred, along[:, None] * rs * rs * rs, out=centred)
        np.multiply(gs[s], rs, out=d)
        if weight is not None:
            np.multiply(d, weight, out=d)
        np.subtract(d, centred, out=d)
        np.subtract(d, (gs[s] @ share)[:, None] * rs, out=d)
        return np.stack([d_weight, np.ones(len(d), d.dtype) @ gs[s]])

    d_weight, d_bias = in_order(over_rows(block, *rows.shape))
    return out, d_weight, d_bias


@kernel("rms_norm_rows", "numpy")
@picky
def _rms_norm_rows(xp: Any, x: Any, weight: Any = None, eps: float = 1e-6) -> Any:
    if not is_plain(x, weight):
        return NotImplemented
    rows = as_rows(x, x.shape[-1])
    out, rstd = room(x.shape, x.dtype), np.empty((len(rows), 1), x.dtype)
    ys = out.reshape(rows.shape)

    def block(s: slice) -> None:
        rstd[s, 0] = 1 / np.sqrt(np.vecdot(rows[s], rows[s]) / x.dtype.type(rows.shape[1]) + eps)
        np.multiply(rows[s], rstd[s], out=ys[s])
        _affine_in_place(ys[s], weight, None)

    over_rows(block, *rows.shape)
    return out, rstd.reshape(*x.shape[:-1], 1)


@kernel("rms_norm_rows_back", "numpy")
@picky
def _rms_norm_rows_back(xp: Any, g: Any, x: Any, rstd: Any, weight: Any = None) -> Any:
    """With h = g weight: dx = rstd h - rstd^3 mean(h x) x."""
    if not is_plain(g, x, weight):
        return NotImplemented
    gs, rows, r = as_rows(g, g.shape[-1]), as_rows(x, x.shape[-1]), rstd.reshape(-1, 1)
    out = room(x.shape, x.dtype)
    ys = out.reshape(rows.shape)
    share = np.full(rows.shape[1], 1 / rows.shape[1], x.dtype)
    if weight is not None:
        share *= weight

    def block(s: slice) -> Any:
        d, rs = ys[s], r[s]
        product = gs[s] * rows[s]
        d_weight, along = rs[:, 0] @ product, product @ share
        np.multiply(rows[s], along[:, None] * rs * rs * rs, out=product)
        np.multiply(gs[s], rs, out=d)
        if weight is not None:
            np.multiply(d, weight, out=d)
        np.subtract(d, product, out=d)
        return d_weight

    d_weight = in_order(over_rows(block, *rows.shape))
    return out, d_weight


# ── channels ────────────────────────────────────────────────────────────────────────────────────────────────

_SHORT = 32  # positions below which a loop over each row costs more than factors spelt out for each element
# The square of a mean beside a variance, above which the sum of squares less it would lose digits.
_FAR = 16.0


def _rows_of(x: Any) -> Any:
    """(n, c, ...) -> (n c, positions)"""
    return np.ascontiguousarray(x).reshape(x.shape[0] * x.shape[1], -1)


def _row_sums(x: Any, y: Any) -> tuple[Any, Any]:
    """The sums of each row of y, and of each row of x y."""
    found = numba_channels.row_sums(x, y)
    if found is not None:
        return found  # type: ignore[no-any-return]
    sums = np.empty((2, len(x)), x.dtype)
    ones = np.ones(x.shape[1], x.dtype)

    def block(s: slice) -> None:
        sums[0, s] = y[s] @ ones
        sums[1, s] = np.vecdot(x[s], y[s])

    over_rows(block, *x.shape)
    return sums[0], sums[1]


def _spread(factor: Any, positions: int) -> Any:
    """A factor for each row, in the shape that multiplies rows best."""
    return np.repeat(factor, positions).reshape(-1, positions) if positions < _SHORT else factor[:, None]


def _scaled(x: Any, factor: Any, shift: Any, shape: tuple[int, ...]) -> Any:
    """x factor + shift, both by row, in this shape."""
    found = numba_channels.scaled(x, factor, shift, shape)
    if found is not None:
        return found
    found = room(shape, x.dtype)
    out = found.reshape(x.shape)
    factor, shift = (_spread(each, x.shape[1]) for each in (factor, shift))

    def block(s: slice) -> None:
        np.multiply(x[s], factor[s], out=out[s])
        np.add(out[s], shift[s], out=out[s])

    over_rows(block, *x.shape)
    return found


def _mixed(x: Any, g: Any, of_x: Any, of_g: Any, shift: Any, shape: tuple[int, ...]) -> Any:
    """of_g g + of_x x + shift, all three by row, in this shape."""
    found = numba_channels.mixed(x, g, of_x, of_g, shift, shape)
    if found is not None:
        return found
    found = room(shape, x.dtype)
    out = found.reshape(x.shape)
    of_x, of_g, shift = (_spread(each, x.shape[1]) for each in (of_x, of_g, shift))

    def block(s: slice) -> None:
        np.multiply(g[s], of_g[s], out=out[s])
        np.add(out[s], x[s] * of_x[s], out=out[s])
        np.add(out[s], shift[s], out=out[s])

    over_rows(block, *x.shape)
    return found


def _statistics(x: Any, gather: Any, scatter: Any, size: int) -> tuple[Any, Any]:
    """Mean and variance over `size` elements each.

    gather: adds up what rows have. scatter: hands each row its own. The variance is the mean square less the square of
    the mean, but where that loses digits x is centred first.
    """
    total, squares = _row_sums(x, x)
    average = gather(total) / size
    square = average * average
    variance = gather(squares) / size - square
    if np.all(square <= _FAR * variance):
        return average, variance
    centred = _scaled(x, np.ones_like(total), -scatter(average), x.shape)
    return average, gather(_row_sums(centred, centred)[1]) / size


def _products(x: Any, g: Any, average: Any, rstd: Any, scatter: Any) -> tuple[Any, Any]:
    """By row: the sums of g, and of g (x - average)."""
    of_g, of_product = _row_sums(x, g)
    if np.all(average * average * rstd * rstd <= _FAR):
        return of_g, of_product - scatter(average) * of_g
    centred = _scaled(x, np.ones_like(of_g), -scatter(average), x.shape)
    return _row_sums(centred, g)


def _by_channel(sums: Any, n: int) -> Any:
    return sums.reshape(n, -1).sum(axis=0)


@kernel("batch_norm_train", "numpy")
@picky
def _batch_norm_train(xp: Any, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if not is_plain(x, weight, bias):
        return NotImplemented
    n, c = x.shape[:2]
    rows, shape = _rows_of(x), (1, c) + (1,) * (x.ndim - 2)
    average, variance = _statistics(rows, lambda sums: _by_channel(sums, n), lambda each: np.tile(each, n), x.size // c)
    rstd = 1 / np.sqrt(variance + eps)
    factor = rstd if weight is None else rstd * weight
    shift = -average * factor if bias is None else bias - average * factor
    y = _scaled(rows, np.tile(factor, n), np.tile(shift, n), x.shape)
    return y, average, variance, average.reshape(shape), rstd.reshape(shape)


@kernel("batch_norm_train_back", "numpy")
@picky
def _batch_norm_train_back(
    xp: Any, g: Any, g_mean: Any, g_variance: Any, x: Any, average: Any, rstd: Any, weight: Any = None
) -> Any:
    if not is_plain(g, x, weight):
        return NotImplemented
    n, c = x.shape[:2]
    rows, gs = _rows_of(x), _rows_of(g)
    average, rstd, size = average.reshape(-1), rstd.reshape(-1), x.size // c
    of_g, of_product = _products(rows, gs, average, rstd, lambda each: np.tile(each, n))
    d_bias, d_weight = _by_channel(of_g, n), _by_channel(of_product, n) * rstd
    slope = rstd if weight is None else rstd * weight
    of_x = -(slope * d_weight - 2 * g_variance / rstd) * rstd / size  # of x, not xhat: hence once more rstd
    shift = (g_mean - slope * d_bias) / size - of_x * average
    of_x, slope, shift = (np.tile(each, n) for each in (of_x, slope, shift))
    d_x = _mixed(rows, gs, of_x, slope, shift, x.shape)
    return d_x, d_weight, d_bias


@kernel("group_norm_parts", "numpy")
@picky
def _group_norm_parts(
    xp: Any, x: Any, weight: Any = None, bias: Any = None, num_groups: int = 1, eps: float = 1e-5
) -> Any:
    if not is_plain(x, weight, bias):
        return NotImplemented
    (n, _c), per = x.shape[:2], x.shape[1] // num_groups
    rows = _rows_of(x)
    average, variance = _statistics(
        rows, lambda sums: sums.reshape(-1, per).sum(axis=1), lambda each: np.repeat(each, per), rows.shape[1] * per
    )
    rstd = 1 / np.sqrt(variance + eps)
    factor, shift = np.repeat(rstd, per), np.repeat(-average * rstd, per)
    if weight is not None:
        factor, shift = factor * np.tile(weight, n), shift * np.tile(weight, n)
    if bias is not None:
        shift = shift + np.tile(bias, n)
    column = (n, num_groups, 1)
    return _scaled(rows, factor, shift, x.shape), average.reshape(column), rstd.reshape(column)


@kernel("group_norm_parts_back", "numpy")
@picky
def _group_norm_parts_back(xp: Any, g: Any, x: Any, average: Any, rstd: Any, weight: Any = None) -> Any:
    if not is_plain(g, x, weight):
        return NotImplemented
    n, per = x.shape[0], x.shape[1] // average.shape[1]
    rows, gs = _rows_of(x), _rows_of(g)
    average, rstd, size = average.reshape(-1), rstd.reshape(-1), rows.shape[1] * per
    of_g, of_product = _products(rows, gs, average, rstd, lambda each: np.repeat(each, per))
    slope = np.repeat(rstd, per)
    d_weight, d_bias = _by_channel(of_product * slope, n), _by_channel(of_g, n)
    if weight is not None:
        scale = np.tile(weight, n)
        slope, of_g, of_product = slope * scale, of_g * scale, of_product * scale
    of_x = -of_product.reshape(-1, per).sum(axis=1) * rstd * rstd * rstd / size
    shift = -of_g.reshape(-1, per).sum(axis=1) * rstd / size - of_x * average
    d_x = _mixed(rows, gs, np.repeat(of_x, per), slope, np.repeat(shift, per), x.shape)
    return d_x, d_weight, d_bias
