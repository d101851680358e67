"""Sampling from language models: one token by its logits, and one after another."""

from __future__ import annotations

from typing import Any

from tensorgrad import ops
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor


def next_tokens(
    logits: Any, u: Any, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """A token for each row of logits, as the numbers u say.   (n, v), (n,) -> (n,) int

    p = softmax(logits / temperature); of the tokens in the order of p, the most likely first, those are left that are
    among the top_k and whose predecessors together have less than top_p; what is left is scaled to sum to 1, and the
    token is the one within whose share of [0, 1) u lies. Temperature 0 takes the most likely token, whatever u is.
    u: uniform in [0, 1). Fan, Lewis & Dauphin, "Hierarchical neural story generation", 2018, for top_k; Holtzman et
    al., "The curious case of neural text degeneration", 2020, eq. 2, for top_p.
    Raises ValueError for a temperature below 0, a top_k below 1, a top_p outside (0, 1], and shapes that do not fit.

    >>> import tensorgrad as tg
    >>> logits = tg.log(tg.asarray([[0.1, 0.6, 0.3]]))
    >>> [next_tokens(logits, tg.asarray([u])).tolist() for u in (0.0, 0.59, 0.61, 0.91)]
    [[1], [1], [2], [0]]
    >>> next_tokens(logits, tg.asarray([0.99]), top_p=0.8).tolist()
    [2]
    """
    if len(logits.shape) != 2 or tuple(u.shape) != tuple(logits.shape[:1]):
        raise ValueError(
            f"next_tokens: expected logits (n, v) and u (n,), got {tuple(logits.shape)} and {tuple(u.shape)}"
        )
    check_choice("next_tokens", temperature, top_k, top_p)
    if temperature == 0:
        most_likely: Tensor = ops.argmax(logits, axis=-1)
        return most_likely
    order = ops.argsort(logits, axis=-1, descending=True)
    p = ops.softmax(ops.take_along_axis(logits, order, axis=-1) / temperature, axis=-1)
    kept = p > 0
    if top_p is not None:
        kept = kept & (ops.cumulative_sum(p, axis=-1) - p < top_p)
    if top_k is not None:
        kept = kept & ops.less(ops.arange(p.shape[-1], device=p.device), top_k)
    shares = ops.cumulative_sum(ops.where(kept, p, 0.0), axis=-1)
    below = ops.count_nonzero(shares <= ops.expand_dims(u, axis=1) * shares[:, -1:], axis=-1, keepdims=True)
    # Rounded up, u times the whole may be the whole: the last that is left is then meant, not the one after it.
    place = ops.minimum(below, ops.count_nonzero(kept, axis=-1, keepdims=True) - 1)
    token: Tensor = ops.take_along_axis(order, place, axis=-1)[:, 0]
    return token


def check_choice(what: str, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise ValueError, naming the argument, for a way to choose that is none."""
    if not temperature >= 0:
        raise ValueError(f"{what}: temperature is {temperature}; expected 0, for the most likely token, or above")
    if top_k is not None and top_k < 1:
        raise ValueError(f"{what}: top_k is {top_k}; expected at least 1, or None for all tokens")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"{what}: top_p is {top_p}; expected a probability above 0, or None for all tokens")


def generate(
    model: Any,
    tokens: Any,
    u: Any,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Tokens that follow on those given, one by one.   (n, l) int, (n, count) -> (n, count) int

    model: a `GPT`, or anything with its `go_on`, `positions` and modes; it is in its eval mode meanwhile, and nothing
    is recorded. u: uniform in [0, 1), a column for every token. Keys and values are remembered; when the positions are
    used up, the model reads the last half of so many tokens anew and goes on from there.
    Raises ValueError as `next_tokens` and the model do.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.gpt import GPT
    >>> rng = tg.random.Generator(0)
    >>> model = GPT(tokens=5, positions=8, width=4, layers=1, heads=2, rng=rng)
    >>> generate(model, tg.asarray([[0, 1]]), rng.random((1, 20)), top_k=3).shape
    (1, 20)
    """
    check_choice("generate", temperature, top_k, top_p)
    training = model.training
    model.eval()
    try:
        with no_grad():
            text = unread = tokens[:, -model.positions :]
            memory: Any = ()
            read = 0
            for place in range(u.shape[1]):
                if read == model.positions:
                    memory, read, unread = (), 0, text[:, -max(1, model.positions // 2) :]
                read += unread.shape[1]
                logits, memory = model.go_on(unread, memory)
                unread = ops.expand_dims(next_tokens(logits[:, -1], u[:, place], temperature, top_k, top_p), axis=1)
                text = ops.concat([text, unread], axis=1)
    finally:
        model.train(training)
    made: Tensor = text[:, text.shape[1] - u.shape[1] :]
    return made
