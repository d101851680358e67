"""Cases of ops/unpooling.py, against a loop over every value."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import integers, reals


def _max_unpool(
    x: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    out = np.zeros((*x.shape[:2], *output_size), x.dtype)
    for place in np.ndindex(*x.shape):
        out[place[:2]].flat[indices[place]] = x[place]
    return out


_sizes = {"n": (1, 2), "c": (1, 2)}

CASES = [
    case(
        ops.max_unpool1d,
        _max_unpool,
        x=reals(dims="n c 3"),
        indices=integers(0, 20, "n c 3"),
        kernel_size=2,
        output_size=(20,),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.max_unpool2d,
        _max_unpool,
        x=reals(dims="n c 2 2"),
        indices=integers(0, 20, "n c 2 2"),
        kernel_size=2,
        output_size=(4, 5),
        _sizes=_sizes,
        _complex=True,
    ),
    case(
        ops.max_unpool3d,
        _max_unpool,
        x=reals(dims="n c 1 2 2"),
        indices=integers(0, 20, "n c 1 2 2"),
        kernel_size=2,
        output_size=(2, 3, 4),
        _sizes=_sizes,
        _complex=True,
    ),
]
