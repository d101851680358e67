"""One step of a recurrent network: the formulas, and the cells that hold their weights."""

from __future__ import annotations

from math import sqrt
from typing import Any

from tensorgrad import ops
from tensorgrad.creation import zeros
from tensorgrad.nn import init
from tensorgrad.nn.making import empty_parameter, positive
from tensorgrad.nn.module import Module

NONLINEARITIES = {"tanh": ops.tanh, "relu": ops.relu}


def _parts(z: Any, count: int) -> Any:
    """Blocks of the last axis.   (n, count h) -> count of (n, h)"""
    return ops.unstack(ops.reshape(z, (*z.shape[:-1], count, z.shape[-1] // count)), axis=-2)


def rnn_step(x: Any, h: Any, recur: Any, nonlinearity: str) -> Any:
    """h' = tanh(x + W_hh h + b_hh), x being W_ih x_t + b_ih.   (n, h), (n, h) -> (n, h)

    recur: gives W_hh h + b_hh. nonlinearity: "tanh" or "relu". Elman, "Finding structure in time", 1990.
    """
    return NONLINEARITIES[nonlinearity](x + recur(h))


def gru_step(x: Any, h: Any, recur: Any) -> Any:
    """h' = (1 - z) n + z h, n = tanh(x_n + r (W_hn h + b_hn)).   (n, 3 h), (n, h) -> (n, h)

    r, z = sigmoid(x + W_hh h + b_hh). x: W_ih x_t + b_ih in the order r, z, n; recur: gives W_hh h + b_hh in that
    order. Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, eqs. 5 to 8; r stands outside
    the product, as in cuDNN.
    """
    x_r, x_z, x_n = _parts(x, 3)
    h_r, h_z, h_n = _parts(recur(h), 3)
    r, z = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
    n = ops.tanh(x_n + r * h_n)
    return n + z * (h - n)


def lstm_step(x: Any, state: tuple[Any, Any], recur: Any) -> tuple[Any, Any]:
    """c' = f c + i g, h' = o tanh(c').   (n, 4 h), ((n, h), (n, h)) -> ((n, h), (n, h))

    i, f, o = sigmoid and g = tanh of x + W_hh h + b_hh; x: W_ih x_t + b_ih in the order i, f, g, o; recur: gives
    W_hh h + b_hh in that order. Hochreiter & Schmidhuber, "Long short-term memory", 1997; the forget gate as in Gers,
    Schmidhuber & Cummins, "Learning to forget", 2000.
    """
    h, c = state
    i, f, g, o = _parts(x + recur(h), 4)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


class _Cell(Module):
    """Weights of one step, and how they are applied."""

    gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        what = type(self).__name__
        self.input_size = positive(what, "input_size", input_size)
        self.hidden_size = positive(what, "hidden_size", hidden_size)
        rows = self.gates * hidden_size
        self.weight_ih = empty_parameter((rows, input_size), device, dtype)
        self.weight_hh = empty_parameter((rows, hidden_size), device, dtype)
        self.bias_ih = empty_parameter((rows,), device, dtype) if bias else None
        self.bias_hh = empty_parameter((rows,), device, dtype) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw all weights anew from U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1 / sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator)

    def _check_input(self, x: Any) -> None:
        if len(x.shape) not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: expected x (n, {self.input_size}) or ({self.input_size},), got the shape "
                f"{tuple(x.shape)}"
            )

    def _started(self, x: Any, h: Any, name: str) -> Any:
        """The state given, or zeros."""
        shape = (*x.shape[:-1], self.hidden_size)
        if h is None:
            return zeros(shape, dtype=x.dtype, device=x.device)
        if tuple(h.shape) != shape:
            raise ValueError(f"{type(self).__name__}: expected {name} of shape {shape}, got {tuple(h.shape)}")
        return h

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias_ih is not None else ", bias=False")


def _as_batch(x: Any) -> Any:
    """(n, k) or (k,) -> (n, k)"""
    return x if len(x.shape) == 2 else ops.expand_dims(x, axis=0)


def _as_sequence(x: Any) -> Any:
    """(n, k) or (k,) -> (1, n, k)"""
    return ops.reshape(x, (1, *_as_batch(x).shape))


def _one_step(y: Any, like: Any) -> Any:
    """(1, n, h) -> (n, h) or (h,)"""
    return ops.reshape(y, tuple(like.shape))


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh).   (n, input_size), (n, hidden_size) -> (n, hidden_size)

    Call it with x and the state, zeros if None. weight_ih: (hidden_size, input_size), weight_hh: (hidden_size,
    hidden_size), bias_ih and bias_hh: (hidden_size,), all from U(-k, k), k = 1 / sqrt(hidden_size).
    nonlinearity: "tanh" or "relu". An x without the batch axis has a result without one. Elman, "Finding structure in
    time", 1990.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        self.nonlinearity = check_nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype, generator=generator)

    def forward(self, x: Any, hx: Any = None) -> Any:
        """The next state.   (n, input_size), (n, hidden_size) -> (n, hidden_size)"""
        self._check_input(x)
        projected = ops.linear(x, self.weight_ih, self.bias_ih)
        h = self._started(x, hx, "hx")
        return rnn_step(projected, h, lambda h: ops.linear(h, self.weight_hh, self.bias_hh), self.nonlinearity)

    def extra_repr(self) -> str:
        """The arguments."""
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


def check_nonlinearity(what: str, nonlinearity: str) -> str:
    """The word itself. Raises ValueError for one that names no nonlinearity here."""
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(f"{what}: nonlinearity is {nonlinearity!r}; expected 'tanh' or 'relu'")
    return nonlinearity


class GRUCell(_Cell):
    """One step of a gated recurrent unit.   (n, input_size), (n, hidden_size) -> (n, hidden_size)

    Call it with x and the state, zeros if None. Weights as for `RNNCell`, three blocks of rows: r, z, n.
    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
    """

    gates = 3

    def forward(self, x: Any, hx: Any = None) -> Any:
        """The next state.   (n, input_size), (n, hidden_size) -> (n, hidden_size)"""
        self._check_input(x)
        h = self._started(x, hx, "hx")
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        return _one_step(ops.gru_layer(_as_sequence(x), _as_batch(h), *weights), h)


class LSTMCell(_Cell):
    """One step of a long short-term memory.   (n, input_size), ((n, h), (n, h)) -> ((n, h), (n, h))

    Call it with x and the pair (h, c), zeros if None. Weights as for `RNNCell`, four blocks of rows: i, f, g, o.
    Hochreiter & Schmidhuber, "Long short-term memory", 1997.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> h, c = nn.LSTMCell(3, 4)(tg.ones((5, 3)))
    >>> h.shape, c.shape
    ((5, 4), (5, 4))
    """

    gates = 4

    def forward(self, x: Any, hx: Any = None) -> tuple[Any, Any]:
        """The next h and c.   (n, input_size), ((n, h), (n, h)) -> ((n, h), (n, h))"""
        h, c = (None, None) if hx is None else hx
        self._check_input(x)
        h, c = self._started(x, h, "h"), self._started(x, c, "c")
        bias = None if self.bias_ih is None else self.bias_ih + self.bias_hh
        y, last = ops.lstm_layer(_as_sequence(x), _as_batch(h), _as_batch(c), self.weight_ih, self.weight_hh, bias)
        return _one_step(y, h), ops.reshape(last, tuple(c.shape))


__all__ = ["GRUCell", "LSTMCell", "RNNCell", "check_nonlinearity", "gru_step", "lstm_step", "rnn_step"]
