"""Cases of ops/reduction.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import axes, reals

_over = {"axis": axes(), "keepdims": st.booleans()}
_wider = np.dtype("complex128")
_filled = {"x": reals(dims="n m k")}


def _variance(x: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    with np.errstate(all="ignore"):
        return np.var(x, axis=axis, ddof=correction, keepdims=keepdims)


def _logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


_distinct = reals(-3, 3, "n m", distinct=True)
_asked = {
    "x": reals(dims="n m", constant=True, ties=True),
    "axis": st.sampled_from([None, 0, 1, -1]),
    "keepdims": st.booleans(),
}

CASES = [
    case(ops.sum, np.sum, x=reals(), **_over, _complex=True),
    case(ops.sum, np.sum, **_filled, **_over, _name="sum of three axes"),
    case(ops.sum, np.sum, x=reals(dims="n m"), axis=0, dtype=_wider, _name="sum in another dtype"),
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
        _complex=True,
    ),
    case(
        ops.std,
        lambda x, axis, correction: np.std(x, axis=axis, ddof=correction),
        x=reals(-3, 3, "n m", distinct=True),
        axis=st.sampled_from([None, 0, 1]),
        correction=st.sampled_from([0.0, 1.0]),
        _sizes={"n": (3, 4), "m": (3, 4)},
        _name="std, corrected",
    ),
    case(ops.safe_sqrt, np.sqrt, x=reals(0.1, 4)),
    case(ops.max, np.max, x=_distinct, axis=st.sampled_from([None, 0, 1, -1, (0, 1)]), keepdims=st.booleans()),
    case(ops.min, np.min, x=_distinct, axis=st.sampled_from([None, 0, 1, -1, (0, 1)]), keepdims=st.booleans()),
    case(ops.prod, np.prod, x=reals(dims="n m k"), **_over, _complex=True),
    case(ops.prod, np.prod, x=reals(ties=True, dims="n m"), **_over, _name="prod with zeros"),
    case(ops.prod, np.prod, x=reals(dims="n m"), axis=(), _name="prod over no axis"),
    case(ops.prod, np.prod, x=reals(dims="n m"), axis=0, dtype=_wider, _name="prod in another dtype"),
    case(ops.logsumexp, _logsumexp, **_filled, **_over),
    case(ops.all, np.all, **_asked, _complex=True),
    case(ops.any, np.any, **_asked, _complex=True),
    case(ops.argmax, np.argmax, **_asked),
    case(ops.argmin, np.argmin, **_asked),
    case(ops.count_nonzero, np.count_nonzero, **_asked, _complex=True),
]
