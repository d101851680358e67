"""The neural language model of 2003: the tokens before, as points in a space that is learnt, say what comes next."""

from __future__ import annotations

from typing import Any

from tensorgrad import nn, ops
from tensorgrad.models.tokens import check_tokens
from tensorgrad.nn.making import positive
from tensorgrad.tensor import Tensor


class NeuralLanguageModel(nn.Module):
    """How much each token speaks for coming after the tokens before.   (n, k) int -> (n, tokens)

    x = (C(w_{t-k}), ..., C(w_{t-1})),   y = b + W x + U tanh(d + H x),   P(w_t = i | context) = softmax(y)_i

    with w_{t-k} .. w_{t-1} the context and y the logits that a call gives: eq. 1 of the paper, which counts a context
    of n - 1. tokens: how many there are, |V|. context: k. features: m, the length of C(w), a row of the table C
    (tokens, m). hidden: how many rows H has, (hidden, k m); U is (tokens, hidden). direct: whether there is W,
    (tokens, k m), the way around the hidden units; the paper has it or leaves it out. dropout: the probability that a
    hidden unit is put to 0 in training. rng: draws weights and dropout, and says on which device.

    Bengio, Ducharme, Vincent & Jauvin, "A neural probabilistic language model", 2003, section 2. The model has
    |V| (1 + n m + h) + h (1 + (n - 1) m) parameters, n = k + 1, as the paper counts them. Raises ValueError for sizes
    below 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.neural_language_model import NeuralLanguageModel
    >>> from tensorgrad.random import Generator
    >>> model = NeuralLanguageModel(tokens=27, context=3, features=10, hidden=50, rng=Generator(0))
    >>> model(tg.asarray([[0, 0, 13], [0, 13, 1]])).shape, sum(theta.size for theta in model.parameters())
    ((2, 27), 4007)
    """

    def __init__(
        self,
        tokens: int,
        context: int,
        features: int,
        hidden: int,
        rng: Any,
        direct: bool = True,
        dropout: float = 0.0,
        dtype: Any = None,
    ) -> None:
        what = type(self).__name__
        self.tokens, self.context = positive(what, "tokens", tokens), positive(what, "context", context)
        where: dict[str, Any] = {"device": rng.device, "dtype": dtype, "generator": rng}
        self.features = nn.Embedding(tokens, positive(what, "features", features), **where)  # C
        self.hidden = nn.Linear(context * features, positive(what, "hidden", hidden), **where)  # H and d
        self.dropout = nn.Dropout(dropout, generator=rng)
        self.output = nn.Linear(hidden, tokens, **where)  # U and b
        self.direct = nn.Linear(context * features, tokens, bias=False, **where) if direct else None  # W

    def forward(self, tokens: Any) -> Tensor:
        """The logits of the next token.   (n, k) int -> (n, tokens)

        Raises TypeError for tokens that are no integers, ValueError for a context of another length and for a token
        out of range.
        """
        check_tokens(type(self).__name__, tokens, self.tokens)
        if tokens.shape[1] != self.context:
            raise ValueError(
                f"{type(self).__name__}: a context of {tokens.shape[1]} tokens, and the model reads {self.context}; "
                f"give the last {self.context}, with the boundary token in front where there are fewer"
            )
        x = ops.reshape(self.features(tokens), (tokens.shape[0], -1))  # (n, k m)
        y: Tensor = self.output(self.dropout(ops.tanh(self.hidden(x))))
        return y if self.direct is None else y + self.direct(x)
