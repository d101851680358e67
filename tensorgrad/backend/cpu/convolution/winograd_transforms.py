"""The three matrices of Winograd's minimal filtering, from the points at which polynomials are evaluated.

m outputs of a filter of r taps are y = A [(G g) * (B d)], with d the n = m + r - 1 inputs that they read: n products
where m r are needed otherwise. A polynomial product is evaluated at n - 1 numbers and at infinity, multiplied there and
interpolated (Toom and Cook); the transpose of that algorithm is the correlation (Winograd, "Arithmetic complexity of
computations", 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016, section 4).
Over several axes the matrices are Kronecker products, and each transform is one matrix product.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np

# Few and small numbers, so that little is lost to rounding. With 1/2 in place of the usual 2 (a number and its negative
# reciprocal; Barabasz et al., "Error analysis and improving the accuracy of Winograd convolution for deep neural
# networks", 2020) the error of F(4x4, 3x3) over 64 channels is 2.4e-6 of the largest output, and 5.5e-6 with 2.
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "1/2", "-2")))
MOST = len(_POINTS) + 1  # inputs of a tile along an axis


class Transforms(NamedTuple):
    """Of tiles over several axes, in float32."""

    inputs: Any  # B: (n^axes, n^axes)
    filters: Any  # G: (n^axes, r^axes)
    outputs: Any  # A: (m^axes, n^axes)
    at_one: int  # which of the n^axes products adds itself to every output alike


def _times(polynomial: list[Fraction], root: Fraction) -> list[Fraction]:
    """A polynomial times (x - root), coefficients from the lowest."""
    shifted = [Fraction(0), *polynomial]
    return [high - root * low for high, low in zip(shifted, [*polynomial, Fraction(0)], strict=True)]


def _of_axis(m: int, r: int) -> tuple[Any, Any, Any]:
    """(B, G, A) along one axis, exact until the last step."""
    n = m + r - 1
    points = _POINTS[: n - 1]
    inputs, filters = [], []
    for point in points:
        others = [other for other in points if other != point]
        scale = reduce(lambda product, other: product * (point - other), others, Fraction(1))
        inputs.append([*reduce(_times, others, [Fraction(1)]), Fraction(0)])
        filters.append([point**k / scale for k in range(r)])
    inputs.append(reduce(_times, points, [Fraction(1)]))
    filters.append([Fraction(int(k == r - 1)) for k in range(r)])
    outputs = [[*[point**k for point in points], Fraction(int(k == m - 1))] for k in range(m)]
    inputs_, filters_, outputs_ = (np.array(rows, dtype=np.float64) for rows in (inputs, filters, outputs))
    return inputs_, filters_, outputs_


@lru_cache(maxsize=64)
def transforms(outputs: tuple[int, ...], taps: tuple[int, ...]) -> Transforms:
    """The matrices for so many outputs and taps along each axis.

    >>> transforms((2,), (3,)).outputs.tolist()
    [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 1.0]]
    """
    each = [_of_axis(m, r) for m, r in zip(outputs, taps, strict=True)]
    b, g, a = (np.ascontiguousarray(reduce(np.kron, matrices), np.float32) for matrices in zip(*each, strict=True))
    at_one = reduce(lambda place, matrices: place * len(matrices[0]) + _POINTS.index(Fraction(1)), each, 0)
    return Transforms(b, g, a, at_one)
