"""Which way a convolution is computed, from its shapes alone: by tiles, or by windows written out."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.convolution.winograd_transforms import MOST

Sizes = tuple[int, ...]

_winograd = True


def get_winograd() -> bool:
    """Whether float32 convolutions may be computed by Winograd's minimal filtering. See `set_winograd`.

    >>> import tensorgrad as tg
    >>> tg.get_winograd()
    True
    """
    return _winograd


def set_winograd(allowed: bool) -> None:
    """Allow, or not, float32 convolutions by Winograd's minimal filtering, where it is faster. It is allowed at first.

    Tiles of an image are transformed, multiplied and transformed back: up to four times fewer multiplications, with an
    error of up to 1e-5 of the largest result where a plain sum of products has some 1e-6. A value that is not finite
    makes its whole tile NaN, not only the windows it lies in. Other dtypes are never computed so.
    Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016.

    >>> import tensorgrad as tg
    >>> tg.set_winograd(False)
    >>> tg.set_winograd(True)
    """
    global _winograd
    _winograd = bool(allowed)


def tile_of(
    dtype: Any, n: int, c: int, o: int, kernel: Sizes, step: Sizes, dilation: Sizes, counts: Sizes
) -> Sizes | None:
    """Outputs of a tile along each axis, or None where windows written out are faster.

    step: divides the kernel's sizes, so that a kernel of r taps at stride s is one of r / s taps of s channels as many.
    """
    if not _winograd or dtype != np.float32 or set(dilation) != {1} or len(kernel) > 2:
        return None
    if any(k % s for k, s in zip(kernel, step, strict=True)):
        return None
    taps = tuple([k // s for k, s in zip(kernel, step, strict=True)])
    if min(taps) < 2 or max(taps) >= MOST or not prod(counts):
        return None
    return _measured(n, c * prod(step), o, taps, counts)


# Nanoseconds on one core with AVX-512, for one multiplication and addition: in products of the windows, of the tiles,
# and of the transforms, whose matrices are small; and for one number moved. Shapes alone decide, so that results do
# not depend on the machine. Measured in three readings of 12 shapes (3 to 512 channels, 7 to 64 pixels, 1 and 2 axes),
# what they choose is within a tenth of the fastest way in 25 of 36, and takes at most 1.3 times as long.
_DIRECT, _PRODUCT, _TRANSFORM, _MOVED = 0.018, 0.020, 0.032, 0.35


def _measured(n: int, c: int, o: int, taps: Sizes, counts: Sizes) -> Sizes | None:
    window = prod(taps)
    best, chosen = n * prod(counts) * c * window * (o * _DIRECT + _MOVED), None
    for m in product(*[range(2, MOST - r + 2) for r in taps]):
        points = prod([k + r - 1 for k, r in zip(m, taps, strict=True)])
        outputs = prod(m)
        tiles = n * prod([-(-count // k) for count, k in zip(counts, m, strict=True)])
        each = points * c * o * _PRODUCT + points * (points * c + outputs * o) * _TRANSFORM
        each += (points * c + outputs * o) * _MOVED
        if len(set(m)) == 1 and tiles * each < best:
            best, chosen = tiles * each, m
    return chosen
