"""What each pixel reads when an axis gets another size: places and weights, in host memory.

A position is counted in pixels from the middle of the first one. Kernels of all libraries read these tables.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

Stretch = tuple[str, int, int, float, bool]  # rule, pixels before, pixels after, pixels before per pixel after, align
Taps = tuple[Any, Any]  # for each pixel after: the places it reads, and their weights; both (after, taps)

CUBIC = -0.75  # the free parameter of Keys, 1981, eq. 15, as PyTorch and OpenCV choose it
SMOOTH_CUBIC = -0.5  # the same with antialias, as PyTorch and Pillow choose it


@lru_cache(maxsize=256)
def taps_of(stretch: Stretch) -> Taps:
    """What each pixel reads when an axis is stretched."""
    rule, before, after, step, align_corners = stretch
    pixels = np.arange(after)
    if rule.startswith("smooth"):
        return _smooth_taps(stretch)
    if rule.startswith("nearest"):
        offset = 0.5 if rule == "nearest-exact" else 0.0
        # In integers where the step is a ratio of sizes: (i + 0) * n / m in floating point may fall short of a pixel.
        ratio = step == before / after
        doubled = 2 * pixels + int(2 * offset)
        places = doubled * before // (2 * after) if ratio else np.floor((pixels + offset) * step).astype(np.int64)
        return np.minimum(places, before - 1)[:, None], np.ones((after, 1))
    if align_corners:
        positions = pixels * ((before - 1) / (after - 1) if after > 1 else 0.0)
    else:
        positions = (pixels + 0.5) * step - 0.5
    if rule == "linear":
        positions = np.clip(positions, 0, before - 1)
        low = np.floor(positions).astype(np.int64)
        t = positions - low
        # On a pixel both taps are that pixel, half and half: a weight of 0 would make NaN of an infinite neighbour.
        high = low + (t > 0)
        t = np.where(t > 0, t, 0.5)
        return np.stack([low, high], 1), np.stack([1 - t, t], 1)
    low = np.floor(positions).astype(np.int64)
    places = np.clip(low[:, None] + np.arange(-1, 3), 0, before - 1)
    return places, np.stack(cubic_weights(positions - low), axis=1)


def _near(d: Any, a: float) -> Any:
    """What a pixel weighs at a distance up to 1.   Keys, 1981, eq. 15"""
    return ((a + 2) * d - (a + 3)) * d * d + 1


def _far(d: Any, a: float) -> Any:
    """What a pixel weighs at a distance from 1 to 2."""
    return ((d - 5) * d + 8) * d * a - 4 * a


def cubic_weights(t: Any) -> list[Any]:
    """What the pixels at -1, 0, 1 and 2 weigh at a position t in [0, 1)."""
    return [_far(1 + t, CUBIC), _near(t, CUBIC), _near(1 - t, CUBIC), _far(2 - t, CUBIC)]


def _smooth_taps(stretch: Stretch) -> Taps:
    """Taps of an axis that is made smaller: the kernel is made as wide as a new pixel, and its weights sum to 1."""
    rule, before, after, step, align_corners = stretch
    if align_corners:
        step = (before - 1) / (after - 1) if after > 1 else 0.0
    width = max(step, 1.0)
    radius = width * (2.0 if rule == "smooth cubic" else 1.0)
    centres = (np.arange(after) + 0.5) * step
    first = np.maximum((centres - radius + 0.5).astype(np.int64), 0)
    ends = np.minimum((centres + radius + 0.5).astype(np.int64), before)
    places = first[:, None] + np.arange(max(1, (ends - first).max()))
    distances = np.abs(places + 0.5 - centres[:, None]) / width
    if rule == "smooth cubic":
        weights = np.where(distances <= 1, _near(distances, SMOOTH_CUBIC), _far(distances, SMOOTH_CUBIC))
    else:
        weights = 1 - distances
    weights = np.where((places < ends[:, None]) & (distances < radius / width), weights, 0.0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    # No tap weighs 0, which would make NaN of an infinite pixel: those that would share the heaviest one.
    heaviest = np.argmax(np.abs(weights), axis=1)[:, None]
    shares = (weights == 0) | (np.arange(places.shape[1]) == heaviest)
    split = np.take_along_axis(weights, heaviest, axis=1) / shares.sum(axis=1, keepdims=True)
    return np.where(shares, np.take_along_axis(places, heaviest, axis=1), places), np.where(shares, split, weights)


@lru_cache(maxsize=256)
def taps_back(stretch: Stretch) -> Taps:
    """What each pixel before is read by: the taps of the adjoint, rows made equally long by weights of 0."""
    places, weights = taps_of(stretch)
    size = stretch[1]
    readers = np.repeat(np.arange(places.shape[0]), places.shape[1])[weights.reshape(-1) != 0]
    read, values = places[weights != 0], weights[weights != 0]
    order = np.argsort(read, kind="stable")
    readers, read, values = readers[order], read[order], values[order]
    counts = np.bincount(read, minlength=size)
    rank = np.arange(read.size) - (np.cumsum(counts) - counts)[read]
    back, back_weights = np.zeros((size, max(1, counts.max())), np.int64), np.zeros((size, max(1, counts.max())))
    back[read[rank == 0]] = readers[rank == 0][:, None]  # a weight of 0 stands on a place that is read anyway
    back[read, rank], back_weights[read, rank] = readers, values
    return back, back_weights
