"""Cases of ops/arithmetic.py."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import booleans, integers, reals

_whole = {"x1": integers(), "x2": integers()}
_compared = {"x1": reals(constant=True, ties=True), "x2": reals(constant=True, ties=True)}
_logical = {"x1": booleans(), "x2": booleans()}
_shifts = {"x1": integers(), "x2": integers(0, 4)}

CASES = [
    case(ops.add, np.add, x1=reals(), x2=reals(), _complex=True),
    case(ops.subtract, np.subtract, x1=reals(), x2=reals(), _complex=True),
    case(ops.negative, np.negative, x=reals(), _complex=True),
    case(ops.multiply, np.multiply, x1=reals(), x2=reals(), _complex=True),
    case(ops.multiply, lambda x1, x2: x1 * x2, x1=reals(), x2=integers(), _name="multiply by integers"),
    case(ops.multiply, lambda x1, x2: x1 * x2, x1=booleans(), x2=reals(), _name="multiply booleans"),
    case(ops.divide, np.divide, x1=reals(), x2=reals(0.4, 3), _complex=True),
    case(
        ops.divide,
        lambda x1, x2: (x1 / x2).astype(np.float32),
        x1=integers(),
        x2=integers(1, 5),
        _name="divide integers",
    ),
    case(ops.pow, np.pow, x1=reals(0.3, 2), x2=reals(-2, 2), _complex=True),
    case(ops.pow, np.pow, x1=reals(-2, 2), x2=2, _name="pow 2"),
    case(ops.pow, np.pow, x1=reals(-2, 2), x2=st.sampled_from([0, 1, 3]), _name="pow, whole numbers"),
    case(ops.pow, np.pow, x1=reals(0.3, 2), x2=reals(-2, 2, ties=True), _name="pow, whole exponents"),
    case(ops.pow, np.pow, x1=reals(0.3, 2), x2=-0.5, _name="pow -0.5"),
    case(ops.pow, np.pow, x1=st.sampled_from([1.0, 1.7]), x2=reals(-2, 2), _name="pow of a number"),
    case(ops.floor_divide, np.floor_divide, x1=reals(0.1, 0.9), x2=reals(1.0, 1.9)),
    case(ops.remainder, np.remainder, x1=reals(0.1, 0.9), x2=reals(1.0, 1.9)),
    case(ops.remainder, np.remainder, x1=reals(4.1, 4.9), x2=reals(-1.94, -1.7), _name="remainder, negative"),
    case(ops.atan2, np.atan2, x1=reals(avoid=(0.0,)), x2=reals(0.2, 2)),
    case(ops.hypot, np.hypot, x1=reals(0.2, 2), x2=reals(-2, 2)),
    case(ops.logaddexp, np.logaddexp, x1=reals(), x2=reals()),
    case(ops.copysign, np.copysign, x1=reals(avoid=(0.0,)), x2=reals(avoid=(0.0,))),
    case(ops.nextafter, np.nextafter, x1=reals(0.5, 1), x2=reals(2, 3)),
    case(ops.equal, np.equal, **_compared, _complex=True),
    case(ops.not_equal, np.not_equal, **_compared, _complex=True),
    case(ops.less, np.less, **_compared),
    case(ops.less_equal, np.less_equal, **_compared),
    case(ops.greater, np.greater, **_compared),
    case(ops.greater_equal, np.greater_equal, **_compared),
    case(ops.logical_and, np.logical_and, **_logical),
    case(ops.logical_or, np.logical_or, **_logical),
    case(ops.logical_xor, np.logical_xor, **_logical),
    case(ops.bitwise_and, np.bitwise_and, **_whole),
    case(ops.bitwise_or, np.bitwise_or, **_whole),
    case(ops.bitwise_xor, np.bitwise_xor, **_whole),
    case(ops.bitwise_left_shift, np.bitwise_left_shift, **_shifts),
    case(ops.bitwise_right_shift, np.bitwise_right_shift, **_shifts),
]
