"""Cases of ops/recurrent.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _lstm(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias: Any = 0.0, reverse: bool = False
) -> tuple[Any, Any]:
    """One sequence of the batch after the other."""
    y, last = np.empty((*x.shape[:2], h.shape[1])), np.empty(c.shape)
    for k in range(x.shape[1]):
        state, cell = h[k], c[k]
        for step in range(len(x))[:: -1 if reverse else 1]:
            i, f, g, o = np.split(weight_ih @ x[step, k] + weight_hh @ state + bias, 4)
            cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
            state = y[step, k] = _sigmoid(o) * np.tanh(cell)
        last[k] = cell
    return y, last


def _gru(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = 0.0,
    bias_hh: Any = 0.0,
    reverse: bool = False,
) -> Any:
    y = np.empty((*x.shape[:2], h.shape[1]))
    for k in range(x.shape[1]):
        state = h[k]
        for step in range(len(x))[:: -1 if reverse else 1]:
            x_r, x_z, x_n = np.split(weight_ih @ x[step, k] + bias_ih, 3)
            h_r, h_z, h_n = np.split(weight_hh @ state + bias_hh, 3)
            z = _sigmoid(x_z + h_z)
            state = y[step, k] = (1 - z) * np.tanh(x_n + _sigmoid(x_r + h_r) * h_n) + z * state
    return y


_sequence: dict[str, Any] = {"x": reals(-1, 1, "l n k"), "h": reals(-1, 1, "n 2"), "reverse": st.booleans()}
_sizes: Any = {"l": (1, 3), "n": (1, 2), "k": (1, 2)}
_lstm_weights: dict[str, Any] = {
    "c": reals(-1, 1, "n 2"),
    "weight_ih": reals(-1, 1, "8 k"),
    "weight_hh": reals(-1, 1, "8 2"),
}
_gru_weights: dict[str, Any] = {"weight_ih": reals(-1, 1, "6 k"), "weight_hh": reals(-1, 1, "6 2")}

CASES = [
    case(ops.lstm_layer, _lstm, **_sequence, **_lstm_weights, bias=reals(-1, 1, "8"), _sizes=_sizes),
    case(ops.lstm_layer, _lstm, **_sequence, **_lstm_weights, _sizes=_sizes, _name="lstm_layer without a bias"),
    case(
        ops.lstm_layer_back,
        **_sequence,
        **_lstm_weights,
        g=reals(-1, 1, "l n 2"),
        g_c=reals(-1, 1, "n 2"),
        y=reals(-1, 1, "l n 2"),
        gates=reals(0.1, 0.9, "l 8 n"),
        cells=reals(-1, 1, "l 2 n"),
        _sizes=_sizes,
    ),
    case(
        ops.gru_layer,
        _gru,
        **_sequence,
        **_gru_weights,
        bias_ih=reals(-1, 1, "6"),
        bias_hh=reals(-1, 1, "6"),
        _sizes=_sizes,
    ),
    case(ops.gru_layer, _gru, **_sequence, **_gru_weights, _sizes=_sizes, _name="gru_layer without biases"),
    case(
        ops.gru_layer_back,
        **_sequence,
        **_gru_weights,
        g=reals(-1, 1, "l n 2"),
        y=reals(-1, 1, "l n 2"),
        gates=reals(0.1, 0.9, "l 8 n"),
        _sizes=_sizes,
    ),
]
