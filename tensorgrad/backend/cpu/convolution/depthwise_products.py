"""Convolution of each channel on its own, channels last: one product and one sum for each place of a kernel.

Arrays are (n, h, .., c) of any strides, and a kernel is (kh, .., c, m), with m results for each channel. Matrices of
one column would be all that there is to multiply, so elementwise functions work on rows of an image in the cache.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.convolution.patches import Block, Sizes, Work, blocks, patch
from tensorgrad.backend.cpu.scratch import scratch

LEAST = 16  # channels below which each is better convolved as an image of its own
_BLOCK = 1 << 17  # results at work at once: with what they are made of they fill a core's cache


def _views(
    x: Any, block: Block, starts: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, counts: Sizes
) -> tuple[list[Any], Sizes]:
    """What each place of the kernel reads in a block, and how many results lie along each axis."""
    images, rows = block
    many = (rows.stop - rows.start, *counts[1:])
    reach = [(count - 1) * s + (k - 1) * d + 1 for count, s, k, d in zip(many, stride, kernel, dilation, strict=True)]
    part = patch(x[images], "patch", (starts[0] + rows.start * stride[0], *starts[1:]), tuple(reach))
    found = []
    for place in product(*map(range, kernel)):
        each = zip(place, many, stride, dilation, strict=True)
        found.append(part[(slice(None), *[slice(i * d, i * d + s * (count - 1) + 1, s) for i, count, s, d in each])])
    return found, many


def correlating(
    x: Any, starts: Sizes, filters: Any, stride: Sizes, dilation: Sizes, counts: Sizes, bias: Any, out: Any
) -> list[Work]:
    """Pieces of work that write the correlation.   (n, h, .., c), (kh, .., c, m), (c m,) or None, (n, h', .., c m)"""
    *kernel, c, m = filters.shape
    # A row of numbers for a row of the image: with one for all pixels, each pixel would be a loop of its own.
    rows = np.broadcast_to(filters.reshape(-1, 1, c, m).transpose(0, 3, 1, 2), (prod(kernel), m, counts[-1], c)).copy()

    def work(block: Block) -> None:
        views, many = _views(x, block, starts, tuple(kernel), stride, dilation, counts)
        shape = (len(views[0]), *many, c)
        result, term = scratch("found", shape, x.dtype), scratch("term", shape, x.dtype)
        for k in range(m):
            place = out[block][..., k::m]
            whole = place if place.flags.c_contiguous else result
            mine = rows[:, k, : many[-1]]
            np.multiply(views[0], mine[0], out=whole)
            for view, row in zip(views[1:], mine[1:], strict=True):
                np.multiply(view, row, out=term)
                whole += term
            if bias is not None:
                whole += bias[k::m]
            if whole is result:
                place[...] = result

    return [partial(work, block) for block in blocks(len(x), counts, c, _BLOCK)]


def spreading(y: Any, starts: Sizes, filters: Any, stride: Sizes, dilation: Sizes, bias: Any, out: Any) -> list[Work]:
    """Pieces of work that write the adjoint in the image.   (n, h', .., c m), (kh, .., c, m), (c,), (n, h, .., c)

    starts: where the first window begins, in pixels of `out`.
    """
    *kernel, c, m = filters.shape
    counts = y.shape[1:-1]
    rows = np.broadcast_to(filters.reshape(-1, 1, c, m).transpose(0, 3, 1, 2), (prod(kernel), m, counts[-1], c)).copy()
    each = list(zip(out.shape[1:-1], counts, kernel, starts, stride, dilation, strict=True))
    sizes = [
        max(size - min(start, 0), (n - 1) * s + (k - 1) * d + 1 + max(start, 0)) for size, n, k, start, s, d in each
    ]
    inner = tuple([slice(max(0, -start), max(0, -start) + size) for size, _, _, start, _, _ in each])
    begin = [max(0, start) for start in starts]

    def work(block: Block) -> None:
        images, _ = block
        whole = scratch("whole", (images.stop - images.start, *sizes, c), y.dtype)
        whole[...] = 0 if bias is None else bias
        results = patch(y[images], "results", (0,) * len(counts), counts)
        term = scratch("term", (len(whole), *counts, c), y.dtype)
        for number, place in enumerate(product(*map(range, kernel))):
            moves = zip(begin, place, counts, stride, dilation, strict=True)
            key = [slice(b + i * d, b + i * d + s * (n - 1) + 1, s) for b, i, n, s, d in moves]
            there = whole[(slice(None), *key)]
            for k in range(m):
                np.multiply(results[..., k::m], rows[number, k], out=term)
                there += term
        out[images] = whole[(slice(None), *inner)]

    return [partial(work, block) for block in blocks(len(y), (1,), c * prod(sizes), _BLOCK)]


def correlating_filters(
    x: Any, starts: Sizes, y: Any, kernel: Sizes, stride: Sizes, dilation: Sizes, most: int
) -> list[Work]:
    """At most so many pieces of work; their sum is the gradient of a kernel.   (n, h, .., c), (n, h', .., c m)

    Each gives (kh, .., c, m).
    """
    c, counts = x.shape[-1], y.shape[1:-1]
    m = y.shape[-1] // c

    def work(some: list[Block]) -> Any:
        total = np.zeros((m, prod(kernel), c), x.dtype)
        for block in some:
            views, many = _views(x, block, starts, kernel, stride, dilation, counts)
            images, rows = block
            results = patch(y[images], "results", (rows.start, *[0] * (len(counts) - 1)), many)
            term = scratch("term", (len(results), *many, c), x.dtype)
            ones = np.ones(term.size // c, x.dtype)
            for k, (number, view) in product(range(m), enumerate(views)):
                np.multiply(view, results[..., k::m], out=term)
                total[k, number] += ones @ term.reshape(-1, c)
        return np.moveaxis(total, 0, -1).reshape(*kernel, c, m)

    every = blocks(len(x), counts, c, _BLOCK)
    each = -(-len(every) // max(1, most))
    return [partial(work, every[k : k + each]) for k in range(0, len(every), max(1, each))]
