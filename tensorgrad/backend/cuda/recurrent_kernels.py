"""Recurrent layers on a GPU: a step is one product by cuBLAS and one launch for all gates, forward and back.

Features lie before the batch, so that threads beside each other read numbers beside each other. Inputs are projected
for all steps at once, gradients of weights are one product over all steps. Between a step's product and its gates
numbers are in float where arrays are halves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.cuda.launch import HALVES, Source, contiguous, empty, zeros
from tensorgrad.backend.cuda.product_kernels import Repeated, product
from tensorgrad.backend.kernels import kernel, picky

_SOURCE = Source(
    "recurrent layers",
    r"""
#define EACH(at, n) for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x)
__device__ inline A sigmoid(A x) { return tanh(x * (A)0.5) * (A)0.5 + (A)0.5; }

// In all kernels n is features times batch, `at` one of them, and `step` the place of a step; `before` that of the one
// before, below 0 for the first, whose state stands by itself. Gates come in the order i, f, g, o and are kept as
// i, f, o, g.
extern "C" __global__ void lstm_step(
    T* gates, const A* product, const T* bias, const T* first, T* cells, T* states, I step, I before, I batch, I n
) {
    EACH(at, n) {
        T* mine = gates + step * 4 * n + at;
        A z[4];
        for (int gate = 0; gate < 4; gate++) {
            z[gate] = up(mine[gate * n]) + product[gate * n + at];
            if (bias) z[gate] += up(bias[(gate * n + at) / batch]);
        }
        const A i = sigmoid(z[0]), f = sigmoid(z[1]), g = tanh(z[2]), o = sigmoid(z[3]);
        const A c = f * up(before < 0 ? first[at] : cells[before * n + at]) + i * g;
        mine[0] = down(i); mine[n] = down(f); mine[2 * n] = down(o); mine[3 * n] = down(g);
        cells[step * n + at] = down(c);
        states[step * n + at] = down(o * tanh(c));
    }
}
// carried: what the step after sends back to this one's state; d_c: to its cell, at first what comes from outside.
extern "C" __global__ void lstm_step_back(
    const T* gates, const T* cells, const T* first, const T* coming, const A* carried, A* d_c, T* d_z,
    I step, I before, I n
) {
    EACH(at, n) {
        const T* mine = gates + step * 4 * n + at;
        const A i = up(mine[0]), f = up(mine[n]), o = up(mine[2 * n]), g = up(mine[3 * n]);
        const A squashed = tanh(up(cells[step * n + at]));
        const A d_h = up(coming[step * n + at]) + carried[at];
        const A d = d_c[at] + d_h * o * ((A)1 - squashed * squashed);
        T* to = d_z + step * 4 * n + at;
        to[0] = down(d * g * i * ((A)1 - i));
        to[n] = down(d * up(before < 0 ? first[at] : cells[before * n + at]) * f * ((A)1 - f));
        to[2 * n] = down(d * i * ((A)1 - g * g));
        to[3 * n] = down(d_h * squashed * o * ((A)1 - o));
        d_c[at] = d * f;
    }
}
// Gates come in the order r, z, n, those of inputs and of the state apart; kept are r, z, n and the state's part of n.
extern "C" __global__ void gru_step(
    const T* inputs, const A* product, const T* bias_ih, const T* bias_hh, const T* first, T* gates, T* states,
    I step, I before, I batch, I n
) {
    EACH(at, n) {
        A x[3], h[3];
        for (int gate = 0; gate < 3; gate++) {
            x[gate] = up(inputs[(step * 3 + gate) * n + at]);
            h[gate] = product[gate * n + at];
            if (bias_ih) x[gate] += up(bias_ih[(gate * n + at) / batch]);
            if (bias_hh) h[gate] += up(bias_hh[(gate * n + at) / batch]);
        }
        const A r = sigmoid(x[0] + h[0]), z = sigmoid(x[1] + h[1]), fresh = tanh(x[2] + r * h[2]);
        T* mine = gates + step * 4 * n + at;
        mine[0] = down(r); mine[n] = down(z); mine[2 * n] = down(fresh); mine[3 * n] = down(h[2]);
        states[step * n + at] = down(fresh + z * (up(before < 0 ? first[at] : states[before * n + at]) - fresh));
    }
}
// carried: what the step after sends back through its product; kept: what it sends back past it.
extern "C" __global__ void gru_step_back(
    const T* gates, const T* states, const T* coming, const A* carried, A* kept, T* of_x, T* of_h, I step, I n
) {
    EACH(at, n) {
        const T* mine = gates + step * 4 * n + at;
        const A r = up(mine[0]), z = up(mine[n]), fresh = up(mine[2 * n]), h = up(mine[3 * n]);
        const A d_h = up(coming[step * n + at]) + carried[at] + kept[at];
        const A d_new = d_h * ((A)1 - z) * ((A)1 - fresh * fresh);
        const T d_r = down(d_new * h * r * ((A)1 - r));
        const T d_z = down(d_h * (up(states[step * n + at]) - fresh) * z * ((A)1 - z));
        T* to_x = of_x + step * 3 * n + at;
        T* to_h = of_h + step * 3 * n + at;
        to_x[0] = d_r; to_x[n] = d_z; to_x[2 * n] = down(d_new);
        to_h[0] = d_r; to_h[n] = d_z; to_h[2 * n] = down(d_new * r);
        kept[at] = d_h * z;
    }
}
""",
)


def _declined(x: Any, h: Any, *others: Any) -> bool:
    """Whether operands are none for the kernels: of several dtypes, or with nothing in them."""
    return not _SOURCE.serves(x, h, *others) or not x.size or not h.size


def _number(x: Any) -> Any:
    """The dtype that is computed with."""
    return np.dtype(np.float32) if x.dtype.name in HALVES else x.dtype


def _turned(x: Any) -> Any:
    """The last two axes exchanged, without gaps."""
    return contiguous(x.swapaxes(-1, -2))


def _steps(length: int, reverse: bool) -> list[tuple[int, int]]:
    """The places of the steps in the order they are taken, and that of the step before each; -1 for the first."""
    order = list(range(length))[::-1] if reverse else list(range(length))
    return list(zip(order, [-1, *order], strict=False))


def _states_before(xp: Any, first: Any, states: Any, reverse: bool) -> Any:
    first = first[None]
    return xp.concat([states[1:], first] if reverse else [first, states[:-1]], axis=0)


def _of_weights(xp: Any, d_z: Any, *inputs: Any) -> list[Any]:
    """The gradients of the bias and of the weights that the inputs were multiplied by, over all steps at once."""
    length, m, n = d_z.shape
    rows = contiguous(d_z.swapaxes(0, 1)).reshape(m, length * n)
    found = [xp.matmul(rows, contiguous(each).reshape(length * n, each.shape[2])) for each in inputs]
    return [*found, xp.sum(rows, axis=1)]


# ── LSTM ────────────────────────────────────────────────────────────────────────────────────────────────────


@kernel("lstm_layer", "cupy")
@picky
def _lstm_layer(
    xp: Any,
    x: Any,
    h: Any,
    c: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias: Any = None,
    reverse: bool = False,
) -> Any:
    if _declined(x, h, c, weight_ih, weight_hh, bias):
        return NotImplemented
    (length, batch, _), size = x.shape, h.shape[1]
    gates = product(xp, weight_ih, x.swapaxes(1, 2))
    cells, states = (empty(xp, x, (length, size, batch)) for _ in range(2))
    first, state, bias = _turned(c), _turned(h), contiguous(bias)
    step_of = Repeated(xp, weight_hh, batch, _number(x))
    for step, before in _steps(length, reverse):
        step_of(state)
        given = (gates, step_of.out, bias, first, cells, states, step, before, batch, size * batch)
        _SOURCE.over("lstm_step", size * batch, x, *given, largest=gates.size)
        state = states[step]
    return _turned(states), _turned(cells[step]), gates, cells


@kernel("lstm_layer_back", "cupy")
@picky
def _lstm_layer_back(
    xp: Any,
    g: Any,
    g_c: Any,
    x: Any,
    h: Any,
    c: Any,
    weight_ih: Any,
    weight_hh: Any,
    y: Any,
    gates: Any,
    cells: Any,
    reverse: bool = False,
) -> Any:
    if _declined(x, h, c, g, g_c, weight_ih, weight_hh, y, gates, cells):
        return NotImplemented
    (length, batch, _), size = x.shape, h.shape[1]
    gates, cells, coming, first = contiguous(gates), contiguous(cells), _turned(g), _turned(c)
    d_z = empty(xp, x, gates.shape)
    d_c = contiguous(xp.astype(g_c.swapaxes(0, 1), _number(x), copy=True))
    carried = Repeated(xp, weight_hh.swapaxes(0, 1), batch, _number(x))
    carried.out[...] = 0
    for step, before in reversed(_steps(length, reverse)):
        given = (gates, cells, first, coming, carried.out, d_c, d_z, step, before, size * batch)
        _SOURCE.over("lstm_step_back", size * batch, x, *given, largest=gates.size)
        carried(d_z[step])
    d_x = product(xp, d_z.swapaxes(1, 2), weight_ih)
    d_h, d_c = (xp.astype(_turned(each), x.dtype, copy=False) for each in (carried.out, d_c))
    return d_x, d_h, d_c, *_of_weights(xp, d_z, x, _states_before(xp, h, y, reverse))


# ── GRU ─────────────────────────────────────────────────────────────────────────────────────────────────────


@kernel("gru_layer", "cupy")
@picky
def _gru_layer(
    xp: Any,
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    reverse: bool = False,
) -> Any:
    if _declined(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
        return NotImplemented
    (length, batch, _), size = x.shape, h.shape[1]
    inputs = product(xp, weight_ih, x.swapaxes(1, 2))
    gates, states = (empty(xp, x, (length, rows, batch)) for rows in (4 * size, size))
    first = state = _turned(h)
    bias_ih, bias_hh = contiguous(bias_ih), contiguous(bias_hh)
    step_of = Repeated(xp, weight_hh, batch, _number(x))
    for step, before in _steps(length, reverse):
        step_of(state)
        given = (inputs, step_of.out, bias_ih, bias_hh, first, gates, states, step, before, batch, size * batch)
        _SOURCE.over("gru_step", size * batch, x, *given, largest=gates.size)
        state = states[step]
    return _turned(states), gates


@kernel("gru_layer_back", "cupy")
@picky
def _gru_layer_back(
    xp: Any,
    g: Any,
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    y: Any,
    gates: Any,
    reverse: bool = False,
) -> Any:
    if _declined(x, h, g, weight_ih, weight_hh, y, gates):
        return NotImplemented
    (length, batch, _), size = x.shape, h.shape[1]
    before = _states_before(xp, h, y, reverse)
    gates, coming, states = contiguous(gates), _turned(g), _turned(before)
    of_x, of_h = (empty(xp, x, (length, 3 * size, batch)) for _ in range(2))
    carried = Repeated(xp, weight_hh.swapaxes(0, 1), batch, _number(x))
    carried.out[...] = 0
    kept = zeros(xp, x, (size, batch), _number(x))
    for step, _ in reversed(_steps(length, reverse)):
        given = (gates, states, coming, carried.out, kept, of_x, of_h, step, size * batch)
        _SOURCE.over("gru_step_back", size * batch, x, *given, largest=gates.size)
        carried(of_h[step])
    d_x = product(xp, of_x.swapaxes(1, 2), weight_ih)
    d_h = xp.astype(_turned(carried.out + kept), x.dtype, copy=False)
    (d_weight_ih, d_bias_ih), (d_weight_hh, d_bias_hh) = _of_weights(xp, of_x, x), _of_weights(xp, of_h, before)
    return d_x, d_h, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh
