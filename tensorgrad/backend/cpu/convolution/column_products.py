"""Convolution with the channels last as products of blocks: windows are written out for as many as fit the cache.

Arrays are (n, h, .., c) of any strides, and a kernel is (kh, .., c, o). Nothing of the size of all windows is kept.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.convolution.patches import Block, Sizes, Target, Work, blocks, patch, strided
from tensorgrad.backend.cpu.scratch import scratch

_BLOCK = 1 << 18  # numbers of windows that are written out at once: a megabyte of float32, half of a core's cache
_SHORT = 8  # numbers along a window's row below which windows are copied place by place, along the image's rows


def _columns(
    x: Any, block: Block, starts: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, counts: Sizes
) -> tuple[Any, Sizes]:
    """The windows of a block, a row for each, and how many along each axis.   (n, h, .., c) -> (pixels, kh .. c)"""
    images, rows = block
    c, many = x.shape[-1], (rows.stop - rows.start, *counts[1:])
    first = (starts[0] + rows.start * stride[0], *starts[1:])
    reach = [(count - 1) * s + (k - 1) * d + 1 for count, s, k, d in zip(many, stride, kernel, dilation, strict=True)]
    part = patch(x[images], "patch", first, tuple(reach))
    window = prod(kernel) * c
    if window == c and part.flags.c_contiguous and set(stride) == {1}:
        return part.reshape(-1, c), many
    steps = part.strides[1:-1]
    view = strided(
        part,
        (len(part), *many, *kernel, c),
        (
            part.strides[0],
            *[step * s for step, s in zip(steps, stride, strict=True)],
            *[step * d for step, d in zip(steps, dilation, strict=True)],
            part.strides[-1],
        ),
    )
    axes = len(counts)
    short = (kernel[-1] if dilation[-1] == 1 else 1) * c < _SHORT
    if short:
        view = view.transpose(*range(1 + axes, 2 + 2 * axes), *range(1 + axes))
    columns = scratch("columns", view.shape, x.dtype)
    np.copyto(columns, view)
    return columns.reshape(window, -1).T if short else columns.reshape(-1, window), many


def correlating(
    x: Any, starts: Sizes, filters: Any, stride: Sizes, dilation: Sizes, counts: Sizes, bias: Any, target: Target
) -> list[Work]:
    """Pieces of work that write the correlation at `counts` points.   (n, h, .., c), (kh, .., c, o), (o,) or None"""
    *kernel, c, o = filters.shape
    rows = filters.reshape(-1, o)

    def work(block: Block) -> None:
        columns, many = _columns(x, block, starts, tuple(kernel), stride, dilation, counts)
        out = target.image[block] if target.whole else None
        if out is not None and out.flags.c_contiguous:
            found = out.reshape(-1, o)
        else:
            found = scratch("found", (len(columns), o), x.dtype)
        np.matmul(columns, rows, out=found)
        if bias is not None:
            found += bias
        if out is None or not out.flags.c_contiguous:
            images, points = block
            parts = (*target.parts, o // prod(target.parts))
            first = (points.start, *[0] * (len(counts) - 1))
            target.put(images, first, (1,) * len(counts), found.reshape(images.stop - images.start, *many, *parts))

    return [partial(work, block) for block in blocks(len(x), counts, prod(kernel) * c, _BLOCK)]


def correlating_filters(
    x: Any, starts: Sizes, y: Any, kernel: Sizes, stride: Sizes, dilation: Sizes, most: int
) -> list[Work]:
    """At most so many pieces of work; their sum is the gradient of a kernel.   (n, h, .., c), (n, h', .., o)

    Each gives (kh, .., c, o).
    """
    c, o = x.shape[-1], y.shape[-1]
    counts = y.shape[1:-1]
    window = prod(kernel) * c

    def work(some: list[Block]) -> Any:
        total = np.zeros((window, o), x.dtype)
        found = scratch("found", total.shape, x.dtype)
        for images, rows in some:
            columns, many = _columns(x, (images, rows), starts, kernel, stride, dilation, counts)
            whole = patch(y[images], "results", (rows.start, *[0] * (len(counts) - 1)), many).reshape(-1, o)
            np.matmul(columns.T, whole, out=found)
            total += found
        return total.reshape(*kernel, c, o)

    every = blocks(len(x), counts, window, _BLOCK)
    each = -(-len(every) // max(1, most))
    return [partial(work, every[k : k + each]) for k in range(0, len(every), max(1, each))]
