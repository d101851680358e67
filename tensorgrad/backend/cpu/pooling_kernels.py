"""Pooling on NumPy: a pass for each place of a kernel along each axis, some images at a time, in the image's order.

No window is written out. What is larger than a core's cache is cut into groups of images, which the pool shares.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.buffers import room, room_like
from tensorgrad.backend.cpu.convolution.patches import done
from tensorgrad.backend.cpu.memory_order import axes_in_memory, back
from tensorgrad.backend.cpu.window_kernels import Sizes, counts_of, reads
from tensorgrad.backend.kernels import kernel

_BLOCK = 1 << 17  # numbers of an image that are at work at once: half a megabyte of float32
_PASS = 64  # multiplications that a pass over a number is worth, in `done`'s measure


def _groups(n: int, numbers: int) -> list[slice]:
    """Images in groups of so many numbers each."""
    each = max(1, _BLOCK // max(1, numbers))
    return [slice(k, min(n, k + each)) for k in range(0, n, each)]


def _over_images(work: Callable[[slice], None], x: Any, passes: int) -> None:
    done([partial(work, some) for some in _groups(len(x), prod(x.shape[1:]))], x.size * passes * _PASS)


def _unpadded(kernel_size: Sizes) -> tuple[tuple[int, int], ...]:
    return ((0, 0),) * len(kernel_size)


def _along(axis: int, place: int, count: int, stride: int, dilation: int) -> tuple[slice, ...]:
    first = place * dilation
    return (*(slice(None),) * (2 + axis), slice(first, first + stride * (count - 1) + 1, stride))


def _running(combine: Any) -> Callable[..., Any]:
    """A reduction of every window, along one axis after another."""

    def run(xp: Any, x: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
        counts = counts_of(x.shape[2:], kernel_size, stride, _unpadded(kernel_size), dilation)
        out = room_like(x, (*x.shape[:2], *counts))

        def work(images: slice) -> None:
            part = x[images]
            for axis, (k, count, s, d) in enumerate(zip(kernel_size, counts, stride, dilation, strict=True)):
                shape = (*part.shape[: 2 + axis], count, *part.shape[3 + axis :])
                found = out[images] if axis == len(counts) - 1 else np.empty_like(part, shape=shape)
                first = part[_along(axis, 0, count, s, d)]
                if count == 1 and d == 1:
                    combine.reduce(part[_along(axis, 0, k, 1, 1)], axis=2 + axis, out=found, keepdims=True)
                elif k == 1:
                    np.copyto(found, first)
                for place in range(1, k if count > 1 or d > 1 else 1):
                    before = first if place == 1 else found
                    combine(before, part[_along(axis, place, count, s, d)], out=found)
                part = found

        _over_images(work, x, sum(kernel_size))
        return out

    return run


for _name, _combine in (("max_windows", np.maximum), ("min_windows", np.minimum), ("sum_windows", np.add)):
    kernel(_name, "numpy")(_running(_combine))


@kernel("spread_windows", "numpy")
def _spread(xp: Any, y: Any, size: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    out = room_like(y, (*y.shape[:2], *size))

    def work(images: slice) -> None:
        part = y[images]
        for axis, (length, k, s, d) in enumerate(zip(size, kernel_size, stride, dilation, strict=True)):
            count = part.shape[2 + axis]
            shape = (*part.shape[: 2 + axis], length, *part.shape[3 + axis :])
            found = out[images] if axis == len(size) - 1 else np.empty_like(part, shape=shape)
            if d > 1 or s != k or s * count != length:
                found[...] = 0
            for place in range(k):
                where = _along(axis, place, count, s, d)
                if d == 1 and s >= k:
                    found[where] = part
                else:
                    found[where] += part
            part = found

    _over_images(work, out, sum(kernel_size))
    return out


@kernel("attained_windows", "numpy")
def _attained(xp: Any, x: Any, y: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    counts = y.shape[2:]
    order = axes_in_memory(x)
    memory = room((prod(kernel_size), *[y.shape[axis] for axis in order]), np.bool_)
    best = memory.transpose(0, *[1 + axis for axis in back(order)])

    def work(images: slice) -> None:
        for number, place in enumerate(product(*map(range, kernel_size))):
            np.equal(x[images][reads(place, counts, stride, dilation)], y[images], out=best[number, images])

    _over_images(work, y, prod(kernel_size))
    return np.moveaxis(best, 0, 2)


def _over_ties(y: Any, best: Any) -> Any:
    """y divided by how many attain it.   (n, c, h', ..), (k, n, c, h', ..) bool"""
    ties = np.add.reduce(best.view(np.uint8), axis=0, dtype=np.uint8 if len(best) < 256 else np.intp)
    if ties.size and ties.max() > 1:
        return y / np.maximum(ties, 1).astype(y.dtype)
    return y


@kernel("share_windows", "numpy")
def _share(xp: Any, y: Any, best: Any, size: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    counts, places = y.shape[2:], list(product(*map(range, kernel_size)))
    best = np.moveaxis(best, 2, 0)
    apart = all(d == 1 and s >= k for k, s, d in zip(kernel_size, stride, dilation, strict=True))
    whole = apart and all(
        k == s and s * count == length for k, s, count, length in zip(kernel_size, stride, counts, size, strict=True)
    )
    out = room_like(best[0], (*y.shape[:2], *size), y.dtype)
    if not whole:
        out.fill(0)

    def work(images: slice) -> None:
        mine = out[images]
        shares, each = y[images], np.empty_like(best[0, images], dtype=y.dtype)
        if shares.strides != each.strides:  # put into the image's order once, not once for each place
            np.copyto(each, shares)
            shares, each = each, np.empty_like(each)
        shares = _over_ties(shares, best[:, images])
        for number, place in enumerate(places):
            there = mine[reads(place, counts, stride, dilation)]
            if apart:
                np.multiply(shares, best[number, images], out=there)
            else:
                there += np.multiply(shares, best[number, images], out=each)

    _over_images(work, y, 3 * len(places))
    return out


@kernel("gather_windows", "numpy")
def _gather(xp: Any, x: Any, best: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    counts = best.shape[3:]
    best = np.moveaxis(best, 2, 0)
    out = room_like(x, (*x.shape[:2], *counts))
    out.fill(0)

    def work(images: slice) -> None:
        mine = out[images]
        for number, place in enumerate(product(*map(range, kernel_size))):
            mine += x[images][reads(place, counts, stride, dilation)] * best[number, images]
        mine[...] = _over_ties(mine, best[:, images])

    _over_images(work, out, 3 * prod(kernel_size))
    return out
