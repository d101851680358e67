"""Softmax, its logarithm and cross-entropy over rows, in the fewest passes.

The largest element of a block stands for the largest of each row: it is found ten times as fast. Rows far below it,
whose exponentials would lose digits, are done again by their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.cpu.buffers import room
from tensorgrad.backend.cpu.row_blocks import as_rows, is_plain, over_rows
from tensorgrad.backend.kernels import kernel, picky


def _is_last(axis: Any, x: Any) -> bool:
    return isinstance(axis, int) and x.ndim > 0 and axis % x.ndim == x.ndim - 1 and is_plain(x)


# A row's sum below this is taken again. With a factor of the least normal number's root, all that is 1e-19 (1e-154 in
# double precision) of the row's largest keeps its digits; a logarithm loses one digit for a factor of 1e-4.
ENOUGH = {each: float(np.sqrt(np.finfo(each).tiny)) for each in "fd"}
_ENOUGH_TO_SUBTRACT = 1e-4
SMALL = 16.0  # a peak of this size needs no shift: neither do exponentials overflow, nor do sums lose digits


def _exponentials(x: Any, shifted: Any, e: Any, enough: float) -> tuple[Any, Any]:
    """x - peak into shifted, exp of it into e, which may be shifted.   2-D -> (sums of rows of e, peaks)"""
    ones = np.ones(x.shape[1], x.dtype)
    peak = x.max()
    if np.isfinite(peak):
        if abs(peak) <= SMALL and shifted is e:
            peak = x.dtype.type(0)
            np.exp(x, out=e)
        else:
            np.subtract(x, peak, out=shifted)
            np.exp(shifted, out=e)
        total = e @ ones
        if total.min() >= enough:
            return total, peak
    peaks = x.max(axis=1, keepdims=True)
    peaks = np.where(np.isfinite(peaks), peaks, x.dtype.type(0))
    np.subtract(x, peaks, out=shifted)
    np.exp(shifted, out=e)
    return e @ ones, peaks


@kernel("softmax", "numpy")
@picky
def _softmax(xp: Any, x: Any, axis: Any = -1) -> Any:
    if not _is_last(axis, x):
        return NotImplemented
    rows = as_rows(x, x.shape[-1])
    out = room(x.shape, x.dtype)
    ys = out.reshape(rows.shape)

    def block(s: slice) -> None:
        e = ys[s]
        total, _ = _exponentials(rows[s], e, e, ENOUGH[e.dtype.char])
        np.multiply(e, (1 / total)[:, None], out=e)

    over_rows(block, *rows.shape)
    return out


@kernel("softmax_back", "numpy")
@picky
def _softmax_back(xp: Any, g: Any, p: Any, axis: Any = -1) -> Any:
    if not (_is_last(axis, p) and is_plain(g, p)):
        return NotImplemented
    gs, ps = as_rows(g, g.shape[-1]), as_rows(p, p.shape[-1])
    found = room(g.shape, g.dtype)
    ds = found.reshape(ps.shape)

    def block(s: slice) -> None:
        q = ds[s]
        np.subtract(gs[s], np.vecdot(gs[s], ps[s])[:, None], out=q)
        np.multiply(q, ps[s], out=q)

    over_rows(block, *ps.shape)
    return found


@kernel("log_softmax", "numpy")
@picky
def _log_softmax(xp: Any, x: Any, axis: Any = -1) -> Any:
    if not _is_last(axis, x):
        return NotImplemented
    rows = as_rows(x, x.shape[-1])
    out = room(x.shape, x.dtype)
    ys = out.reshape(rows.shape)

    def block(s: slice) -> None:
        shifted = ys[s]
        total, _ = _exponentials(rows[s], shifted, np.empty_like(shifted), _ENOUGH_TO_SUBTRACT)
        np.subtract(shifted, np.log(total)[:, None], out=shifted)

    over_rows(block, *rows.shape)
    return out


@kernel("log_softmax_back", "numpy")
@picky
def _log_softmax_back(xp: Any, g: Any, log_p: Any, axis: Any = -1) -> Any:
    if not (_is_last(axis, log_p) and is_plain(g, log_p)):
        return NotImplemented
    gs, ps = as_rows(g, g.shape[-1]), as_rows(log_p, log_p.shape[-1])
    found = room(g.shape, g.dtype)
    ds = found.reshape(ps.shape)
    ones = np.ones(ps.shape[1], ps.dtype)

    def block(s: slice) -> None:
        q = ds[s]
        np.exp(ps[s], out=q)
        np.multiply(q, (gs[s] @ ones)[:, None], out=q)
        np.subtract(gs[s], q, out=q)

    over_rows(block, *ps.shape)
    return found


@kernel("softmax_cross_entropy", "numpy")
@picky
def _softmax_cross_entropy(xp: Any, logits: Any, labels: Any) -> Any:
    if not is_plain(logits):
        return NotImplemented
    rows = as_rows(logits, logits.shape[-1])
    p, losses = room(rows.shape, rows.dtype), np.empty(len(rows), rows.dtype)

    def block(s: slice) -> None:
        e = p[s]
        total, peaks = _exponentials(rows[s], e, e, _ENOUGH_TO_SUBTRACT)
        np.multiply(e, (1 / total)[:, None], out=e)
        picked = rows[s][np.arange(len(total)), labels[s]]  # a fifth of the time of take_along_axis
        np.subtract(picked, peaks if peaks.ndim == 0 else peaks[:, 0], out=picked)
        np.subtract(np.log(total), picked, out=losses[s])

    over_rows(block, *rows.shape)
    return losses, p


@kernel("softmax_cross_entropy_back", "numpy")
def _softmax_cross_entropy_back(xp: Any, g: Any, p: Any, labels: Any) -> Any:
    found = np.multiply(p, g[:, None], out=room(p.shape, p.dtype))
    found[np.arange(len(labels)), labels] -= g
    return found
