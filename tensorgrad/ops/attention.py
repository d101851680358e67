"""Attention: each query's mixture of values, weighted by how well their keys fit it."""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

from tensorgrad.backend import Array
from tensorgrad.composed import composed
from tensorgrad.ops.arrays import device_of, zeros
from tensorgrad.ops.dropout import Chance, check_probability, kept_by_chance
from tensorgrad.ops.elementwise import where
from tensorgrad.ops.reduction import finite_peak
from tensorgrad.ops.shape import broadcast_shapes
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
    causal: bool = False,
) -> Any:
    """keep softmax(scale query key^T + bias) value.   (..., l, e), (..., s, e), (..., s, v) -> (..., l, v)

    bias and keep, which may be None, broadcast to (..., l, s). causal: query i sees keys 0 to i alone. A row that sees
    nothing, as where its bias is minus infinity, is 0. What is saved, the logarithm of each row's sum of exponentials,
    is small: the gradient computes the softmax again.
    """
    scores = _scores(xp, query, key, bias, scale, causal)
    peak = finite_peak(xp, scores, -1)
    p = xp.exp(scores - peak)
    total = xp.sum(p, axis=-1, keepdims=True)
    total = total + xp.astype(total == 0.0, total.dtype)  # a row that sees nothing
    p = p / total
    return xp.matmul(p if keep is None else p * keep, value), peak + xp.log(total)


def _scores(xp: Any, query: Any, key: Any, bias: Any, scale: float, causal: bool) -> Any:
    scores = xp.matmul(query, xp.matrix_transpose(key)) * scale
    if bias is not None:
        scores = scores + bias
    if causal:
        key_place = xp.expand_dims(xp.arange(key.shape[-2], device=key.device), axis=0)
        query_place = xp.expand_dims(xp.arange(query.shape[-2], device=key.device), axis=1)
        scores = xp.where(key_place <= query_place, scores, -inf)
    return scores


@composed
@op(results=3)
def attention_back(
    xp: Any,
    g: Array,
    query: Array,
    key: Array,
    value: Array,
    result: Array,
    lse: Array,
    bias: Array = None,
    keep: Array = None,
    scale: float = 1.0,
    causal: bool = False,
) -> Any:
    """The gradients of attention for query, key and value.   9 arrays -> (..., l, e), (..., s, e), (..., s, v)

    Dao et al., "FlashAttention", 2022, appendix B.2: with P = softmax, dS = P (dP - rowsum(g result)).
    """
    p = xp.exp(_scores(xp, query, key, bias, scale, causal) - lse)
    d_scores, _ = _scores_back(xp, p, g, value, result, keep)
    d_scores = d_scores * scale
    d_value = xp.matmul(xp.matrix_transpose(p if keep is None else p * keep), g)
    return xp.matmul(d_scores, key), xp.matmul(xp.matrix_transpose(d_scores), query), d_value


def _scores_back(xp: Any, p: Any, g: Any, value: Any, result: Any, keep: Any) -> tuple[Any, Any]:
    """The gradients of the scores, and of keep, from the weights p."""
    d_p = xp.matmul(g, xp.matrix_transpose(value))
    d_kept = d_p if keep is None else d_p * keep
    return p * (d_kept - xp.sum(g * result, axis=-1, keepdims=True)), p * d_p


@composed
@op(results=2)
def attention_mask_back(
    xp: Any,
    g: Array,
    query: Array,
    key: Array,
    value: Array,
    result: Array,
    lse: Array,
    bias: Array = None,
    keep: Array = None,
    scale: float = 1.0,
    causal: bool = False,
) -> Any:
    """The gradients of attention for bias and keep, as large as the scores.   8 arrays -> (..., l, s), (..., l, s)"""
    p = xp.exp(_scores(xp, query, key, bias, scale, causal) - lse)
    return _scores_back(xp, p, g, value, result, keep)


def _attention_joint(
    g: Array,
    query: Array,
    key: Array,
    value: Array,
    bias: Array,
    keep: Array,
    scale: float,
    causal: bool,
    out: Array,
    lse: Array,
    needed: tuple[bool, ...],
) -> Any:
    given = (g, query, key, value, out, lse, bias, keep, scale, causal)
    d_query, d_key, d_value = attention_back(*given) if any(needed[:3]) else (None,) * 3
    d_bias, d_keep = attention_mask_back(*given) if any(needed[3:]) else (None, None)
    return d_query, d_key, d_value, d_bias, d_keep


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
    keep = None
    if dropout_p:
        weights = (*broadcast_shapes(*[each[:-2] for each in shapes]), queries, keys)
        keep = kept_by_chance(weights, dropout_p, generator, query, what)
    return attention(query, key, value, bias, keep, 1 / sqrt(width) if scale is None else scale, is_causal)


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
