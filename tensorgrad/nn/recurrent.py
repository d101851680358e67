"""Recurrent layers over whole sequences: RNN, GRU and LSTM, stacked, in both directions, for any lengths."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any
from warnings import warn

from tensorgrad import ops
from tensorgrad.creation import zeros
from tensorgrad.nn import init
from tensorgrad.nn.making import empty_parameter, positive
from tensorgrad.nn.module import Module
from tensorgrad.nn.recurrent_cell import check_nonlinearity, gru_step, lstm_step, rnn_step
from tensorgrad.nn.utils.rnn import PackedSequence, lengths_of, pack_padded_sequence, pad_packed_sequence, present_at
from tensorgrad.ops.dropout import check_probability
from tensorgrad.random import default_generator
from tensorgrad.tensor import Tensor

# What a step is given: the projected input and the states, each (n, size), and what gives W_hh h + b_hh.
Step = Callable[[Any, tuple[Any, ...], Callable[[Any], Any]], tuple[Any, ...]]


class _Recurrent(Module):
    """Weights by layer and direction, and the walk over the steps."""

    gates: int
    states = 1  # how many states a step carries on

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        what = type(self).__name__
        self.input_size = positive(what, "input_size", input_size)
        self.hidden_size = positive(what, "hidden_size", hidden_size)
        self.num_layers = positive(what, "num_layers", num_layers)
        check_probability(dropout, what, "dropout")
        if dropout and num_layers == 1:
            warn(f"{what}: dropout={dropout} acts between layers, and there is one: it does nothing", stacklevel=3)
        if proj_size and self.states == 1:
            raise ValueError(f"{what}: proj_size is {proj_size}; only LSTM has projections")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{what}: proj_size is {proj_size}; expected 0, or less than hidden_size, {hidden_size}")
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size, self.generator = bidirectional, proj_size, generator
        self._out = proj_size or hidden_size  # the size of h
        rows, ways = self.gates * hidden_size, 2 if bidirectional else 1
        for layer, suffix in self._places():
            size = input_size if layer == 0 else self._out * ways
            self._set("weight_ih", suffix, (rows, size), device, dtype)
            self._set("weight_hh", suffix, (rows, self._out), device, dtype)
            if bias:
                self._set("bias_ih", suffix, (rows,), device, dtype)
                self._set("bias_hh", suffix, (rows,), device, dtype)
            if proj_size:
                self._set("weight_hr", suffix, (proj_size, hidden_size), device, dtype)
        self.reset_parameters(generator)

    def _places(self) -> list[tuple[int, str]]:
        """Layers and directions in the order of their weights: (0, "_l0"), (0, "_l0_reverse"), (1, "_l1"), ..."""
        ways = ("", "_reverse") if self.bidirectional else ("",)
        return [(layer, f"_l{layer}{way}") for layer in range(self.num_layers) for way in ways]

    def _set(self, name: str, suffix: str, shape: tuple[int, ...], device: str | None, dtype: Any) -> None:
        setattr(self, name + suffix, empty_parameter(shape, device, dtype))

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw all weights anew from U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1 / sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator)

    def _step(self, x: Any, state: tuple[Any, ...], recur: Callable[[Any], Any]) -> tuple[Any, ...]:
        raise NotImplementedError

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        """The output of the last layer at every step, and the last states.

        x: (l, n, input_size), with batch_first (n, l, input_size), without a batch (l, input_size), or a
        PackedSequence, whose output is packed too. hx: the first states, (layers ways, n, size), zeros if None; for
        LSTM a pair of them. lengths: how many steps of each sequence count, n integers; the output is zero behind them,
        and the last states are those at them.
        """
        if isinstance(x, PackedSequence):
            return self._run_packed(x, hx)
        what, width = type(self).__name__, self.input_size
        if len(x.shape) not in (2, 3) or x.shape[-1] != width:
            shape = f"(n, l, {width})" if self.batch_first else f"(l, n, {width})"
            raise ValueError(f"{what}: expected x {shape} or (l, {width}), got the shape {tuple(x.shape)}")
        single = len(x.shape) == 2
        if single:
            x = ops.expand_dims(x, axis=1)
            hx = _each(hx, lambda state: ops.expand_dims(state, axis=1))
        elif self.batch_first:
            x = ops.swapaxes(x, 0, 1)
        y, last = self._run(x, hx, lengths)
        if single:
            return ops.squeeze(y, axis=1), _each(last, lambda state: ops.squeeze(state, axis=1))
        return (ops.swapaxes(y, 0, 1) if self.batch_first else y), last

    def _run_packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        x, lengths = pad_packed_sequence(packed)
        y, last = self._run(x, hx, lengths)
        again = pack_padded_sequence(y, lengths, enforce_sorted=packed.sorted_indices is None)
        return again, last

    def _run(self, x: Any, hx: Any, lengths: Any) -> tuple[Any, Any]:
        """Over time-first padded input.   (l, n, input_size), states -> (l, n, ways size), states"""
        steps, batch = x.shape[:2]
        first = self._first(x, hx, batch)
        masks = None if lengths is None else self._masks(lengths, batch, steps, x.device)
        last: list[tuple[Any, ...]] = []
        outputs: list[Any] = []
        for place, (layer, suffix) in enumerate(self._places()):
            if layer and not suffix.endswith("_reverse"):
                x = outputs[0] if len(outputs) == 1 else ops.concat(outputs, axis=-1)
                x = self._dropped(x)
            if not suffix.endswith("_reverse"):
                outputs = []
            state = tuple(each[place] for each in first)
            y, state = self._walk(x, state, suffix, masks)
            outputs.append(y)
            last.append(state)
        y = outputs[0] if len(outputs) == 1 else ops.concat(outputs, axis=-1)
        ends = tuple(ops.stack(list(each), axis=0) for each in zip(*last, strict=True))
        return y, ends[0] if self.states == 1 else ends

    def _dropped(self, x: Any) -> Any:
        source = default_generator() if self.generator is None else self.generator
        return ops.dropout(x, self.dropout, self.training, source)

    def _walk(self, x: Any, state: tuple[Any, ...], suffix: str, masks: Any) -> tuple[Any, tuple[Any, ...]]:
        """One layer in one direction.   (l, n, i), states (n, size) -> (l, n, size), states (n, size)"""
        weight_ih, weight_hh = getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")
        bias_ih, bias_hh = (getattr(self, f"bias_{way}{suffix}") if self.bias else None for way in ("ih", "hh"))
        weight_hr = getattr(self, f"weight_hr{suffix}") if self.proj_size else None
        if masks is None and weight_hr is None:
            found = self._whole(x, state, (weight_ih, weight_hh, bias_ih, bias_hh), suffix.endswith("_reverse"))
            if found is not None:
                return found
        projected = ops.unstack(ops.linear(x, weight_ih, bias_ih), axis=0)  # one product for all steps

        def recur(h: Any) -> Any:
            return ops.linear(h, weight_hh, bias_hh)

        order = list(range(len(projected)))
        outputs: list[Any] = [None] * len(order)
        for step in reversed(order) if suffix.endswith("_reverse") else order:
            new = self._step(projected[step], state, recur)
            if weight_hr is not None:
                new = (ops.linear(new[0], weight_hr, None), *new[1:])
            if masks is not None:  # behind the end of a sequence its states stay
                new = tuple(ops.where(masks[step], a, b) for a, b in zip(new, state, strict=True))
            state = new
            outputs[step] = new[0] if masks is None else ops.where(masks[step], new[0], 0.0)
        return ops.stack(outputs, axis=0), state

    def _whole(
        self, x: Any, state: tuple[Any, ...], weights: tuple[Any, ...], reverse: bool
    ) -> tuple[Any, tuple[Any, ...]] | None:
        """One layer in one direction by one op, where there is one and every sequence has all steps."""
        return None

    def _masks(self, lengths: Any, batch: int, steps: int, device: str) -> list[Any] | None:
        sizes = lengths_of(lengths, batch, steps, type(self).__name__)
        if bool(ops.all(sizes == steps)):
            return None
        present = Tensor(present_at(sizes, steps), device=device)
        return [present[step, :, None] for step in range(steps)]

    def _first(self, x: Any, hx: Any, batch: int) -> tuple[Any, ...]:
        """The first states: those given, or zeros."""
        count = len(self._places())
        shapes = [(count, batch, size) for size in (self._out, self.hidden_size)[: self.states]]
        if hx is None:
            return tuple(zeros(shape, dtype=x.dtype, device=x.device) for shape in shapes)
        given = (hx,) if self.states == 1 else tuple(hx)
        found = [tuple(each.shape) for each in given]
        if found != shapes:
            raise ValueError(
                f"{type(self).__name__}: the first states must have the shapes {shapes}: layers times directions, "
                f"batch, size; got {found}"
            )
        return given

    def extra_repr(self) -> str:
        """The arguments that are not the default ones."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        parts += [f"proj_size={self.proj_size}"] if self.proj_size else []
        parts += [f"num_layers={self.num_layers}"] if self.num_layers != 1 else []
        parts += [f"bias={self.bias}"] if not self.bias else []
        parts += [f"batch_first={self.batch_first}"] if self.batch_first else []
        parts += [f"dropout={self.dropout}"] if self.dropout else []
        parts += [f"bidirectional={self.bidirectional}"] if self.bidirectional else []
        return ", ".join(parts)


