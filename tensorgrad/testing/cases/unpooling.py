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
    if output_size is None:
        each = zip(x.shape[2:], padding, strict=True)
        output_size = [(n - 1) * stride - 2 * pad + kernel_size for n, pad in each]
    out = np.zeros((*x.shape[:2], *output_size), x.dtype)
    for place in np.ndindex(*x.shape):
        out[place[:2]].flat[indices[place]] = x[place]
    return out


_sizes = {"n": (1, 2), "c": (1, 2)}

CASES = [
    *[
        case(
            op,
            _max_unpool,
            x=reals(dims=f"n c {dims}"),
            indices=integers(0, places, f"n c {dims}"),
            kernel_size=2,
            stride=3,
            padding=padding,
            _sizes=_sizes,
            _name=f"{op.__name__} to the size that fits",
        )
        for op, dims, padding, places in (
            (ops.max_unpool1d, "3", (1,), 6),
            (ops.max_unpool2d, "2 2", (1, 0), 15),
            (ops.max_unpool3d, "1 2 2", (0, 1, 1), 18),
        )
    ],
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
