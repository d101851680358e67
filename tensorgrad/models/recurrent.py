"""Recurrent networks with an answer: after every token, as a language model, or after the last step, as a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorgrad import nn
from tensorgrad.models.tokens import check_tokens
from tensorgrad.nn.making import positive
from tensorgrad.tensor import Tensor

KINDS: dict[str, Callable[..., nn.Module]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def layer_of(what: str, kind: str, inputs: int, hidden: int, layers: int, dropout: float, where: Any) -> nn.Module:
    """A recurrent layer by the name of its kind.   (n, l, inputs) -> (n, l, hidden), states

    what: the model's name, for messages. where: device, dtype and generator. Raises ValueError for another kind and for
    sizes below 1.
    """
    if kind not in KINDS:
        raise ValueError(f"{what}: there is no kind {kind!r}; expected one of {', '.join(KINDS)}")
    for name, size in (("inputs", inputs), ("hidden", hidden), ("layers", layers)):
        positive(what, name, size)
    return KINDS[kind](inputs, hidden, layers, batch_first=True, dropout=dropout, **where)


class RecurrentLanguageModel(nn.Module):
    """For every place, how much each token speaks for coming next.   (n, l) int -> (n, l, tokens)

    h_t = f(C(w_t), h_{t-1}),   y_t = U h_t + b,   P(w_{t+1} = i | w_1 .. w_t) = softmax(y_t)_i,   h_0 = 0

    with f the step of a layer of nn.RNN, nn.GRU or nn.LSTM, by its `kind`: "rnn", "gru" or "lstm". tokens: how many
    there are. features: the length of C(w), a row of a table. hidden: the length of h. layers: so many on top of each
    other, y being made of the last. dropout: the probability that an element is put to 0 in training: of C(w), of
    what goes from layer to layer, and of the last h. rng: draws weights and dropout, and says on which device.

    Mikolov, Karafiát, Burget, Černocký & Khudanpur, "Recurrent neural network based language model", 2010; where
    elements are left out as in Zaremba, Sutskever & Vinyals, "Recurrent neural network regularization", 2014.
    Raises ValueError for another kind and for sizes below 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.recurrent import RecurrentLanguageModel
    >>> from tensorgrad.random import Generator
    >>> model = RecurrentLanguageModel(tokens=27, features=8, hidden=16, rng=Generator(0), kind="gru")
    >>> model(tg.asarray([[0, 5, 13, 13, 1]])).shape
    (1, 5, 27)
    """

    def __init__(
        self,
        tokens: int,
        features: int,
        hidden: int,
        rng: Any,
        kind: str = "gru",
        layers: int = 1,
        dropout: float = 0.0,
        dtype: Any = None,
    ) -> None:
        what = type(self).__name__
        where = {"device": rng.device, "dtype": dtype, "generator": rng}
        self.tokens = positive(what, "tokens", tokens)
        self.features = nn.Embedding(tokens, positive(what, "features", features), **where)  # C
        between = dropout if layers > 1 else 0.0
        self.recurrent = layer_of(what, kind, features, hidden, layers, between, where)
        self.output = nn.Linear(hidden, tokens, **where)  # U and b
        self.dropout = nn.Dropout(dropout, generator=rng)

    def forward(self, tokens: Any) -> Tensor:
        """The logits of the next token at every place.   (n, l) int -> (n, l, tokens)"""
        return self.go_on(tokens)[0]

    def go_on(self, tokens: Any, state: Any = None) -> tuple[Tensor, Any]:
        """The logits after tokens that follow on others, and the state behind them.   (n, l) int -> (n, l, tokens), h

        state: what the call for the tokens before gave; None before the first. Raises TypeError for tokens that are no
        integers, ValueError for no tokens and for a token out of range.
        """
        check_tokens(type(self).__name__, tokens, self.tokens)
        h, state = self.recurrent(self.dropout(self.features(tokens)), state)
        return self.output(self.dropout(h)), state


class RecurrentRegressor(nn.Module):
    """Numbers made of a sequence: what the last state says.   (n, l, inputs) -> (n, outputs)

    h_t = f(x_t, h_{t-1}),   y = W h_l + b,   h_0 = 0

    with f the step of a layer of nn.RNN, nn.GRU or nn.LSTM, by its `kind`: "rnn", "gru" or "lstm". hidden: the length
    of h. layers: so many on top of each other, y being made of the last. rng: draws the weights, and says on which
    device. Hochreiter & Schmidhuber, "Long short-term memory", 1997, section 5, reads such answers from the last step.
    Raises ValueError for another kind and for sizes below 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.recurrent import RecurrentRegressor
    >>> from tensorgrad.random import Generator
    >>> model = RecurrentRegressor(inputs=1, hidden=4, outputs=1, rng=Generator(0), kind="lstm")
    >>> model(tg.zeros((3, 7, 1))).shape, sum(theta.size for theta in model.parameters())
    ((3, 1), 117)
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        rng: Any,
        kind: str = "lstm",
        layers: int = 1,
        dtype: Any = None,
    ) -> None:
        what = type(self).__name__
        where = {"device": rng.device, "dtype": dtype, "generator": rng}
        self.inputs = inputs
        self.recurrent = layer_of(what, kind, inputs, hidden, layers, 0.0, where)
        self.output = nn.Linear(hidden, positive(what, "outputs", outputs), **where)  # W and b

    def forward(self, x: Any) -> Tensor:
        """The answer after the last step.   (n, l, inputs) -> (n, outputs)

        Raises ValueError for a sequence of no steps and for another number of inputs.
        """
        shape = tuple(x.shape)
        if len(shape) != 3 or shape[1] == 0 or shape[2] != self.inputs:
            raise ValueError(
                f"{type(self).__name__}: x has the shape {shape}; expected (n, l, {self.inputs}), sequences of at "
                f"least one step with {self.inputs} numbers each"
            )
        h, _ = self.recurrent(x)
        y: Tensor = self.output(h[:, -1])
        return y
