"""Cases of ops/scan.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals

_scan = {"axis": st.integers(-2, 1)}


def _exclusive(of: Any) -> Any:
    """A reference that can leave out each element itself."""

    def scan(x: Any, axis: int, exclusive: bool) -> Any:
        whole = of(x, axis=axis, include_initial=exclusive)
        return np.take(whole, range(x.shape[axis]), axis=axis)

    return scan


def _extreme(of: Any) -> Any:
    """Values and places of running extremes, one place after the other."""

    def scan(x: Any, axis: int) -> Any:
        values, places = of.accumulate(x, axis=axis), np.zeros(x.shape, np.int64)
        line, ahead = np.moveaxis(x, axis, 0), np.moveaxis(places, axis, 0)
        for place in range(len(line)):
            if place:
                ahead[place] = ahead[place - 1]
            ahead[place] = np.where(line[place] == np.moveaxis(values, axis, 0)[place], place, ahead[place])
        return values, places

    return scan


def _logcumsumexp(x: Any, axis: int) -> Any:
    return np.log(np.cumsum(np.exp(x), axis=axis))


CASES = [
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
        ops.cumulative_sum,
        _exclusive(np.cumulative_sum),
        x=reals(dims="n m"),
        **_scan,
        exclusive=st.booleans(),
        _name="cumulative_sum, exclusive",
    ),
    *[
        case(
            op,
            reference,
            x=reals(dims="n m"),
            axis=1,
            dtype=np.dtype("complex128"),
            _name=f"{op.__name__} in another dtype",
        )
        for op, reference in ((ops.cumulative_sum, np.cumulative_sum), (ops.cumulative_prod, np.cumulative_prod))
    ],
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
        _exclusive(np.cumulative_prod),
        x=reals(dims="n m", ties=True),
        **_scan,
        exclusive=st.booleans(),
        _sizes={"n": (1, 6)},
        _name="cumulative_prod with zeros",
    ),
    case(
        ops.cumulative_prod,
        np.cumulative_prod,
        x=reals(dims="n"),
        _sizes={"n": (0, 9)},
        _name="cumulative_prod, no axis named",
    ),
    case(ops.running_logsumexp, _logcumsumexp, x=reals(-3, 3, "n m"), axis=st.integers(0, 1), _sizes={"n": (1, 6)}),
    case(ops.logcumsumexp, _logcumsumexp, x=reals(-3, 3, "n m"), **_scan),
    case(
        ops.running_places,
        lambda x, axis, largest: _extreme(np.maximum if largest else np.minimum)(x, axis)[1],
        x=reals(dims="n m", constant=True, ties=True),
        axis=st.integers(0, 1),
        largest=st.booleans(),
        _sizes={"n": (1, 6)},
    ),
    case(ops.cummax, _extreme(np.maximum), x=reals(-3, 3, "n m", distinct=True), **_scan),
    case(ops.cummin, _extreme(np.minimum), x=reals(-3, 3, "n m", distinct=True), **_scan),
]
