"""Attention by blocks of scores: at no time are there more of them than a block, forward or backward.

Dao et al., "FlashAttention", 2022, algorithms 1 and 4: sums over the keys seen so far are scaled anew whenever a larger
score comes, and the gradient computes the scores again. What is kept is one number for each query, the logarithm of its
sum. One peak stands for all rows of a block, as in softmax_kernels; rows far below it are done again by their own.

The gradient folds two differences into its products: a column more in query and key subtracts the logarithm from the
scores, a column more in g and value subtracts sum(g result) from the gradient of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend.cpu.blas import one_thread
from tensorgrad.backend.cpu.buffers import room, zeros
from tensorgrad.backend.cpu.row_blocks import is_plain
from tensorgrad.backend.cpu.softmax_kernels import ENOUGH, SMALL
from tensorgrad.backend.cpu.workers import share
from tensorgrad.backend.kernels import kernel, picky

SCORES = 1 << 16  # scores at once: with their gradient they stay in cache
_QUERIES, _KEYS = 128, 512  # of a block, at most
_SHARED = 1 << 17  # scores from which the work is worth waking a thread


class _Operands(NamedTuple):
    """Query, key and value in one batch, and what may be None."""

    query: Any
    key: Any
    value: Any
    bias: Any
    keep: Any
    causal: bool

    @property
    def places(self) -> tuple[int, int]:
        """How many queries and keys there are."""
        return self.query.shape[-2], self.key.shape[-2]


class _Piece(NamedTuple):
    """Where a block of queries is: the batch axes but the last, some of that one, some queries."""

    lead: tuple[int, ...]
    heads: slice
    queries: slice

    def of(self, x: Any) -> Any:
        return x[self.lead][self.heads, self.queries]

    def keys_of(self, x: Any, keys: slice) -> Any:
        return x[self.lead][self.heads, keys]

    def scores_of(self, x: Any, keys: slice) -> Any:
        return x[self.lead][self.heads, self.queries, keys]


def _operands(query: Any, key: Any, value: Any, bias: Any, keep: Any, causal: bool) -> _Operands:
    """All in one batch, of one axis at least, without copies."""
    extra = [each for each in (bias, keep) if each is not None]
    batch = np.broadcast_shapes((1,), *[each.shape[:-2] for each in (query, key, value, *extra)])
    q, k, v = (np.broadcast_to(each, (*batch, *each.shape[-2:])) for each in (query, key, value))
    whole = (*batch, query.shape[-2], key.shape[-2])
    b, w = (each if each is None else np.broadcast_to(each, whole) for each in (bias, keep))
    return _Operands(q, k, v, b, w, causal)


def _in_pieces(work: Callable[[_Piece], Any], of: _Operands, whole_heads: bool) -> None:
    """Work on all pieces, which no thread shares; whole_heads: all queries of a head go into one."""
    (*lead, heads), (queries, keys) = of.query.shape[:-2], of.places
    rows = min(queries, _QUERIES)
    some = max(1, SCORES // (rows * min(keys, _KEYS)))
    starts = [0] if whole_heads else range(0, queries, rows)
    pieces = [
        _Piece(place, slice(head, head + some), slice(start, queries if whole_heads else start + rows))
        for place in product(*map(range, lead))
        for head in range(0, heads, some)
        for start in starts
    ]
    with one_thread():
        if prod(lead) * heads * queries * keys < _SHARED:
            for piece in pieces:
                work(piece)
        else:
            share(work, pieces)


def _key_blocks(of: _Operands, queries: slice) -> list[slice]:
    """The keys that some of these queries may see, in blocks."""
    last = of.places[1]
    if of.causal:
        last = min(last, queries.stop, of.places[0])
    return [slice(start, min(start + _KEYS, last)) for start in range(0, last, _KEYS)]


@lru_cache(maxsize=16)
def _later(rows: int, keys: int, ahead: int, dtype: Any) -> Any:
    """Minus infinity where a key comes after the query, the first of which is `ahead` keys on; else 0."""
    return np.where(np.arange(keys) > np.arange(rows)[:, None] + ahead, dtype.type(-np.inf), dtype.type(0))


def _hide(of: _Operands, scores: Any, piece: _Piece, keys: slice) -> None:
    """Add the bias, and take away what comes later."""
    if of.bias is not None:
        np.add(scores, piece.scores_of(of.bias, keys), out=scores)
    ahead = piece.queries.start - keys.start
    if of.causal and keys.stop - keys.start > ahead + 1:
        np.add(scores, _later(*scores.shape[-2:], ahead, scores.dtype), out=scores)


@kernel("attention", "numpy")
@picky
def _attention(
    xp: Any,
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    keep: Any = None,
    scale: float = 1.0,
    causal: bool = False,
) -> Any:
    if not is_plain(query, key, value, bias, keep):
        return NotImplemented
    of = _operands(query, key, value, bias, keep, causal)
    out = room((*of.query.shape[:-1], value.shape[-1]), query.dtype)
    lse = np.empty((*of.query.shape[:-1], 1), query.dtype)

    def work(piece: _Piece) -> None:
        found = _mixture(of, piece, scale, by_rows=False)
        if found is None:
            found = _mixture(of, piece, scale, by_rows=True)
        mixed, total, peak = found
        np.divide(mixed, total, out=piece.of(out))
        np.add(np.log(total), peak, out=piece.of(lse))

    _in_pieces(work, of, whole_heads=False)
    extra = [each.shape[:-2] for each in (bias, keep) if each is not None]
    scored = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], *([bias.shape[:-2]] if bias is not None else []))
    batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2], *extra)
    if scored != batch:  # the composition has no more sums than scores
        lse = lse[tuple(slice(0, 1) if s == 1 else slice(None) for s in _padded(scored, lse.ndim - 2))]
    return out.reshape(*batch, *out.shape[-2:]), lse.reshape(*scored, *lse.shape[-2:])


def _padded(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return (1,) * (ndim - len(shape)) + shape


def _mixture(of: _Operands, piece: _Piece, scale: float, by_rows: bool) -> Any:
    """(sum of exp(score - peak) value, sum of exp(score - peak), peak) of a block of queries.

    None where one peak for all rows is too far from some of them.
    """
    query = piece.of(of.query) * _in_its_dtype(of, scale)
    mixed: Any = None
    total: Any = None
    peak: Any = None
    for keys in _key_blocks(of, piece.queries):
        scores = np.matmul(query, piece.keys_of(of.key, keys).mT)
        _hide(of, scores, piece, keys)
        highest = _peak(scores, by_rows)
        if peak is not None:
            highest = np.maximum(peak, highest)
        if by_rows or highest:
            np.subtract(scores, highest, out=scores)
        np.exp(scores, out=scores)
        ones = np.ones(scores.shape[-1], scores.dtype)
        sums = (scores.reshape(-1, len(ones)) @ ones).reshape(*scores.shape[:-1], 1)
        if of.keep is not None:
            np.multiply(scores, piece.scores_of(of.keep, keys), out=scores)
        part = np.matmul(scores, piece.keys_of(of.value, keys))
        if peak is None:
            mixed, total = part, sums
        else:
            again = np.exp(peak - highest)
            mixed, total = mixed * again + part, total * again + sums
        peak = highest
    if by_rows:
        return mixed, np.where(total == 0, total.dtype.type(1), total), peak
    return (mixed, total, peak) if total.min() >= ENOUGH[total.dtype.char] else None


def _in_its_dtype(of: _Operands, number: float) -> Any:
    """A number in the dtype of the query."""
    return of.query.dtype.type(number)


def _peak(scores: Any, by_rows: bool) -> Any:
    """The largest score, of each row or of all; 0 where it is not finite, or small enough to need no shift."""
    zero = scores.dtype.type(0)
    if by_rows:
        peak = scores.max(axis=-1, keepdims=True)
        return np.where(np.isfinite(peak), peak, zero)
    peak = scores.max()
    return peak if SMALL < abs(peak) < np.inf else zero


@kernel("attention_back", "numpy")
@picky
def _attention_back(
    xp: Any,
    g: Any,
    query: Any,
    key: Any,
    value: Any,
    result: Any,
    lse: Any,
    bias: Any = None,
    keep: Any = None,
    scale: float = 1.0,
    causal: bool = False,
) -> Any:
    if not is_plain(g, query, key, value, result, lse, bias, keep):
        return NotImplemented
    of = _operands(query, key, value, bias, keep, causal)
    batch = of.query.shape[:-2]
    g, result, lse = (np.broadcast_to(each, (*batch, *each.shape[-2:])) for each in (g, result, lse))
    grads = [zeros(each.shape, g.dtype) for each in (of.query, of.key, of.value)]

    def work(head: _Piece) -> None:
        rows = min(of.places[0], _QUERIES)
        for start in range(0, of.places[0], rows):
            piece = head._replace(queries=slice(start, min(start + rows, of.places[0])))
            _add_gradients(of, piece, piece.of(g), piece.of(result), piece.of(lse), scale, *grads)

    _in_pieces(work, of, whole_heads=True)
    given = np.broadcast_shapes(*[each.shape[:-2] for each in (query, key, value, bias, keep) if each is not None])
    d_query, d_key, d_value = (each.reshape(*given, *each.shape[-2:]) for each in grads)
    return d_query, d_key, d_value


def _add_gradients(
    of: _Operands, piece: _Piece, g: Any, result: Any, lse: Any, scale: float, d_query: Any, d_key: Any, d_value: Any
) -> None:
    """What a block of queries adds to all three gradients."""
    query = piece.of(of.query) * _in_its_dtype(of, scale)
    along = np.vecdot(g, result)[..., None]
    wide_query, wide_g = np.concatenate([query, -lse], axis=-1), g
    if of.keep is None:
        wide_g = np.concatenate([g, -along], axis=-1)
    for keys in _key_blocks(of, piece.queries):
        key, value = piece.keys_of(of.key, keys), piece.keys_of(of.value, keys)
        ones = np.ones((*key.shape[:-1], 1), key.dtype)
        p = np.matmul(wide_query, np.concatenate([key, ones], axis=-1).mT)
        _hide(of, p, piece, keys)
        np.exp(p, out=p)
        if of.keep is None:
            d_p = np.matmul(wide_g, np.concatenate([value, ones], axis=-1).mT)
            mixed = p
        else:
            kept = piece.scores_of(of.keep, keys)
            d_p = np.matmul(g, value.mT)
            np.multiply(d_p, kept, out=d_p)
            np.subtract(d_p, along, out=d_p)
            mixed = p * kept
        np.add(piece.keys_of(d_value, keys), np.matmul(mixed.mT, g), out=piece.keys_of(d_value, keys))
        np.multiply(d_p, p, out=d_p)
        np.add(piece.keys_of(d_key, keys), np.matmul(d_p.mT, query), out=piece.keys_of(d_key, keys))
        d_query_part = np.matmul(d_p, key)
        np.multiply(d_query_part, _in_its_dtype(of, scale), out=d_query_part)
        np.add(piece.of(d_query), d_query_part, out=piece.of(d_query))
