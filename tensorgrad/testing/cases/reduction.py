"""Cases of ops/reduction.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import ascending, axes, reals

_over = {"axis": axes(), "keepdims": st.booleans()}
_scan = {"axis": st.integers(-2, 1)}
_filled = {"x": reals(dims="n m k")}


def _variance(x: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    with np.errstate(all="ignore"):
        return np.var(x, axis=axis, ddof=correction, keepdims=keepdims)


def _logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def _running(x: Any, axis: int, include_initial: bool = False, exclusive: bool = False) -> Any:
    whole = np.cumulative_prod(x, axis=axis, include_initial=include_initial or exclusive)
    return np.take(whole, range(x.shape[axis]), axis=axis) if exclusive else whole


def _sorted_out(x: Any, axis: int, descending: bool) -> Any:
    return np.flip(np.sort(x, axis=axis), axis=axis) if descending else np.sort(x, axis=axis)


def _order(x: Any, axis: int, descending: bool) -> Any:
    return np.argsort(-x if descending else x, axis=axis, stable=True)


_distinct = reals(-3, 3, "n m", distinct=True)
_asked = {
    "x": reals(dims="n m", constant=True, ties=True),
    "axis": st.sampled_from([None, 0, 1, -1]),
    "keepdims": st.booleans(),
}

CASES = [
    case(ops.sum, np.sum, x=reals(), **_over, _complex=True),
    case(ops.sum, np.sum, **_filled, **_over, _name="sum of three axes"),
    case(ops.mean, np.mean, **_filled, **_over, _complex=True),
    case(ops.var, _variance, **_filled, axis=axes(), correction=0.0, keepdims=st.booleans(), _complex=True),
    case(
        ops.var,
        _variance,
        x=reals(dims="n m"),
        axis=st.sampled_from([None, 0, 1]),
        correction=1.0,
        keepdims=False,
        _sizes={"n": (2, 4), "m": (2, 4)},
        _name="var, corrected",
    ),
    case(
        ops.std,
        np.std,
        x=reals(-3, 3, "n m", distinct=True),
        axis=st.sampled_from([None, 0, 1]),
        keepdims=st.booleans(),
        _sizes={"n": (3, 4), "m": (3, 4)},
    ),
    case(ops.safe_sqrt, np.sqrt, x=reals(0.1, 4)),
    case(ops.max, np.max, x=_distinct, axis=st.sampled_from([None, 0, 1, -1, (0, 1)]), keepdims=st.booleans()),
    case(ops.min, np.min, x=_distinct, axis=st.sampled_from([None, 0, 1, -1, (0, 1)]), keepdims=st.booleans()),
    case(ops.prod, np.prod, x=reals(dims="n m k"), **_over, _complex=True),
    case(ops.prod, np.prod, x=reals(ties=True, dims="n m"), **_over, _name="prod with zeros"),
    case(ops.prod, np.prod, x=reals(dims="n m"), axis=(), _name="prod over no axis"),
    case(ops.cumulative_sum, np.cumulative_sum, x=reals(dims="n"), _name="cumulative_sum, no axis named"),
    case(
        ops.cumulative_sum,
        np.cumulative_sum,
        x=reals(dims="n m"),
        **_scan,
        include_initial=st.booleans(),
        _complex=True,
    ),
    case(
        ops.cumulative_prod,
        np.cumulative_prod,
        x=reals(dims="n m"),
        **_scan,
        include_initial=st.booleans(),
        _complex=True,
    ),
    case(
        ops.cumulative_prod,
        _running,
        x=reals(dims="n m", ties=True),
        **_scan,
        exclusive=st.booleans(),
        _name="cumulative_prod with zeros",
    ),
    case(
        ops.cumulative_prod,
        np.cumulative_prod,
        x=reals(dims="n"),
        _sizes={"n": (0, 4)},
        _name="cumulative_prod, no axis named",
    ),
    case(ops.logsumexp, _logsumexp, **_filled, **_over),
    case(ops.all, np.all, **_asked),
    case(ops.any, np.any, **_asked),
    case(ops.argmax, np.argmax, **_asked),
    case(ops.argmin, np.argmin, **_asked),
    case(ops.count_nonzero, np.count_nonzero, **_asked),
    case(
        ops.searchsorted,
        lambda x1, x2, side: np.searchsorted(x1, x2, side=side),
        x1=ascending(),
        x2=reals(dims="k m", constant=True, ties=True),
        side=st.sampled_from(["left", "right"]),
    ),
    case(ops.nonzero, np.nonzero, x=reals(dims="n m", constant=True, ties=True)),
    case(
        ops.argsort,
        _order,
        x=reals(dims="n m", constant=True, ties=True),
        axis=st.integers(-2, 1),
        descending=st.booleans(),
    ),
    case(ops.sort, _sorted_out, x=_distinct, axis=st.integers(-2, 1), descending=st.booleans()),
]
