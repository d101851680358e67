"""Cases of ops/adaptive_pooling.py, against loops over every window."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.cases.pooling import distinct, each_axis
from tensorgrad.testing.strategies import reals


def _adaptive(reduce: Any) -> Any:
    def pool(x: Any, output_size: Any) -> Any:
        axes = x.ndim - 2
        asked = (output_size,) * axes if output_size is None else each_axis(output_size, axes)
        counts = [size if count is None else count for size, count in zip(x.shape[2:], asked, strict=True)]
        out: Any = np.zeros((*x.shape[:2], *counts), x.dtype)
        for window in product(*map(range, counts)):
            each = zip(window, x.shape[2:], counts, strict=True)
            key = [slice(int(np.floor(i * n / m)), int(np.ceil((i + 1) * n / m))) for i, n, m in each]
            part = x[(slice(None), slice(None), *key)]
            out[(slice(None), slice(None), *window)] = reduce(part, axis=tuple(range(2, part.ndim)))
        return out

    return pool


def _adaptive_max(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    largest = _adaptive(np.max)(x, output_size)
    if not return_indices:
        return largest
    places = np.zeros(largest.shape, np.int64)
    for window in np.ndindex(*largest.shape):  # the values are distinct, so a plane holds each once
        places[window] = np.flatnonzero(x[window[:2]] == largest[window])[0]
    return largest, places


def _globally(reduce: Any) -> Any:
    return lambda x, keepdims: reduce(x, axis=tuple(range(2, x.ndim)), keepdims=keepdims)


_sizes = {"h": (3, 5), "w": (3, 5), "n": (1, 2), "c": (1, 2), "d": (2, 3)}

CASES = [
    case(ops.global_avg_pool, _globally(np.mean), x=reals(dims="n c h w"), keepdims=st.booleans(), _complex=True),
    case(ops.global_max_pool, _globally(np.max), x=distinct("n c h w"), keepdims=st.booleans()),
    case(
        ops.adaptive_avg_pool1d,
        _adaptive(np.mean),
        x=reals(dims="n c w"),
        output_size=st.sampled_from([1, 2, 3, 7, None]),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.adaptive_avg_pool2d,
        _adaptive(np.mean),
        x=reals(dims="n c h w"),
        output_size=st.sampled_from([1, 2, (3, 2), (None, 4)]),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.adaptive_avg_pool3d,
        _adaptive(np.mean),
        x=reals(dims="n c d h w"),
        output_size=st.sampled_from([2, (1, 2, None)]),
        _sizes={**_sizes, "n": (1, 1)},
        _complex=True,
    ),
    case(
        ops.adaptive_max_pool1d,
        _adaptive_max,
        x=distinct("n c w"),
        output_size=st.sampled_from([1, 2, 3, 7, None]),
        return_indices=st.booleans(),
        _sizes=_sizes,
    ),
    case(
        ops.adaptive_max_pool2d,
        _adaptive_max,
        x=distinct("n c h w"),
        output_size=st.sampled_from([1, 2, (3, 2), (None, 4)]),
        return_indices=st.booleans(),
        _sizes=_sizes,
    ),
    case(
        ops.adaptive_max_pool3d,
        _adaptive_max,
        x=distinct("n c d h w"),
        output_size=st.sampled_from([2, (1, 2, None)]),
        return_indices=st.booleans(),
        _sizes={**_sizes, "n": (1, 1)},
    ),
]
