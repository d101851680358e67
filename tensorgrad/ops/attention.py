"""Attention: each query's mixture of values, weighted by how well their keys fit it."""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

from tensorgrad.backend import Array
from tensorgrad.ops.analytic import exp
from tensorgrad.ops.arrays import arange, device_of, zeros
from tensorgrad.ops.dropout import Chance, check_probability, kept_by_chance
from tensorgrad.ops.elementwise import where
from tensorgrad.ops.linalg import matmul
from tensorgrad.ops.reduction import finite_peak, sum
from tensorgrad.ops.shape import broadcast_shapes, expand_dims, matrix_transpose
from tensorgrad.primitive import op


@op(saves=("lse",), lift="floating")
def attention(
    xp: Any,
    query: Array,
    key: Array,
    value: Array,
    bias: Array = None,
    keep: Array = None,
    scale: float = 1.0,
) -> Any:
    """keep softmax(scale query key^T + bias) value.   (..., l, e), (..., s, e), (..., s, v) -> (..., l, v)

    bias and keep, which may be None, broadcast to (..., l, s). A row whose bias is minus infinity everywhere is 0.
    What is saved, the logarithm of each row's sum of exponentials, is small: the rule computes the softmax again.
    """
    scores = xp.matmul(query, xp.matrix_transpose(key)) * scale
    if bias is not None:
        scores = scores + bias
    peak = finite_peak(xp, scores, -1)
    p = xp.exp(scores - peak)
    total = xp.sum(p, axis=-1, keepdims=True)
    total = total + xp.astype(total == 0.0, total.dtype)  # a row that sees nothing
    p = p / total
    return xp.matmul(p if keep is None else p * keep, value), peak + xp.log(total)


def _attention_joint(
    g: Array,
    query: Array,
    key: Array,
    value: Array,
    bias: Array,
    keep: Array,
    scale: float,
    out: Array,
    lse: Array,
    needed: tuple[bool, ...],
) -> Any:
    """Dao et al., "FlashAttention", 2022, appendix B.2: with P = softmax, dS = P (dP - rowsum(g out))."""
    scores = matmul(query, matrix_transpose(key)) * scale
    p = exp((scores if bias is None else scores + bias) - lse)
    d_p = matmul(g, matrix_transpose(value))
    d_value = matmul(matrix_transpose(p if keep is None else p * keep), g)
    d_keep = p * d_p if needed[4] else None
    if not (needed[0] or needed[1] or needed[3]):
        return None, None, d_value, None, d_keep
    if keep is not None:
        d_p = d_p * keep
    d_bias = p * (d_p - sum(g * out, axis=-1, keepdims=True))
    d_scores = d_bias * scale
    return matmul(d_scores, key), matmul(matrix_transpose(d_scores), query), d_value, d_bias, d_keep


attention.vjp(joint=_attention_joint)


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: Chance | None = None,
) -> Any:
    """softmax(query key^T / sqrt(e)) value.   (..., l, e), (..., s, e), (..., s, v) -> (..., l, v)

    attn_mask: broadcasts to (..., l, s); boolean, True where a query may look, or floating, added to the scores. A
    query that may look nowhere gives zeros, and gradients of zero. is_causal: query i looks at keys 0 to i alone,
    besides the mask. scale: stands for 1 / sqrt(e). dropout_p: the probability that a weight is left out, drawn from
    `generator` (see `dropout`). Axes in front broadcast. Vaswani et al., "Attention is all you need", 2017, equation 1.
    Raises ValueError for shapes that do not fit each other and for a missing generator, TypeError for integer masks.

    >>> import tensorgrad as tg
    >>> x = tg.eye(2)
    >>> tg.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.0)
    Tensor([[1. , 0. ],
            [0.5, 0.5]], dtype=float32)
    """
    what = "scaled_dot_product_attention"
    shapes = [tuple(each.shape) for each in (query, key, value)]
    fits = min(len(each) for each in shapes) > 1 and shapes[0][-1] == shapes[1][-1] and shapes[1][-2] == shapes[2][-2]
    if not fits:
        raise ValueError(
            f"{what}: expected query (..., l, e), key (..., s, e) and value (..., s, v), got the shapes "
            f"{', '.join(map(str, shapes))}"
        )
    check_probability(dropout_p, what, "dropout_p")
    queries, keys, width = shapes[0][-2], shapes[1][-2], shapes[0][-1]
    bias = _mask_bias(attn_mask, (queries, keys), query, what)
    if is_causal:
        key_place = expand_dims(arange(keys, device=device_of(query)), axis=0)
        query_place = expand_dims(arange(queries, device=device_of(query)), axis=1)
        seen = key_place <= query_place
        bias = _closed(seen, query) if bias is None else where(seen, bias, -inf)
    keep = None
    if dropout_p:
        weights = (*broadcast_shapes(*[each[:-2] for each in shapes]), queries, keys)
        keep = kept_by_chance(weights, dropout_p, generator, query, what)
    return attention(query, key, value, bias, keep, 1 / sqrt(width) if scale is None else scale)


def _closed(may_look: Any, like: Any) -> Any:
    """0 where a query may look, minus infinity elsewhere."""
    return where(may_look, zeros((), dtype=like.dtype, device=device_of(like)), -inf)


def _mask_bias(mask: Any, places: tuple[int, int], query: Any, what: str) -> Any:
    """What a mask adds to the scores. Raises ValueError for one that does not broadcast, TypeError for integers."""
    if mask is None:
        return None
    last = tuple(mask.shape)[-2:]
    if any(size not in (1, whole) for size, whole in zip(last[::-1], places[::-1], strict=False)):
        raise ValueError(
            f"{what}: attn_mask has the shape {tuple(mask.shape)}; it must broadcast to (..., {places[0]}, {places[1]})"
        )
    if mask.dtype.kind in "iu":
        raise TypeError(f"{what}: attn_mask holds {mask.dtype}; expected booleans, or numbers to add to the scores")
    return _closed(mask, query) if mask.dtype.kind == "b" else mask
