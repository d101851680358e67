"""Attention on a GPU: products by cuBLAS, and all that lies between them in one launch over the rows of scores.

Scores are scaled by cuBLAS, before they are rounded, so that no half overflows, limited to what a query may see, and
made weights where they lie. The gradient does the same again from the logarithms of the sums, and turns the gradient
of the weights into that of the scores in the same launch. Of halves it takes the sums again: a logarithm that is
rounded to 8 bits would make all weights of a row wrong by some percent. A bias on the scores, weights that are left
out, and batches that broadcast go by the composition.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad.backend.cuda.launch import Source, contiguous, empty
from tensorgrad.backend.cuda.product_kernels import product
from tensorgrad.backend.kernels import kernel, picky

_SOURCE = Source(
    "attention",
    r"""
#define ROWS(n)                                                                                                   \
    const int lane = threadIdx.x % G;                                                                             \
    for (I first = (I)blockIdx.x * (blockDim.x / G); first < n; first += (I)gridDim.x * (blockDim.x / G))
// Rows beyond the last are worked on like the last, and not written: all threads of a warp must take part in its sums.
#define ROW(n)                                                                                                    \
    const bool live = first + threadIdx.x / G < n;                                                                \
    const I row = live ? first + threadIdx.x / G : n - 1;
// How many keys a query sees, from the first on.
#define SEEN(row) (causal && row % l + 1 < s ? row % l + 1 : s)

// The largest score that is seen, and the sum of the exponentials of what is left when it is taken off.
__device__ inline A peak_of(const T* scores, int lane, I seen) {
    A peak = -1 / (A)0;
    for (I k = lane; k < seen; k += G) peak = fmax(peak, up(scores[k]));
    peak = group_max(peak);
    return isfinite(peak) ? peak : (A)0;
}
__device__ inline A total_of(const T* scores, int lane, I seen, A peak) {
    A total = 0;
    for (I k = lane; k < seen; k += G) total += exp(up(scores[k]) - peak);
    total = group_sum(total);
    return total == (A)0 ? (A)1 : total;  // a row that sees nothing
}
extern "C" __global__ void weigh(T* scores, T* lse, bool causal, I l, I s, I n) {
    ROWS(n) {
        ROW(n)
        const I seen = SEEN(row);
        T* mine = scores + row * s;
        const A peak = peak_of(mine, lane, seen), total = total_of(mine, lane, seen, peak);
        if (!live) continue;
        for (I k = lane; k < s; k += G) mine[k] = down(k < seen ? exp(up(mine[k]) - peak) / total : (A)0);
        if (lane == 0) lse[row] = down(peak + log(total));
    }
}
// scores become weights, and what comes back to the weights becomes what comes back to the products.
extern "C" __global__ void weigh_back(
    T* scores, T* d_weights, const T* g, const T* result, const T* lse, A scale, bool causal, I l, I s, I v, I n
) {
    ROWS(n) {
        ROW(n)
        const I seen = SEEN(row);
        A along = 0;
        for (I k = lane; k < v; k += G) along += up(g[row * v + k]) * up(result[row * v + k]);
        along = group_sum(along);
        A peak = up(lse[row]), total = 1;
        if (sizeof(T) == 2) {
            peak = peak_of(scores + row * s, lane, seen);
            total = total_of(scores + row * s, lane, seen, peak);
        }
        if (!live) continue;
        for (I k = lane; k < s; k += G) {
            const A p = k < seen ? exp(up(scores[row * s + k]) - peak) / total : (A)0;
            const A back = k < seen ? p * (up(d_weights[row * s + k]) - along) * scale : (A)0;
            scores[row * s + k] = down(p);
            d_weights[row * s + k] = down(back);
        }
    }
}
""",
    grouped=True,
)


def _declined(query: Any, key: Any, value: Any, *extra: Any) -> bool:
    """Whether these are no operands for the kernels."""
    if any(each is not None for each in extra) or not _SOURCE.serves(query, key, value):
        return True
    return query.ndim < 2 or not query.shape[:-2] == key.shape[:-2] == value.shape[:-2] or not key.size


def _scores(xp: Any, query: Any, key: Any, scale: float = 1.0) -> Any:
    """Products of all queries and keys, scaled, in an array of their own."""
    return product(xp, query, xp.matrix_transpose(key), factor=float(scale))


@kernel("attention", "cupy")
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
    if _declined(query, key, value, bias, keep):
        return NotImplemented
    weights = _scores(xp, query, key, scale)
    queries, keys = weights.shape[-2:]
    rows = prod(weights.shape[:-1])
    lse = empty(xp, query, (*weights.shape[:-1], 1))
    _SOURCE.over_rows("weigh", rows, keys, weights, weights, lse, bool(causal), queries, keys, rows)
    return xp.matmul(weights, value), lse


@kernel("attention_back", "cupy")
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
    if _declined(query, key, value, bias, keep) or not _SOURCE.serves(query, g, result, lse):
        return NotImplemented
    g, result, lse = contiguous(g), contiguous(result), contiguous(lse)
    weights, d_scores = _scores(xp, query, key, scale), _scores(xp, g, value)
    queries, keys = weights.shape[-2:]
    rows = prod(weights.shape[:-1])
    given = (weights, d_scores, g, result, lse, float(scale), bool(causal), queries, keys, value.shape[-1], rows)
    _SOURCE.over_rows("weigh_back", rows, max(keys, value.shape[-1]), weights, *given)
    d_value = xp.matmul(xp.matrix_transpose(weights), g)
    return xp.matmul(d_scores, key), xp.matmul(xp.matrix_transpose(d_scores), query), d_value
