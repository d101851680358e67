"""Cases of ops/attention.py."""

from __future__ import annotations

from math import sqrt
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.dropout import Fixed
from tensorgrad.testing.strategies import booleans, reals


def _attention(query: Any, key: Any, value: Any, bias: Any = 0.0, keep: Any = 1.0, scale: float = 1.0) -> Any:
    scores = query @ np.swapaxes(key, -1, -2) * scale + bias
    e = np.exp(scores)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total) * keep @ value


def _weights(query: Any, key: Any, lse: Any, bias: Any, scale: float, causal: bool) -> Any:
    scores = query @ np.swapaxes(key, -1, -2) * scale + bias
    seen = np.tri(*scores.shape[-2:]) if causal else 1.0
    return np.exp(scores - lse) * seen


def _mask_back(
    g: Any,
    query: Any,
    key: Any,
    value: Any,
    result: Any,
    lse: Any,
    bias: Any = 0.0,
    keep: Any = 1.0,
    scale: float = 1.0,
    causal: bool = False,
) -> tuple[Any, Any]:
    p = _weights(query, key, lse, bias, scale, causal)
    d_p = np.einsum("...lv,...sv->...ls", g, value)
    return p * d_p * keep - p * np.einsum("...lv,...lv->...l", g, result)[..., None], p * d_p


def _back(
    g: Any,
    query: Any,
    key: Any,
    value: Any,
    result: Any,
    lse: Any,
    bias: Any = 0.0,
    keep: Any = 1.0,
    scale: float = 1.0,
    causal: bool = False,
) -> tuple[Any, Any, Any]:
    p = _weights(query, key, lse, bias, scale, causal)
    d_scores, _ = _mask_back(g, query, key, value, result, lse, bias, keep, scale, causal)
    d_value = np.einsum("...ls,...lv->...sv", p * keep, g)
    d_key = np.einsum("...ls,...le->...se", d_scores, query) * scale
    return np.einsum("...ls,...se->...le", d_scores, key) * scale, d_key, d_value


def _scaled(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    generator: Any = None,
    scale: Any = None,
) -> Any:
    bias = np.zeros((query.shape[-2], key.shape[-2]))
    if attn_mask is not None:
        bias = np.where(attn_mask, bias, -np.inf) if attn_mask.dtype == bool else bias + attn_mask
    if is_causal:
        bias = np.where(np.tri(*bias.shape[-2:]) == 1, bias, -np.inf)
    keep = 1.0
    if dropout_p:
        batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
        keep = generator.bernoulli(1 - dropout_p, (*batch, *bias.shape[-2:]), float) / (1 - dropout_p)
    return _attention(query, key, value, bias, keep, scale or 1 / sqrt(query.shape[-1]))


_three = {"query": reals(dims="*b l e"), "key": reals(dims="*b s e"), "value": reals(dims="*b s v")}
_small = {"l": (1, 3), "s": (1, 3), "e": (1, 2), "v": (1, 2)}

_backward = {
    "g": reals(dims="b l v"),
    "query": reals(dims="b l e"),
    "key": reals(dims="b s e"),
    "value": reals(dims="b s v"),
    "result": reals(dims="b l v"),
    "lse": reals(0.0, 2.0, "b l 1"),
    "scale": 0.7,
    "causal": st.booleans(),
    "_sizes": {**_small, "b": (1, 2)},
}
_masks = {"bias": reals(dims="l s"), "keep": reals(0.5, 1.5, "b l s")}

CASES = [
    case(ops.attention, _attention, **_three, scale=0.7, _sizes=_small),
    case(
        ops.attention,
        lambda query, key, value, scale, causal: _scaled(query, key, value, is_causal=causal, scale=scale),
        **_three,
        scale=0.7,
        causal=True,
        _sizes=_small,
        _name="attention of what comes before",
    ),
    *[
        case(op, reference, **_backward, **more, _name=f"{op.__name__}{name}")
        for op, reference in ((ops.attention_back, _back), (ops.attention_mask_back, _mask_back))
        for more, name in (({}, ""), (_masks, " with bias and weights kept"))
    ],
    case(
        ops.attention,
        _attention,
        **_three,
        bias=reals(dims="*b l s"),
        keep=reals(0.5, 1.5, "1 s"),
        _sizes=_small,
        _name="attention with bias and weights kept",
    ),
    case(
        ops.attention,
        _attention,
        query=reals(dims="l e", constant=True),
        key=reals(dims="s e", constant=True),
        value=reals(dims="s v"),
        bias=reals(dims="l s", constant=True),
        keep=reals(0.5, 1.5, "l s"),
        _sizes=_small,
        _name="attention of constant scores",
    ),
    *[
        case(
            ops.attention,
            _attention,
            query=reals(dims="l e", constant=alone != "query"),
            key=reals(dims="s e", constant=alone != "key"),
            value=reals(dims="s v", constant=True),
            bias=reals(dims="l s", constant=alone != "bias"),
            keep=reals(0.5, 1.5, "l s", constant=True),
            _sizes=_small,
            _name=f"attention, {alone} alone",
        )
        for alone in ("query", "key", "bias")
    ],
    case(ops.scaled_dot_product_attention, _scaled, **_three, is_causal=st.booleans(), _sizes=_small),
    case(
        ops.scaled_dot_product_attention,
        _scaled,
        **_three,
        attn_mask=booleans("l s"),
        is_causal=st.booleans(),
        scale=st.sampled_from([None, 0.3]),
        _sizes=_small,
        _name="scaled_dot_product_attention, masked",
    ),
    case(
        ops.scaled_dot_product_attention,
        _scaled,
        **_three,
        attn_mask=reals(dims="l s"),
        dropout_p=0.4,
        is_causal=st.booleans(),
        generator=Fixed(),
        _sizes=_small,
        _name="scaled_dot_product_attention, biased and dropped",
    ),
]
