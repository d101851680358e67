"""Cases of ops/sorting.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import ascending, axes, given_args, reals


def _sorted_out(x: Any, axis: int, descending: bool, stable: bool) -> Any:
    return np.flip(np.sort(x, axis=axis), axis=axis) if descending else np.sort(x, axis=axis)


def _order(x: Any, axis: int, descending: bool, stable: bool) -> Any:
    return np.argsort(-x if descending else x, axis=axis, stable=stable)


def _best(x: Any, k: int, axis: int, largest: bool, sorted: bool) -> Any:
    places = np.take(np.argsort(-x if largest else x, axis=axis, stable=True), range(k), axis=axis)
    return np.take_along_axis(x, places, axis=axis), places


def placed(x1: Any, x2: Any) -> Any:
    """searchsorted in values that `sorter` puts in order."""
    return ops.searchsorted(x1, x2, sorter=ops.argsort(x1))


def _quantile(x: Any, q: Any, axis: Any, keepdims: bool, interpolation: Any = "linear") -> Any:
    return np.quantile(x, q, axis=axis, keepdims=keepdims, method=interpolation)


_distinct = reals(-3, 3, "n m", distinct=True)
_ties = reals(dims="n m", constant=True, ties=True)
_over = {"axis": axes(), "keepdims": st.booleans()}
# Ranks q (n - 1) for n up to 4 are no integers there, so that no difference steps over an element.
_shares = reals(0.06, 0.94, "k", avoid=(1 / 3, 1 / 2, 2 / 3))

CASES = [
    case(ops.argsort, _order, x=_ties, axis=st.integers(-2, 1), descending=st.booleans(), stable=True),
    case(ops.sort, _sorted_out, x=_distinct, axis=st.integers(-2, 1), descending=st.booleans(), stable=st.booleans()),
    case(
        ops.topk,
        _best,
        x=_distinct,
        k=given_args(lambda args: st.integers(0, min(args["x"].shape))),
        axis=st.integers(-2, 1),
        largest=st.booleans(),
        sorted=st.booleans(),
    ),
    case(
        ops.searchsorted,
        lambda x1, x2, side: np.searchsorted(x1, x2, side=side),
        x1=ascending(),
        x2=reals(dims="k m", constant=True, ties=True),
        side=st.sampled_from(["left", "right"]),
    ),
    case(
        placed,
        lambda x1, x2: np.searchsorted(np.sort(x1), x2),
        x1=reals(dims="n", constant=True, ties=True),
        x2=reals(dims="k", constant=True, ties=True),
        _proves=(ops.searchsorted,),
    ),
    case(ops.quantile, _quantile, x=_distinct, q=_shares, axis=st.sampled_from([0, 1, -1]), keepdims=st.booleans()),
    case(
        ops.quantile,
        _quantile,
        x=reals(-3, 3, "n m", distinct=True),
        q=st.sampled_from([0.0, 0.3, 0.41, 0.5, 1.0]),
        **_over,
        interpolation=st.sampled_from(["linear", "lower", "higher", "midpoint", "nearest"]),
        _name="quantile, one number",
    ),
    case(ops.median, np.median, x=reals(-3, 3, "n m k", distinct=True), **_over),
    case(ops.unique_all, np.unique_all, x=_distinct),
    case(ops.unique_all, np.unique_all, x=_ties, _name="unique_all with equals"),
    case(ops.unique_places, lambda x: np.unique_all(x)[1:], x=_ties),
    case(ops.unique_counts, np.unique_counts, x=_distinct),
    case(ops.unique_counts, np.unique_counts, x=_ties, _name="unique_counts with equals"),
    case(ops.unique_inverse, np.unique_inverse, x=_distinct),
    case(ops.unique_inverse, np.unique_inverse, x=_ties, _name="unique_inverse with equals"),
    case(ops.unique_values, lambda x: np.unique(x), x=_distinct),
    case(
        ops.isin,
        lambda x1, x2, invert: np.isin(x1, x2, invert=invert),
        x1=_ties,
        x2=reals(dims="k", constant=True, ties=True),
        invert=st.booleans(),
    ),
    case(ops.nonzero, np.nonzero, x=_ties, _complex=True),
]
