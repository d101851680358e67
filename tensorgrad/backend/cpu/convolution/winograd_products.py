"""Convolution with the channels last by Winograd's minimal filtering: tiles transformed, multiplied and put back.

A kernel of r taps at stride s is one of r / s taps at stride 1 over the s pixels of each place as so many more
channels; so is its transpose. Arrays are (n, h, .., c) of any strides, and a kernel is (kh, .., c, o), in float32.
Each transform is one matrix product over all tiles of a block. See winograd_transforms.py.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.blas import one_thread
from tensorgrad.backend.cpu.convolution.patches import Block, Sizes, Target, Work, blocks, patch, strided
from tensorgrad.backend.cpu.convolution.winograd_transforms import Transforms, transforms
from tensorgrad.backend.cpu.scratch import scratch
from tensorgrad.backend.cpu.small_products import by_columns, by_rows

_BLOCK = 1 << 19  # numbers of transformed tiles, inputs and results together, that are at work at once: two megabytes
_LEAST = 48  # tiles of a block, however many channels they have: fewer make poor matrix products


def _tiles(x: Any, images: slice, first: Sizes, tiles: Sizes, starts: Sizes, step: Sizes, m: Sizes, taps: Sizes) -> Any:
    """All inputs of some tiles, from the tile `first` on, in scratch memory.

    (n, h, .., c) -> (n^axes, tiles s .. c)
    """
    c = x.shape[-1]
    begin = [s0 + t * k * s for s0, t, k, s in zip(starts, first, m, step, strict=True)]
    sizes = [(t * k + r - 1) * s for t, k, r, s in zip(tiles, m, taps, step, strict=True)]
    part = patch(x[images], "patch", tuple(begin), tuple(sizes))
    strides = part.strides[1:-1]
    n = [k + r - 1 for k, r in zip(m, taps, strict=True)]
    shape = (*n, len(part), *tiles, *step, c)
    steps = (
        *[stride * s for stride, s in zip(strides, step, strict=True)],
        part.strides[0],
        *[stride * s * k for stride, s, k in zip(strides, step, m, strict=True)],
        *strides,
        part.strides[-1],
    )
    out = scratch("tiles", shape, np.float32)
    np.copyto(out, strided(part, shape, steps))
    return out.reshape(prod(n), -1)


def _blocks(n: int, tiles: Sizes, points: int, channels: int) -> list[Block]:
    return blocks(n, tiles, points * channels, max(_BLOCK, _LEAST * points * channels))


def _folded(filters: Any, step: Sizes) -> Any:
    """A kernel at stride `step` as one at stride 1.   (kh, .., c, o) -> (kh / s, .., s .. c, o)"""
    *kernel, c, o = filters.shape
    axes = len(step)
    taps = [k // s for k, s in zip(kernel, step, strict=True)]
    apart = filters.reshape(*[size for pair in zip(taps, step, strict=True) for size in pair], c, o)
    moved = apart.transpose(*range(0, 2 * axes, 2), *range(1, 2 * axes, 2), 2 * axes, 2 * axes + 1)
    return moved.reshape(*taps, prod(step) * c, o)


def _unfolded(filters: Any, step: Sizes) -> Any:
    """The inverse of `_folded`."""
    *taps, channels, o = filters.shape
    axes = len(step)
    apart = filters.reshape(*taps, *step, channels // prod(step), o)
    order = [place for axis in range(axes) for place in (axis, axes + axis)]
    moved = apart.transpose(*order, 2 * axes, 2 * axes + 1)
    return moved.reshape(*[k * s for k, s in zip(taps, step, strict=True)], channels // prod(step), o)


def correlating(
    x: Any, starts: Sizes, filters: Any, step: Sizes, m: Sizes, counts: Sizes, bias: Any, target: Target
) -> list[Work]:
    """Pieces of work that write the correlation at stride `step` at `counts` points, by tiles of m outputs.

    (n, h, .., c), (kh, .., c, o), (o,) or None; `step` divides the kernel's sizes.
    """
    folded = _folded(filters, step)
    *taps, channels, o = folded.shape
    by: Transforms = transforms(m, tuple(taps))
    points = len(by.inputs)
    with one_thread():
        kernel = (by.filters @ folded.reshape(-1, channels * o)).reshape(points, channels, o)
    tiles = tuple([-(-count // k) for count, k in zip(counts, m, strict=True)])
    axes = len(tiles)

    @np.errstate(invalid="ignore")  # of what is not finite the result tells
    def work(block: Block) -> None:
        images, rows = block
        many, first = (rows.stop - rows.start, *tiles[1:]), (rows.start, *[0] * (len(tiles) - 1))
        read = _tiles(x, images, first, many, starts, step, m, tuple(taps))
        number = read.shape[1] // channels
        inputs = scratch("transformed", read.shape, np.float32)
        by_columns(by.inputs, read, inputs)
        found = scratch("tiles", (points, number, o), np.float32)
        by_rows(inputs.reshape(points, number, channels), kernel, found)
        if bias is not None:
            found[by.at_one] += bias
        outputs = scratch("transformed", (len(by.outputs), number * o), np.float32)
        by_columns(by.outputs, found.reshape(points, -1), outputs)
        if target.whole and not any(count % k for count, k in zip(counts, m, strict=True)):
            outputs = outputs.reshape(*m, images.stop - images.start, *many, o)
            pixels = target.image[images, rows.start * m[0] : rows.stop * m[0]]
            pixels = pixels.reshape(len(pixels), *[size for pair in zip(many, m, strict=True) for size in pair], o)
            pixels[...] = outputs.transpose(axes, *[a for k in range(axes) for a in (axes + 1 + k, k)], 2 * axes + 1)
            return
        parts = (*target.parts, o // prod(target.parts))
        outputs = outputs.reshape(*m, images.stop - images.start, *many, *parts)
        begin = tuple([t * k for t, k in zip(first, m, strict=True)])
        if target.steps == target.parts:
            target.put_tiles(images, begin, outputs)
            return
        for place in product(*map(range, m)):
            target.put(images, tuple([t + i for t, i in zip(begin, place, strict=True)]), m, outputs[place])

    return [partial(work, block) for block in _blocks(len(x), tiles, points, channels + o)]


def correlating_filters(x: Any, starts: Sizes, y: Any, kernel: Sizes, step: Sizes, m: Sizes, most: int) -> list[Work]:
    """At most so many pieces of work; `filters_of` their sum is the gradient of a kernel.

    (n, h, .., c), (n, h', .., o); each gives (n^axes, s .. c, o).
    """
    taps = tuple([k // s for k, s in zip(kernel, step, strict=True)])
    channels, o, counts = prod(step) * x.shape[-1], y.shape[-1], y.shape[1:-1]
    by: Transforms = transforms(m, taps)
    points = len(by.inputs)
    back = np.ascontiguousarray(by.outputs.T)
    tiles = tuple([-(-count // k) for count, k in zip(counts, m, strict=True)])
    ones = (1,) * len(tiles)

    @np.errstate(invalid="ignore")
    def work(some: list[Block]) -> Any:
        total = np.zeros((points, channels, o), np.float32)
        found = scratch("found", total.shape, np.float32)
        for images, rows in some:
            many, first = (rows.stop - rows.start, *tiles[1:]), (rows.start, *[0] * (len(tiles) - 1))
            read = _tiles(x, images, first, many, starts, step, m, taps)
            number = read.shape[1] // channels
            inputs = scratch("transformed", read.shape, np.float32)
            by_columns(by.inputs, read, inputs)
            results = _tiles(y, images, first, many, (0,) * len(tiles), ones, m, ones)
            outputs = scratch("results", (points, results.shape[1]), np.float32)
            by_columns(back, results, outputs)
            inputs = inputs.reshape(points, number, channels).transpose(0, 2, 1)
            np.matmul(inputs, outputs.reshape(points, number, o), out=found)
            total += found
        return total

    every = _blocks(len(x), tiles, points, channels + o)
    each = -(-len(every) // max(1, most))
    return [partial(work, every[k : k + each]) for k in range(0, len(every), max(1, each))]


def filters_of(total: Any, kernel: Sizes, step: Sizes, m: Sizes) -> Any:
    """What the sum of products at all points says of the kernel.   (n^axes, s .. c, o) -> (kh, .., c, o)"""
    taps = tuple([k // s for k, s in zip(kernel, step, strict=True)])
    by = transforms(m, taps)
    with one_thread():
        folded = (by.filters.T @ total.reshape(len(by.inputs), -1)).reshape(*taps, *total.shape[1:])
    return _unfolded(folded, step)
