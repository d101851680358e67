"""Softmax, cross-entropy and the normalisations of rows, compiled: a row is in the first cache, and memory is met once.

Each loop runs over some rows, from `low` to `high`. A sum that goes over all rows, as a weight's gradient does, is
taken for each piece of rows, and added up in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.buffers import room
from tensorgrad.backend.cpu.row_blocks import as_rows, is_plain
from tensorgrad.backend.cpu.workers import in_order, share
from tensorgrad.backend.fast import compiled
from tensorgrad.backend.kernels import kernel
from tensorgrad.backend.numba.functions import exp, order, unordered

_PIECE = 1 << 16  # numbers in a piece: small enough for many threads, and a call of it takes 3 us
_SHARED = 1 << 18  # numbers from which waking a thread takes less time than it saves


def over_pieces(function: Callable[[int, int], Any], rows: int, width: int) -> list[Any]:
    """What function(low, high) gives for each piece of rows, in their order."""
    step = max(1, _PIECE // max(width, 1))
    pieces = [(low, min(low + step, rows)) for low in range(0, rows, step)]
    run = share if rows * width >= _SHARED else map
    return list(run(lambda piece: function(*piece), pieces))


def aligned(x: Any) -> Any:
    """An array without gaps, which begins where a number may; a copy where x is none."""
    return x if x.flags.c_contiguous and x.flags.aligned else x.copy(order="C")


def _rows(x: Any, width: int) -> Any:
    """Rows that lie as compiled loops want them."""
    return aligned(as_rows(x, width))


def _is_last(axis: Any, *arrays: Any) -> bool:
    x = arrays[0]
    return isinstance(axis, int) and x.ndim > 0 and axis % x.ndim == x.ndim - 1 and is_plain(*arrays)


def _row_by_row(loop: Callable[..., None], *given: Any) -> Any:
    """The result of a loop (given ..., out, low, high) over rows; NotImplemented where nothing is compiled."""
    x = given[0]
    run = compiled(loop, "in2 " * len(given) + "out2 int int", x.dtype)
    if run is None:
        return NotImplemented
    rows, out = [_rows(each, x.shape[-1]) for each in given], room(x.shape, x.dtype)
    results = out.reshape(rows[0].shape)
    over_pieces(lambda low, high: run(*rows, results, low, high), *results.shape)
    return out


# ── softmax ─────────────────────────────────────────────────────────────────────────────────────────────────


@kernel("softmax", "numba")
def _softmax(xp: Any, x: Any, axis: Any = -1) -> Any:
    return _row_by_row(softmax_loop, x) if _is_last(axis, x) else NotImplemented


def softmax_loop(x: Any, out: Any, low: int, high: int) -> None:
    """p = exp(x - peak) / sum(exp(x - peak)), the peak of a row being its largest number, if that is finite."""
    zero = x.dtype.type(0)
    for i in range(low, high):
        top = order(x[i, 0])
        for j in range(x.shape[1]):
            top = max(top, order(x[i, j]))
        peak = unordered(top)
        if not math.isfinite(peak):
            peak = zero
        total = zero
        for j in range(x.shape[1]):
            e = exp(x[i, j] - peak)
            out[i, j] = e
            total += e
        total = x.dtype.type(1) / total
        for j in range(x.shape[1]):
            out[i, j] *= total


@kernel("softmax_back", "numba")
def _softmax_back(xp: Any, g: Any, p: Any, axis: Any = -1) -> Any:
    return _row_by_row(softmax_back_loop, g, p) if _is_last(axis, g, p) else NotImplemented


def softmax_back_loop(g: Any, p: Any, out: Any, low: int, high: int) -> None:
    """(g - sum(g p)) p"""
    for i in range(low, high):
        along = g.dtype.type(0)
        for j in range(g.shape[1]):
            along += g[i, j] * p[i, j]
        for j in range(g.shape[1]):
            out[i, j] = (g[i, j] - along) * p[i, j]


@kernel("log_softmax", "numba")
def _log_softmax(xp: Any, x: Any, axis: Any = -1) -> Any:
    return _row_by_row(log_softmax_loop, x) if _is_last(axis, x) else NotImplemented


def log_softmax_loop(x: Any, out: Any, low: int, high: int) -> None:
    """x - peak - log(sum(exp(x - peak)))"""
    zero = x.dtype.type(0)
    for i in range(low, high):
        top = order(x[i, 0])
        for j in range(x.shape[1]):
            top = max(top, order(x[i, j]))
        peak = unordered(top)
        if not math.isfinite(peak):
            peak = zero
        total = zero
        for j in range(x.shape[1]):
            total += exp(x[i, j] - peak)
        total = np.log(total)
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - peak) - total


@kernel("log_softmax_back", "numba")
def _log_softmax_back(xp: Any, g: Any, log_p: Any, axis: Any = -1) -> Any:
    return _row_by_row(log_softmax_back_loop, g, log_p) if _is_last(axis, g, log_p) else NotImplemented


def log_softmax_back_loop(g: Any, log_p: Any, out: Any, low: int, high: int) -> None:
    """g - p sum(g)"""
    for i in range(low, high):
        total = g.dtype.type(0)
        for j in range(g.shape[1]):
            total += g[i, j]
        for j in range(g.shape[1]):
            out[i, j] = g[i, j] - exp(log_p[i, j]) * total


@kernel("softmax_cross_entropy", "numba")
def _softmax_cross_entropy(xp: Any, logits: Any, labels: Any) -> Any:
    if not is_plain(logits) or labels.shape != logits.shape[:-1]:
        return NotImplemented
    run = compiled(cross_entropy_loop, "in2 places1 out2 out1 int int", logits.dtype)
    if run is None:
        return NotImplemented
    rows = _rows(logits, logits.shape[-1])
    places = np.ascontiguousarray(labels, np.int64).reshape(-1)
    p, losses = room(rows.shape, rows.dtype), np.empty(len(rows), rows.dtype)
    over_pieces(lambda low, high: run(rows, places, p, losses, low, high), *rows.shape)
    return losses, p


def cross_entropy_loop(x: Any, labels: Any, out: Any, losses: Any, low: int, high: int) -> None:
    """p = softmax(x), and the loss -log p[label]"""
    zero = x.dtype.type(0)
    for i in range(low, high):
        top = order(x[i, 0])
        for j in range(x.shape[1]):
            top = max(top, order(x[i, j]))
        peak = unordered(top)
        if not math.isfinite(peak):
            peak = zero
        total = zero
        for j in range(x.shape[1]):
            e = exp(x[i, j] - peak)
            out[i, j] = e
            total += e
        losses[i] = np.log(total) - (x[i, labels[i]] - peak)
        total = x.dtype.type(1) / total
        for j in range(x.shape[1]):
            out[i, j] *= total


@kernel("softmax_cross_entropy_back", "numba")
def _softmax_cross_entropy_back(xp: Any, g: Any, p: Any, labels: Any) -> Any:
    if not is_plain(g, p):
        return NotImplemented
    run = compiled(cross_entropy_back_loop, "in1 in2 places1 out2 int int", p.dtype)
    if run is None:
        return NotImplemented
    places, found = np.ascontiguousarray(labels, np.int64), room(p.shape, p.dtype)
    g, rows = aligned(g), _rows(p, p.shape[1])
    over_pieces(lambda low, high: run(g, rows, places, found, low, high), *p.shape)
    return found


def cross_entropy_back_loop(g: Any, p: Any, labels: Any, out: Any, low: int, high: int) -> None:
    """g (p - 1), where the label is, and g p elsewhere"""
    for i in range(low, high):
        for j in range(p.shape[1]):
            out[i, j] = g[i] * p[i, j]
        out[i, labels[i]] -= g[i]


# ── normalisations ──────────────────────────────────────────────────────────────────────────────────────────


def _or(array: Any, like: Any, value: float) -> Any:
    """A weight or a bias of a row, or what stands for none."""
    given = np.full(like.shape[-1], value, like.dtype) if array is None else array
    return aligned(given.reshape(-1))


@kernel("layer_norm_rows", "numba")
def _layer_norm_rows(xp: Any, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if not is_plain(x, weight, bias):
        return NotImplemented
    run = compiled(layer_norm_loop, "in2 in1 in1 number out2 out1 out1 int int", x.dtype)
    if run is None:
        return NotImplemented
    rows, weight, bias = _rows(x, x.shape[-1]), _or(weight, x, 1), _or(bias, x, 0)
    out, (average, rstd) = room(x.shape, x.dtype), np.empty((2, len(rows)), x.dtype)
    ys = out.reshape(rows.shape)
    over_pieces(lambda low, high: run(rows, weight, bias, eps, ys, average, rstd, low, high), *rows.shape)
    column = (*x.shape[:-1], 1)
    return out, average.reshape(column), rstd.reshape(column)


def layer_norm_loop(
    x: Any, weight: Any, bias: Any, eps: Any, out: Any, average: Any, rstd: Any, low: int, high: int
) -> None:
    """(x - mean) / sqrt(variance + eps) weight + bias"""
    one, share_of = x.dtype.type(1), x.dtype.type(1 / x.shape[1])
    for i in range(low, high):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += x[i, j]
        mean = total * share_of
        squares = x.dtype.type(0)
        for j in range(x.shape[1]):
            squares += (x[i, j] - mean) * (x[i, j] - mean)
        scale = one / math.sqrt(squares * share_of + eps)
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean) * scale * weight[j] + bias[j]
        average[i], rstd[i] = mean, scale


@kernel("layer_norm_rows_back", "numba")
def _layer_norm_rows_back(xp: Any, g: Any, x: Any, average: Any, rstd: Any, weight: Any = None) -> Any:
    if not is_plain(g, x, weight):
        return NotImplemented
    run = compiled(layer_norm_back_loop, "in2 in2 in1 in1 in1 out2 out2 int int", x.dtype)
    if run is None:
        return NotImplemented
    gs, rows, weight = _rows(g, g.shape[-1]), _rows(x, x.shape[-1]), _or(weight, x, 1)
    means, scales = aligned(average.reshape(-1)), aligned(rstd.reshape(-1))
    out = room(x.shape, x.dtype)
    ys = out.reshape(rows.shape)

    def piece(low: int, high: int) -> Any:
        sums = np.zeros((2, rows.shape[1]), rows.dtype)
        run(gs, rows, means, scales, weight, ys, sums, low, high)
        return sums

    d_weight, d_bias = in_order(over_pieces(piece, *rows.shape))
    return out, d_weight, d_bias


def layer_norm_back_loop(
    g: Any, x: Any, average: Any, rstd: Any, weight: Any, out: Any, sums: Any, low: int, high: int
) -> None:
    """With c = (x - mean) rstd and h = g weight: rstd (h - mean(h c) c - mean(h)); the sums of g c, and of g"""
    share_of = x.dtype.type(1 / x.shape[1])
    for i in range(low, high):
        mean, scale = average[i], rstd[i]
        along, level = x.dtype.type(0), x.dtype.type(0)
        for j in range(x.shape[1]):
            h = g[i, j] * weight[j]
            along += h * (x[i, j] - mean)
            level += h
        along *= share_of * scale
        level *= share_of
        for j in range(x.shape[1]):
            c = (x[i, j] - mean) * scale
            out[i, j] = scale * (g[i, j] * weight[j] - along * c - level)
            sums[0, j] += g[i, j] * c
            sums[1, j] += g[i, j]


@kernel("rms_norm_rows", "numba")
def _rms_norm_rows(xp: Any, x: Any, weight: Any = None, eps: float = 1e-6) -> Any:
    if not is_plain(x, weight):
        return NotImplemented
    run = compiled(rms_norm_loop, "in2 in1 number out2 out1 int int", x.dtype)
    if run is None:
        return NotImplemented
    rows, weight = _rows(x, x.shape[-1]), _or(weight, x, 1)
    out, rstd = room(x.shape, x.dtype), np.empty(len(rows), x.dtype)
    ys = out.reshape(rows.shape)
    over_pieces(lambda low, high: run(rows, weight, eps, ys, rstd, low, high), *rows.shape)
    return out, rstd.reshape(*x.shape[:-1], 1)


def rms_norm_loop(x: Any, weight: Any, eps: Any, out: Any, rstd: Any, low: int, high: int) -> None:
    """x / sqrt(mean(x^2) + eps) weight"""
    one, share_of = x.dtype.type(1), x.dtype.type(1 / x.shape[1])
    for i in range(low, high):
        squares = x.dtype.type(0)
        for j in range(x.shape[1]):
            squares += x[i, j] * x[i, j]
        scale = one / math.sqrt(squares * share_of + eps)
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * scale * weight[j]
        rstd[i] = scale


@kernel("rms_norm_rows_back", "numba")
def _rms_norm_rows_back(xp: Any, g: Any, x: Any, rstd: Any, weight: Any = None) -> Any:
    if not is_plain(g, x, weight):
        return NotImplemented
    run = compiled(rms_norm_back_loop, "in2 in2 in1 in1 out2 out1 int int", x.dtype)
    if run is None:
        return NotImplemented
    gs, rows, weight = _rows(g, g.shape[-1]), _rows(x, x.shape[-1]), _or(weight, x, 1)
    scales, out = aligned(rstd.reshape(-1)), room(x.shape, x.dtype)
    ys = out.reshape(rows.shape)

    def piece(low: int, high: int) -> Any:
        sums = np.zeros(rows.shape[1], rows.dtype)
        run(gs, rows, scales, weight, ys, sums, low, high)
        return sums

    d_weight = in_order(over_pieces(piece, *rows.shape))
    return out, d_weight


def rms_norm_back_loop(g: Any, x: Any, rstd: Any, weight: Any, out: Any, sums: Any, low: int, high: int) -> None:
    """With c = x rstd and h = g weight: rstd (h - mean(h c) c); the sums of g c"""
    share_of = x.dtype.type(1 / x.shape[1])
    for i in range(low, high):
        scale = rstd[i]
        along = x.dtype.type(0)
        for j in range(x.shape[1]):
            along += g[i, j] * weight[j] * x[i, j]
        along *= share_of * scale
        for j in range(x.shape[1]):
            c = x[i, j] * scale
            out[i, j] = scale * (g[i, j] * weight[j] - along * c)
            sums[j] += g[i, j] * c
