"""Cases of ops/numerical.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import evenly, reals, several


def _running_area(y: Any, axis: int, x: Any = None, dx: float = 1.0) -> Any:
    y = np.moveaxis(y, axis, -1)
    return np.moveaxis(
        np.cumsum((y[..., 1:] + y[..., :-1]) * 0.5 * (dx if x is None else np.diff(x)), axis=-1), -1, axis
    )


_axis = {"axis": st.integers(-2, 1)}
_several = {"n": (3, 5), "m": (3, 5)}
_lengths = {"n": (1, 6), "m": (1, 6)}
_vectors = {"x1": reals(dims="n"), "x2": reals(dims="m"), "mode": st.sampled_from(["full", "same", "valid"])}
KNOTS = (-2.0, -1.0, 0.0, 1.0)  # where evenly(-2, 2, "4") is

CASES = [
    case(
        ops.diff,
        lambda x, axis, n: np.diff(x, axis=axis, n=n),
        x=reals(dims="n m"),
        **_axis,
        n=st.integers(0, 2),
        _sizes=_several,
        _complex=True,
    ),
    case(
        ops.diff,
        lambda x, prepend, append: np.diff(x, prepend=prepend, append=append),
        x=reals(dims="n m"),
        prepend=reals(dims="n 1"),
        append=reals(dims="n 2"),
        _name="diff with ends",
    ),
    case(ops.trapezoid, np.trapezoid, y=reals(dims="n m"), dx=0.7, **_axis, _complex=True),
    case(ops.trapezoid, np.trapezoid, y=reals(dims="m n"), x=reals(dims="n"), _name="trapezoid at places"),
    case(
        ops.trapezoid,
        np.trapezoid,
        y=reals(dims="n 2"),
        x=reals(dims="n"),
        axis=0,
        _name="trapezoid at places of the first axis",
    ),
    case(
        ops.trapezoid,
        np.trapezoid,
        y=reals(dims="n m"),
        x=reals(dims="n m"),
        **_axis,
        _sizes={"n": (2, 4), "m": (2, 4)},
        _name="trapezoid at places of each",
    ),
    case(ops.cumulative_trapezoid, _running_area, y=reals(dims="n m"), dx=0.7, **_axis, _complex=True),
    case(
        ops.cumulative_trapezoid,
        lambda y, x: _running_area(y, -1, x),
        y=reals(dims="m n"),
        x=reals(dims="n"),
        _name="cumulative_trapezoid at places",
        _complex=True,
    ),
    case(
        ops.gradient,
        lambda f, axis, edge_order: np.gradient(f, axis=axis, edge_order=edge_order),
        f=reals(dims="n m"),
        axis=st.sampled_from([None, 0, -1, (1, 0)]),
        edge_order=st.sampled_from([1, 2]),
        _sizes=_several,
        _complex=True,
    ),
    *[
        case(
            ops.gradient,
            lambda f, *spacing, axis, edge_order: np.gradient(f, *spacing, axis=axis, edge_order=edge_order),
            f=reals(dims=dims),
            spacing=several(reals(0, 9, "n", distinct=True), 1, 1),
            axis=axis,
            edge_order=st.sampled_from([1, 2]),
            _sizes={"n": (3, 5)},
            _name=f"gradient at places of axis {axis}",
        )
        for dims, axis in (("n m", 0), ("m n", 1))
    ],
    case(
        ops.gradient,
        np.gradient,
        f=reals(dims="n m"),
        spacing=several(reals(0.5, 2, ""), 2, 2),
        _sizes={"n": (2, 4), "m": (2, 4)},
        _name="gradient by steps",
    ),
    case(ops.interp, np.interp, x=reals(-3, 3, avoid=KNOTS), xp=evenly(-2, 2, "4"), fp=reals(dims="4")),
    case(
        ops.interp,
        np.interp,
        x=reals(-3, 3, "k", avoid=KNOTS),
        xp=evenly(-2, 2, "4"),
        fp=reals(dims="4"),
        left=reals(dims=""),
        right=7.0,
        _name="interp, values outside",
    ),
    case(ops.convolve, np.convolve, **_vectors, _sizes=_lengths, _complex=True),
    case(ops.convolve_vectors, np.convolve, **_vectors, _sizes=_lengths, _complex=True),
]
