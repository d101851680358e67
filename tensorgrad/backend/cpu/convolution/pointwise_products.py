"""Convolution by kernels of one pixel: matrix products over the channels, on the image as it lies in memory.

The channels come second, as in (n, c, pixels), and the result lies as the image does: nothing is copied to move them.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.buffers import room
from tensorgrad.backend.cpu.convolution.patches import done
from tensorgrad.backend.cpu.workers import in_order

_BLOCK = 1 << 18  # numbers read and written by a piece of work: a megabyte of float32


def _is_last(x: Any) -> bool:
    return bool(x.shape[1] > 1 and np.moveaxis(x, 1, -1).flags.c_contiguous)


def _cuts(count: int, numbers: int, limit: int = _BLOCK) -> list[slice]:
    each = max(1, limit // max(1, numbers))
    return [slice(k, min(count, k + each)) for k in range(0, count, each)]


def correlated(x: Any, weight: Any, bias: Any) -> Any:
    """(n, c, h, ..), (o, c), (o,) or None -> (n, o, h, ..)"""
    n, c, *sizes = x.shape
    o, pixels = len(weight), prod(sizes)
    work = n * pixels * c * o
    if _is_last(x):
        rows = np.moveaxis(x, 1, -1).reshape(n * pixels, c)
        last = room((n, *sizes, o), x.dtype)
        results = last.reshape(n * pixels, o)

        def by_rows(some: slice) -> None:
            np.matmul(rows[some], weight.T, out=results[some])
            if bias is not None:
                results[some] += bias

        done([partial(by_rows, some) for some in _cuts(n * pixels, c + o)], work)
        return np.moveaxis(last, -1, 1)
    images = x.reshape(n, c, pixels)
    out = room((n, o, pixels), x.dtype)

    def by_images(some: slice) -> None:
        np.matmul(weight, images[some], out=out[some])
        if bias is not None:
            out[some] += bias[:, None]

    done([partial(by_images, some) for some in _cuts(n, (c + o) * pixels)], work)
    return out.reshape(n, o, *sizes)


def correlated_filters(x: Any, y: Any) -> Any:
    """(n, c, h, ..), (n, o, h, ..) -> (o, c)"""
    n, c, *sizes = x.shape
    o, pixels = y.shape[1], prod(sizes)
    work = n * pixels * c * o
    # Partial sums are a matrix each, so a piece of work has eight times as many numbers as a matrix at least.
    limit = max(_BLOCK, 8 * c * o)
    if _is_last(x) and _is_last(y):
        rows, results = (np.moveaxis(each, 1, -1).reshape(n * pixels, each.shape[1]) for each in (x, y))

        def by_rows(some: slice) -> Any:
            return results[some].T @ rows[some]

        parts = done([partial(by_rows, some) for some in _cuts(n * pixels, c + o, limit)], work)
    else:
        images, results = x.reshape(n, c, pixels), y.reshape(n, o, pixels)

        def by_images(some: slice) -> Any:
            each = np.matmul(results[some], images[some].transpose(0, 2, 1))
            return each[0] if len(each) == 1 else np.add.reduce(each, axis=0)

        parts = done([partial(by_images, some) for some in _cuts(n, (c + o) * pixels, limit)], work)
    if not parts:
        return np.zeros((o, c), x.dtype)
    return in_order(parts)
