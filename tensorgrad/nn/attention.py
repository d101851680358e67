"""MultiheadAttention: several learnt places to look at, at once."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from typing import Any

from tensorgrad import ops
from tensorgrad.backend import is_floating
from tensorgrad.creation import zeros
from tensorgrad.nn import init
from tensorgrad.nn.linear import Linear
from tensorgrad.nn.making import empty_parameter, positive
from tensorgrad.nn.module import Module
from tensorgrad.ops.dropout import check_probability
from tensorgrad.random import default_generator


class MultiheadAttention(Module):
    """softmax(Q K^T / sqrt(e / h)) V for each of h heads, then put together.   3 of (l, n, e) -> (l, n, e), (n, l, s)

    embed_dim: e, a multiple of num_heads. dropout: the probability that a weight is left out, in training. bias: add
    biases to the projections. add_bias_kv: one learnt key and value more. add_zero_attn: one key and value of zeros
    more. kdim, vdim: the sizes of keys and values, e if None. batch_first: arrays are (n, l, e). in_proj_weight: (3 e,
    e), rows for queries, keys and values, or q_proj_weight, k_proj_weight and v_proj_weight where kdim or vdim differ;
    all from Xavier's uniform distribution. out_proj: a `Linear`. Biases start at 0. generator, device, dtype: as for
    `Linear`; dropout draws from it too.

    Masks are PyTorch's here: True where a query may not look, unlike `tensorgrad.scaled_dot_product_attention`.
    Vaswani et al., "Attention is all you need", 2017, section 3.2.2. Raises ValueError for shapes that do not fit.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> x = tg.ones((7, 2, 8))
    >>> y, weights = nn.MultiheadAttention(8, 4)(x, x, x)
    >>> y.shape, weights.shape
    ((7, 2, 8), (2, 7, 7))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        what = "MultiheadAttention"
        self.embed_dim = positive(what, "embed_dim", embed_dim)
        self.num_heads = positive(what, "num_heads", num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"{what}: embed_dim is {embed_dim}, no multiple of num_heads, {num_heads}")
        check_probability(dropout, what, "dropout")
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self.kdim = embed_dim if kdim is None else positive(what, "kdim", kdim)
        self.vdim = embed_dim if vdim is None else positive(what, "vdim", vdim)
        self.generator = generator
        e = embed_dim

        def made(*shape: int) -> Any:
            return empty_parameter(shape, device, dtype)

        together = self.kdim == self.vdim == e
        self.in_proj_weight = made(3 * e, e) if together else None
        self.q_proj_weight = None if together else made(e, e)
        self.k_proj_weight = None if together else made(e, self.kdim)
        self.v_proj_weight = None if together else made(e, self.vdim)
        self.in_proj_bias = made(3 * e) if bias else None
        self.bias_k = made(1, 1, e) if add_bias_kv else None
        self.bias_v = made(1, 1, e) if add_bias_kv else None
        self.out_proj = Linear(e, e, bias, device, dtype, generator=generator)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw the projections of queries, keys and values anew; all biases 0."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight, generator=generator)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra, generator=generator)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """What the queries find, and with which weights.   (l, n, e), (s, n, k), (s, n, v) -> (l, n, e), (n, l, s)

        key_padding_mask: (n, s), attn_mask: (l, s) or (n h, l, s): True where nobody may look, or numbers that are
        added to the scores. A query that may look nowhere finds the bias of out_proj. is_causal: query i sees keys 0 to
        i alone, besides the masks. need_weights: give the weights too, their mean over heads unless
        average_attn_weights is False, then (n, h, l, s); without, None, which is faster. A query without the batch axis
        has results without one.
        """
        single = len(query.shape) == 2
        if single:
            query, key, value = _each(lambda x: ops.expand_dims(x, axis=0), query, key, value)
            key_padding_mask = None if key_padding_mask is None else ops.expand_dims(key_padding_mask, axis=0)
        elif not self.batch_first:
            query, key, value = _each(lambda x: ops.swapaxes(x, 0, 1), query, key, value)
        self._check(query, key, value)
        q, k, v = self._projected(query, key, value)
        y, weights = self._attended(q, k, v, attn_mask, key_padding_mask, is_causal, need_weights)
        y = self.out_proj(y)
        if weights is not None and average_attn_weights:
            weights = ops.mean(weights, axis=1)
        if single:
            return ops.squeeze(y, axis=0), None if weights is None else ops.squeeze(weights, axis=0)
        return (y if self.batch_first else ops.swapaxes(y, 0, 1)), weights

    def _check(self, query: Any, key: Any, value: Any) -> None:
        shapes = [tuple(each.shape) for each in (query, key, value)]
        fits = all(len(shape) == 3 for shape in shapes)
        fits = fits and [shape[2] for shape in shapes] == [self.embed_dim, self.kdim, self.vdim]
        if not fits or shapes[1][:2] != shapes[2][:2] or shapes[0][0] != shapes[1][0]:
            raise ValueError(
                f"MultiheadAttention: expected query (n, l, {self.embed_dim}), key (n, s, {self.kdim}) and value "
                f"(n, s, {self.vdim}), {'' if self.batch_first else 'with the first two axes exchanged, '}got "
                f"{', '.join(map(str, shapes))} after that"
            )

    def _projected(self, query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
        """Queries, keys and values.   3 of (n, l, e) -> 3 of (n, l, e)"""
        e, bias = self.embed_dim, self.in_proj_bias
        if self.in_proj_weight is not None and query is key and key is value:
            qkv = ops.linear(query, self.in_proj_weight, bias)  # one product for all three
            q, k, v = ops.unstack(ops.reshape(qkv, (*qkv.shape[:-1], 3, e)), axis=-2)
            return q, k, v
        weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = ops.unstack(ops.reshape(self.in_proj_weight, (3, e, e)), axis=0)
        biases = (None,) * 3 if bias is None else ops.unstack(ops.reshape(bias, (3, e)), axis=0)
        q, k, v = (ops.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
        return q, k, v

    def _attended(
        self, q: Any, k: Any, v: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool, need_weights: bool
    ) -> tuple[Any, Any]:
        """(n, l, e), 2 of (n, s, e) -> (n, l, e), (n, h, l, s) or None"""
        n, given = k.shape[:2]
        if self.bias_k is not None and self.bias_v is not None:
            k = ops.concat([k, ops.broadcast_to(self.bias_k, (n, 1, self.embed_dim))], axis=1)
            v = ops.concat([v, ops.broadcast_to(self.bias_v, (n, 1, self.embed_dim))], axis=1)
        if self.add_zero_attn:
            none = zeros((n, 1, self.embed_dim), dtype=k.dtype, device=k.device)
            k, v = ops.concat([k, none], axis=1), ops.concat([v, none], axis=1)
        more = k.shape[1] - given
        hidden = is_causal and not more and not need_weights  # the op itself leaves out what comes later
        bias = self._scores_bias(q, given, more, attn_mask, key_padding_mask, is_causal and not hidden)
        q, k, v = self._heads(q), self._heads(k), self._heads(v)
        p = self.dropout if self.training else 0.0
        chance = default_generator() if self.generator is None else self.generator
        weights = None
        if need_weights:
            weights = _weights(q @ k.mT / sqrt(q.shape[-1]), bias)
            weights = ops.dropout(weights, p, self.training, chance)
            y = weights @ v
        else:
            y = ops.scaled_dot_product_attention(q, k, v, bias, p, hidden, generator=chance)
        y = ops.swapaxes(y, 1, 2)
        return ops.reshape(y, (*y.shape[:2], self.embed_dim)), weights

    def _heads(self, x: Any) -> Any:
        """(n, l, e) -> (n, h, l, e / h)"""
        n, length, e = x.shape
        return ops.swapaxes(ops.reshape(x, (n, length, self.num_heads, e // self.num_heads)), 1, 2)

    def _scores_bias(self, q: Any, keys: int, more: int, attn_mask: Any, key_padding_mask: Any, is_causal: bool) -> Any:
        """What the masks add to the scores, nothing for added keys.   -> (n or 1, h or 1, l, s) or None"""
        n, queries = q.shape[:2]
        parts = []
        if attn_mask is not None:
            shape = tuple(attn_mask.shape)
            if shape not in ((queries, keys), (n * self.num_heads, queries, keys)):
                raise ValueError(
                    f"MultiheadAttention: attn_mask has the shape {shape}; expected {(queries, keys)} or "
                    f"{(n * self.num_heads, queries, keys)}"
                )
            heads = (1, 1) if len(shape) == 2 else (n, self.num_heads)
            parts.append(ops.reshape(_added(attn_mask, q, "attn_mask"), (*heads, queries, keys)))
        if key_padding_mask is not None:
            shape = tuple(key_padding_mask.shape)
            if shape != (n, keys):
                raise ValueError(f"MultiheadAttention: key_padding_mask has the shape {shape}; expected {(n, keys)}")
            parts.append(ops.reshape(_added(key_padding_mask, q, "key_padding_mask"), (n, 1, 1, keys)))
        if is_causal:
            parts.append(ops.reshape(causal_bias(queries, keys, q), (1, 1, queries, keys)))
        total: Any = None
        for part in parts:
            total = part if total is None else total + part
        if total is not None and more:
            total = ops.pad(total, ((0, 0), (0, 0), (0, 0), (0, more)))
        return total

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.embed_dim}, {self.num_heads}" + (f", dropout={self.dropout}" if self.dropout else "")


def _each(change: Callable[[Any], Any], query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    """All three changed; what is one object stays one."""
    q = change(query)
    k = q if key is query else change(key)
    return q, k, k if value is key else change(value)


def causal_bias(queries: int, keys: int, like: Any) -> Any:
    """Minus infinity where a key comes after the query, else 0.   -> (l, s)"""
    query_place = ops.expand_dims(ops.arange(queries, device=like.device), axis=1)
    later = ops.greater(ops.arange(keys, device=like.device), query_place)
    return ops.where(later, -inf, zeros((), dtype=like.dtype, device=like.device))


def _added(mask: Any, like: Any, name: str) -> Any:
    """A mask as what it adds to the scores."""
    if mask.dtype.kind == "b":
        return ops.where(mask, -inf, zeros((), dtype=like.dtype, device=like.device))
    if not is_floating(mask.dtype):
        raise TypeError(
            f"MultiheadAttention: {name} holds {mask.dtype}; expected booleans, or numbers to add to scores"
        )
    return mask


def _weights(scores: Any, bias: Any) -> Any:
    """softmax of the scores; zeros where all are minus infinity."""
    if bias is None:
        return ops.softmax(scores, axis=-1)
    scores = scores + bias
    nowhere = ops.max(scores, axis=-1, keepdims=True) == -inf
    return ops.where(nowhere, 0.0, ops.softmax(ops.where(nowhere, 0.0, scores), axis=-1))


__all__ = ["MultiheadAttention", "causal_bias"]
