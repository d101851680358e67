"""Cases of ops/pooling.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _max_pool(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Any:
    (kh, kw), (ph, pw), (dh, dw) = map(_pair, (kernel_size, padding, dilation))
    sh, sw = (kh, kw) if stride is None else _pair(stride)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    rows, columns = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1, (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    out = np.zeros((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            window = x[:, :, i * sh : i * sh + dh * (kh - 1) + 1 : dh, j * sw : j * sw + dw * (kw - 1) + 1 : dw]
            out[:, :, i, j] = window.max((2, 3))
    return out


_image = reals(-4, 4, "n c h w", distinct=True)
_sizes = {"h": (3, 5), "w": (3, 5), "n": (1, 2), "c": (1, 2)}

CASES = [
    case(ops.max_pool2d, _max_pool, x=_image, kernel_size=st.sampled_from([2, (1, 2), 3]), _sizes=_sizes),
    case(
        ops.max_pool2d,
        _max_pool,
        x=_image,
        kernel_size=2,
        stride=st.sampled_from([1, 2, (2, 1)]),
        padding=st.sampled_from([0, 1, (0, 1)]),
        dilation=st.sampled_from([1, 2]),
        _sizes=_sizes,
        _name="max_pool2d with overlap",
    ),
]
