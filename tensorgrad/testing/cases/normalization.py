"""Cases of ops/normalization.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals


def _layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def _batch_norm(x: Any, weight: Any, bias: Any) -> Any:
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt(x.var(axes, keepdims=True) + 1e-5) * weight.reshape(shape) + bias.reshape(shape)


_wide = {"d": (2, 4), "n": (2, 3), "b": (1, 3)}

CASES = [
    case(
        ops.layer_norm,
        _layer_norm,
        x=reals(-2, 2, "b n d", distinct=True),
        weight=reals(dims="d"),
        bias=reals(dims="d"),
        _sizes=_wide,
        _rows=("x",),
    ),
    case(
        ops.batch_norm,
        _batch_norm,
        x=reals(-2, 2, "n c h w", distinct=True),
        weight=reals(dims="c"),
        bias=reals(dims="c"),
        _sizes={"n": (3, 4), "h": (2, 3), "w": (1, 3)},
    ),
    case(
        ops.batch_norm,
        _batch_norm,
        x=reals(-2, 2, "n c", distinct=True, constant=True),
        weight=reals(dims="c"),
        bias=reals(dims="c"),
        _sizes={"n": (4, 6)},
        _name="batch_norm of what has no gradient",
    ),
    case(
        ops.batch_norm,
        _batch_norm,
        x=reals(-2, 2, "n c", distinct=True),
        weight=reals(dims="c", constant=True),
        bias=reals(dims="c", constant=True),
        _sizes={"n": (4, 6)},
        _name="batch_norm by what has no gradient",
    ),
    case(
        ops.batch_norm,
        _batch_norm,
        x=reals(-2, 2, "n c", distinct=True),
        weight=reals(dims="c"),
        bias=reals(dims="c"),
        _sizes={"n": (4, 6)},
        _name="batch_norm of rows",
    ),
]
