"""Pieces of images with the channels last: what a piece of work reads, zero beyond the image, and where it writes.

Arrays are (n, h, .., c) of any strides; geometry is as in ops/windows.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tensorgrad.backend.cpu.blas import one_thread
from tensorgrad.backend.cpu.scratch import scratch
from tensorgrad.backend.cpu.workers import share

Sizes = tuple[int, ...]
Block = tuple[slice, slice]  # of images, and of rows along the first spatial axis
Work = Callable[[], Any]

_WORTH_SHARING = 1 << 25  # multiplications: half a millisecond of one core, five times what it costs to wake another


def done(works: Sequence[Work], multiplications: int) -> list[Any]:
    """The results of independent pieces of work, in order; products inside run on the thread that calls them."""
    with one_thread():
        if multiplications < _WORTH_SHARING:
            return [work() for work in works]
        return share(lambda work: work(), works)


def blocks(n: int, counts: Sizes, numbers: int, limit: int) -> list[Block]:
    """The rows of n images in blocks: several images at a time, or some rows of one; `numbers` for every pixel."""
    row = max(1, prod(counts[1:]) * numbers)
    if counts[0] * row <= limit:
        images = limit // max(1, counts[0] * row)
        images = -(-n // max(1, -(-n // images)))  # as even as may be
        return [(slice(i, min(n, i + images)), slice(0, counts[0])) for i in range(0, n, max(1, images))]
    rows = max(1, limit // row)
    rows = -(-counts[0] // -(-counts[0] // rows))
    return [
        (slice(i, i + 1), slice(a, min(counts[0], a + rows))) for i, a in product(range(n), range(0, counts[0], rows))
    ]


def patch(x: Any, name: str, starts: Sizes, sizes: Sizes) -> Any:
    """The part of each image from `starts`, zero where that lies beyond it.   (n, h, .., c) -> (n, *sizes, c)

    A view of x where it lies inside and its channels lie side by side, scratch memory otherwise.
    """
    each = list(zip(x.shape[1:-1], starts, sizes, strict=True))
    inside = [slice(max(0, -start), max(0, min(size, length - start))) for length, start, size in each]
    source = x[(slice(None), *[slice(max(0, start), max(0, start + size)) for _, start, size in each])]
    if source.shape[1:-1] == sizes and (x.strides[-1] == x.itemsize or x.shape[-1] == 1):
        return source
    out = scratch(name, (len(x), *sizes, x.shape[-1]), x.dtype)
    for axis, (part, size) in enumerate(zip(inside, sizes, strict=True), 1):
        before = (slice(None),) * axis
        if part.start == 1 and part.stop == size - 1:
            out[(*before, slice(None, None, size - 1))] = 0  # both at once: after each call threads wait for each other
            continue
        if part.start > 0:
            out[(*before, slice(0, min(size, part.start)))] = 0
        if part.stop < size:
            out[(*before, slice(part.stop, size))] = 0
    if source.size:
        out[(slice(None), *inside)] = _apart(source)
    return out


def strided(part: Any, shape: Sizes, strides: Sizes) -> Any:
    """A view of other strides. `as_strided` takes 8 us of Python for it, and another thread may have to wait so long.

    >>> strided(np.arange(4), (2, 3), (8, 8)).tolist()
    [[0, 1, 2], [1, 2, 3]]
    """
    if part.flags.c_contiguous:
        return np.ndarray(shape, part.dtype, part, 0, strides)
    return as_strided(part, shape, strides, writeable=False)


def _apart(source: Any) -> Any:
    """The same numbers, with channels that do not lie whole pages apart.

    Lines of a cache that are 4096 bytes apart take one another's place: to lay the channels of 32 x 32 pixels last took
    five times as long as to copy them first.
    """
    if source.strides[-1] % 512 or source.shape[-1] < 16:
        return source
    n, *sizes, c = source.shape
    lines = scratch("lines", (n, c, prod(sizes) + 16), source.dtype)[:, :, : prod(sizes)].reshape(n, c, *sizes)
    np.copyto(lines, source.transpose(0, len(sizes) + 1, *range(1, len(sizes) + 1)))
    return np.moveaxis(lines, 1, -1)


class Target(NamedTuple):
    """Where results on a grid of points go: each point holds some pixels of an image, by `step` along each axis."""

    image: Any  # (n, h, .., c)
    starts: Sizes  # the pixel of point 0
    steps: Sizes  # pixels from one point to the next
    parts: Sizes  # pixels side by side that a point holds, along each axis; what lies beyond the image is dropped

    @property
    def whole(self) -> bool:
        """Whether a point is a pixel."""
        return not any(self.starts) and set(self.steps) == {1} and set(self.parts) == {1}

    def put(self, images: slice, first: Sizes, apart: Sizes, values: Any) -> None:
        """Write the points `first`, `first` + apart, ..   values: (n, k, .., parts, .., c)"""
        axes = len(first)
        for part in product(*map(range, self.parts)):
            reads, writes = [], []
            counts = values.shape[1 : 1 + axes]
            each = zip(self.image.shape[1:-1], counts, self.starts, self.steps, first, apart, part, strict=True)
            for size, count, start, step, point, far, inner in each:
                pixel, stride = start + step * point + inner, step * far
                low = max(0, -(pixel // stride)) if pixel < 0 else 0
                high = min(count, (size - 1 - pixel) // stride + 1)
                if high <= low:
                    break
                reads.append(slice(low, high))
                writes.append(slice(pixel + stride * low, pixel + stride * (high - 1) + 1, stride))
            if len(reads) == axes:
                self.image[(images, *writes)] = values[(slice(None), *reads, *part)]

    def put_tiles(self, images: slice, first: Sizes, values: Any) -> None:
        """Write tiles of points from `first` on, where the pixels of one point end where those of the next begin.

        values: (*tile, n, tiles, .., parts, .., c). In two passes: one for each place of a tile would be many short
        ones, after each of which threads wait for the interpreter.
        """
        axes = len(first)
        tile, n, many = values.shape[:axes], values.shape[axes], values.shape[axes + 1 : 2 * axes + 1]
        apart = [size for sizes in zip(many, tile, self.parts, strict=True) for size in sizes]
        lengths = [prod(sizes) for sizes in zip(many, tile, self.parts, strict=True)]
        pixels = scratch("pixels", (n, *lengths, values.shape[-1]), values.dtype)
        order = [place for axis in range(axes) for place in (axes + 1 + axis, axis, 2 * axes + 1 + axis)]
        np.copyto(pixels.reshape(n, *apart, values.shape[-1]), values.transpose(axes, *order, 3 * axes + 1))
        reads, writes = [], []
        each = zip(self.image.shape[1:-1], lengths, self.starts, self.steps, first, strict=True)
        for size, length, start, step, point in each:
            begin = start + step * point
            low, high = max(0, begin), min(size, begin + length)
            if high <= low:
                return
            writes.append(slice(low, high))
            reads.append(slice(low - begin, high - begin))
        self.image[(images, *writes)] = pixels[(slice(None), *reads)]