def _each(states: Any, change: Callable[[Any], Any]) -> Any:
    """The states changed: None, one, or a tuple of them."""
    if states is None:
        return None
    return tuple(map(change, states)) if isinstance(states, (tuple, list)) else change(states)


class RNN(_Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh).   (l, n, input_size) -> (l, n, ways h), (layers ways, n, h)

    num_layers: so many on top of each other. nonlinearity: "tanh" or "relu". bias=False leaves out both biases.
    batch_first: input and output are (n, l, ...). dropout: elements of what goes from layer to layer left out with this
    probability, in training. bidirectional: a second set of weights walks back, and the outputs of both stand side by
    side. Weights: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then those with "_reverse", then "_l1", ..., all
    from U(-k, k), k = 1 / sqrt(hidden_size). generator, device, dtype: as for `Linear`; dropout draws from it too.
    Call it as `rnn(x, hx=None, lengths=None)`; see `forward`. Elman, "Finding structure in time", 1990.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> y, h = nn.RNN(3, 4, num_layers=2)(tg.ones((7, 5, 3)), lengths=[7, 6, 6, 2, 1])
    >>> y.shape, h.shape
    ((7, 5, 4), (2, 5, 4))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        self.nonlinearity = check_nonlinearity("RNN", nonlinearity)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            generator=generator,
        )

    def _step(self, x: Any, state: tuple[Any, ...], recur: Callable[[Any], Any]) -> tuple[Any, ...]:
        return (rnn_step(x, state[0], recur, self.nonlinearity),)


