"""What models of language share: refusing tokens that they cannot read."""

from __future__ import annotations

from typing import Any

from tensorgrad import ops
from tensorgrad.backend import raises_later
from tensorgrad.backend.cuda import index_flag
from tensorgrad.ops.indexing import array_of


def check_tokens(what: str, tokens: Any, count: int) -> None:
    """Refuse what is no batch of sequences of tokens.   (n, l) int

    what: the model's name, for the message. count: how many tokens the model knows, numbered from 0. Raises TypeError
    for tokens that are no integers, ValueError for another shape, for no tokens at all, and for a token out of range;
    on a GPU that is an IndexError, when the host next waits.

    >>> import tensorgrad as tg
    >>> check_tokens("GPT", tg.asarray([[0, 27]]), 27)
    Traceback (most recent call last):
    ...
    ValueError: GPT: there is a token 27; the model knows tokens 0 to 26
    """
    if tokens.dtype.kind not in "iu":
        raise TypeError(f"{what}: the tokens are {tokens.dtype}; expected integers, the numbers of tokens")
    shape = tuple(tokens.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"{what}: the tokens have the shape {shape}; expected (n, l), sequences of at least one token each"
        )
    raw = array_of(tokens)
    if raises_later(raw):  # a GPU tells it when it is waited for
        index_flag.note(raw, count, lowest=0)
        return
    least, most = int(ops.min(tokens)), int(ops.max(tokens))
    if least < 0 or most >= count:
        worst = least if least < 0 else most
        raise ValueError(f"{what}: there is a token {worst}; the model knows tokens 0 to {count - 1}")
