"""Recurrent layers as one op each: a whole sequence, its states and its gates.

All inputs are projected by one product, then each step takes one product with the state before. What is saved for the
gradient, the gates and the cells of all steps, has features before the batch: (l, k h, n).
"""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array
from tensorgrad.composed import composed
from tensorgrad.primitive import op


def _sigmoid(xp: Any, x: Any) -> Any:
    return xp.tanh(x * 0.5) * 0.5 + 0.5


def _gates(z: Any, count: int) -> list[Any]:
    """Blocks of the last axis.   (n, count h) -> count of (n, h)"""
    size = z.shape[-1] // count
    return [z[:, place * size : (place + 1) * size] for place in range(count)]


def _projected(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    """x W^T + b.   (..., i), (m, i), (m,) or None -> (..., m)"""
    z = xp.matmul(x, xp.matrix_transpose(weight))
    return z if bias is None else z + bias


def _steps(length: int, reverse: bool) -> list[int]:
    """The places of the steps in the order they are taken."""
    return list(range(length))[::-1] if reverse else list(range(length))


def _before(xp: Any, first: Any, states: Any, reverse: bool) -> Any:
    """The state before each step.   (n, h), (l, n, h) -> (l, n, h)"""
    first = xp.expand_dims(first, axis=0)
    return xp.concat([states[1:, ...], first] if reverse else [first, states[:-1, ...]], axis=0)


def _weight_gradient(xp: Any, d_z: Any, x: Any) -> Any:
    """The gradient of W in z = x W^T, over all steps.   (l, n, m), (l, n, i) -> (m, i)"""
    d_z, x = (xp.reshape(each, (each.shape[0] * each.shape[1], each.shape[2])) for each in (d_z, x))
    return xp.matmul(xp.matrix_transpose(d_z), x)


# ── LSTM ────────────────────────────────────────────────────────────────────────────────────────────────────


@op(results=2, saves=("gates", "cells"), lift="floating")
def lstm_layer(
    xp: Any,
    x: Array,
    h: Array,
    c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array = None,
    reverse: bool = False,
) -> Any:
    """c' = f c + i g, h' = o tanh(c').   (l, n, k), 2 of (n, h), (4 h, k), (4 h, h), (4 h,) -> (l, n, h), (n, h)

    i, f, o = sigmoid and g = tanh of W_ih x + W_hh h + b, rows in the order i, f, g, o. The results are h at all steps
    and c at the last. reverse: from the last step to the first. Saved are the gates in the order i, f, o, g, and c.
    Hochreiter & Schmidhuber, "Long short-term memory", 1997; the forget gate as in Gers, Schmidhuber & Cummins,
    "Learning to forget", 2000.
    """
    inputs = xp.unstack(_projected(xp, x, weight_ih, bias), axis=0)
    outputs, gates, cells = [[None] * x.shape[0] for _ in range(3)]
    for step in _steps(x.shape[0], reverse):
        i, f, g, o = _gates(inputs[step] + xp.matmul(h, xp.matrix_transpose(weight_hh)), 4)
        i, f, o, g = _sigmoid(xp, i), _sigmoid(xp, f), _sigmoid(xp, o), xp.tanh(g)
        c = f * c + i * g
        h = o * xp.tanh(c)
        outputs[step], cells[step] = h, xp.matrix_transpose(c)
        gates[step] = xp.matrix_transpose(xp.concat([i, f, o, g], axis=-1))
    return xp.stack(outputs, axis=0), c, xp.stack(gates, axis=0), xp.stack(cells, axis=0)


@composed
@op(results=6)
def lstm_layer_back(
    xp: Any,
    g: Array,
    g_c: Array,
    x: Array,
    h: Array,
    c: Array,
    weight_ih: Array,
    weight_hh: Array,
    y: Array,
    gates: Array,
    cells: Array,
    reverse: bool = False,
) -> Any:
    """The gradients of lstm_layer, through time.   10 arrays -> (l, n, k), 2 of (n, h), (4 h, k), (4 h, h), (4 h,)"""
    order = _steps(x.shape[0], reverse)
    cell = xp.unstack(xp.matrix_transpose(cells), axis=0)
    gate = xp.unstack(xp.matrix_transpose(gates), axis=0)
    coming = xp.unstack(g, axis=0)
    d_h, d_c, parts = xp.zeros_like(h), g_c, [None] * len(order)
    for place in range(len(order))[::-1]:
        step = order[place]
        i, f, o, new = _gates(gate[step], 4)
        d_h = d_h + coming[step]
        squashed = xp.tanh(cell[step])
        d_c = d_c + d_h * o * (1 - squashed * squashed)
        d_i = d_c * new * i * (1 - i)
        d_f = d_c * (cell[order[place - 1]] if place else c) * f * (1 - f)
        d_o = d_h * squashed * o * (1 - o)
        parts[step] = xp.concat([d_i, d_f, d_c * i * (1 - new * new), d_o], axis=-1)
        d_h, d_c = xp.matmul(parts[step], weight_hh), d_c * f
    d_z = xp.stack(parts, axis=0)
    return (
        xp.matmul(d_z, weight_ih),
        d_h,
        d_c,
        _weight_gradient(xp, d_z, x),
        _weight_gradient(xp, d_z, _before(xp, h, y, reverse)),
        xp.sum(d_z, axis=(0, 1)),
    )


lstm_layer.vjp(
    joint=lambda g, x, h, c, weight_ih, weight_hh, reverse, out, gates, cells: lstm_layer_back(
        *g, x, h, c, weight_ih, weight_hh, out[0], gates, cells, reverse
    )
)


# ── GRU ─────────────────────────────────────────────────────────────────────────────────────────────────────


@op(saves=("gates",), lift="floating")
def gru_layer(
    xp: Any,
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array = None,
    bias_hh: Array = None,
    reverse: bool = False,
) -> Any:
    """h' = n + z (h - n).   (l, n, k), (n, h), (3 h, k), (3 h, h), 2 of (3 h,) -> (l, n, h)

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), n = tanh(W_in x + b_in + r (W_hn h + b_hn)), rows in the order r, z,
    n. The result is h at all steps. reverse: from the last step to the first. Saved are r, z, n and W_hn h + b_hn.
    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, eqs. 5 to 8; r stands outside the
    product, as in cuDNN.
    """
    inputs = xp.unstack(_projected(xp, x, weight_ih, bias_ih), axis=0)
    outputs, gates = [[None] * x.shape[0] for _ in range(2)]
    for step in _steps(x.shape[0], reverse):
        x_r, x_z, x_n = _gates(inputs[step], 3)
        h_r, h_z, h_n = _gates(_projected(xp, h, weight_hh, bias_hh), 3)
        r, z = _sigmoid(xp, x_r + h_r), _sigmoid(xp, x_z + h_z)
        new = xp.tanh(x_n + r * h_n)
        h = new + z * (h - new)
        outputs[step] = h
        gates[step] = xp.matrix_transpose(xp.concat([r, z, new, h_n], axis=-1))
    return xp.stack(outputs, axis=0), xp.stack(gates, axis=0)


@composed
@op(results=6)
def gru_layer_back(
    xp: Any,
    g: Array,
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    y: Array,
    gates: Array,
    reverse: bool = False,
) -> Any:
    """The gradients of gru_layer, through time.   7 arrays -> (l, n, k), (n, h), (3 h, k), (3 h, h), 2 of (3 h,)"""
    order = _steps(x.shape[0], reverse)
    gate = xp.unstack(xp.matrix_transpose(gates), axis=0)
    coming = xp.unstack(g, axis=0)
    before = _before(xp, h, y, reverse)
    state = xp.unstack(before, axis=0)
    d_h, of_x, of_h = xp.zeros_like(h), [None] * len(order), [None] * len(order)
    for step in order[::-1]:
        r, z, new, h_n = _gates(gate[step], 4)
        d_h = d_h + coming[step]
        d_new = d_h * (1 - z) * (1 - new * new)
        d_z = d_h * (state[step] - new) * z * (1 - z)
        d_r = d_new * h_n * r * (1 - r)
        of_x[step] = xp.concat([d_r, d_z, d_new], axis=-1)
        of_h[step] = xp.concat([d_r, d_z, d_new * r], axis=-1)
        d_h = d_h * z + xp.matmul(of_h[step], weight_hh)
    d_x, d_s = xp.stack(of_x, axis=0), xp.stack(of_h, axis=0)
    return (
        xp.matmul(d_x, weight_ih),
        d_h,
        _weight_gradient(xp, d_x, x),
        _weight_gradient(xp, d_s, before),
        xp.sum(d_x, axis=(0, 1)),
        xp.sum(d_s, axis=(0, 1)),
    )


gru_layer.vjp(
    joint=lambda g, x, h, weight_ih, weight_hh, reverse, out, gates: gru_layer_back(
        g, x, h, weight_ih, weight_hh, out, gates, reverse
    )
)