class GRU(_Recurrent):
    """Gated recurrent units over a sequence.   (l, n, input_size) -> (l, n, ways h), (layers ways, n, h)

    Arguments and weights are those of `RNN`, without nonlinearity; the weights have three blocks of rows: r, z, n.
    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
    """

    gates = 3

    def _step(self, x: Any, state: tuple[Any, ...], recur: Callable[[Any], Any]) -> tuple[Any, ...]:
        return (gru_step(x, state[0], recur),)

    def _whole(
        self, x: Any, state: tuple[Any, ...], weights: tuple[Any, ...], reverse: bool
    ) -> tuple[Any, tuple[Any, ...]] | None:
        y = ops.gru_layer(x, *state, *weights, reverse)
        return y, (y[0 if reverse else -1],)


class LSTM(_Recurrent):
    """Long short-term memory over a sequence.   (l, n, input_size) -> (l, n, ways h), ((layers ways, n, h), same)

    Arguments and weights are those of `RNN`, without nonlinearity; the weights have four blocks of rows: i, f, g, o,
    and the states are a pair (h, c). proj_size: h is weight_hr h, of this size (Sak, Senior & Beaufays, "Long
    short-term memory recurrent neural network architectures", 2014). Hochreiter & Schmidhuber, "Long short-term
    memory", 1997.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> y, (h, c) = nn.LSTM(3, 4, bidirectional=True)(tg.ones((7, 5, 3)))
    >>> y.shape, h.shape, c.shape
    ((7, 5, 8), (2, 5, 4), (2, 5, 4))
    """

    gates = 4
    states = 2

    def _step(self, x: Any, state: tuple[Any, ...], recur: Callable[[Any], Any]) -> tuple[Any, ...]:
        return lstm_step(x, (state[0], state[1]), recur)

    def _whole(
        self, x: Any, state: tuple[Any, ...], weights: tuple[Any, ...], reverse: bool
    ) -> tuple[Any, tuple[Any, ...]] | None:
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        y, c = ops.lstm_layer(x, *state, weight_ih, weight_hh, None if bias_ih is None else bias_ih + bias_hh, reverse)
        return y, (y[0 if reverse else -1], c)


__all__ = ["GRU", "LSTM", "RNN"]
