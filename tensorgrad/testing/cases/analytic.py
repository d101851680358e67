"""Cases of ops/analytic.py."""

from __future__ import annotations

import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals

CASES = [
    case(ops.exp, np.exp, x=reals(-3, 3), _complex=True),
    case(ops.expm1, np.expm1, x=reals(-3, 3), _complex=True),
    case(ops.log, np.log, x=reals(0.1, 10), _complex=True),
    case(ops.log1p, np.log1p, x=reals(-0.8, 5), _complex=True),
    case(ops.log2, np.log2, x=reals(0.1, 10), _complex=True),
    case(ops.log10, np.log10, x=reals(0.1, 10), _complex=True),
    case(ops.sqrt, np.sqrt, x=reals(0.1, 10), _complex=True),
    case(ops.square, np.square, x=reals(), _complex=True),
    case(ops.reciprocal, lambda x: 1 / x, x=reals(0.3, 3), _complex=True),
    case(ops.sin, np.sin, x=reals(-4, 4), _complex=True),
    case(ops.cos, np.cos, x=reals(-4, 4), _complex=True),
    case(ops.tan, np.tan, x=reals(-1.2, 1.2), _complex=True),
    case(ops.asin, np.asin, x=reals(-0.8, 0.8), _complex=True),
    case(ops.acos, np.acos, x=reals(-0.8, 0.8), _complex=True),
    case(ops.atan, np.atan, x=reals(-0.8, 0.8), _complex=True),
    case(ops.atan, np.atan, x=reals(-4, 4), _name="atan, far"),
    case(ops.sinh, np.sinh, x=reals(), _complex=True),
    case(ops.cosh, np.cosh, x=reals(), _complex=True),
    case(ops.tanh, np.tanh, x=reals(-1.2, 1.2), _complex=True),
    case(ops.tanh, np.tanh, x=reals(-4, 4), _name="tanh, far"),
    case(ops.asinh, np.asinh, x=reals(-0.8, 0.8), _complex=True),
    case(ops.asinh, np.asinh, x=reals(-4, 4), _name="asinh, far"),
    case(ops.acosh, np.acosh, x=reals(1.3, 4), _complex=True),
    case(ops.atanh, np.atanh, x=reals(-0.8, 0.8), _complex=True),
]
