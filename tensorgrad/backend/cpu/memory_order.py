"""The order in which an array's axes lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Axes = tuple[int, ...]


def axes_in_memory(array: Any) -> Axes:
    """The axes, the outermost in memory first; those of one stride as they come.

    >>> import numpy as np
    >>> axes_in_memory(np.ones((2, 3, 4)).transpose(0, 2, 1))
    (0, 2, 1)
    """
    strides = array.strides
    return tuple(sorted(range(array.ndim), key=lambda axis: -strides[axis]))


def axes_side_by_side(array: Any) -> Axes | None:
    """As `axes_in_memory`; None where there are gaps between the numbers.

    >>> import numpy as np
    >>> axes_side_by_side(np.ones((2, 3)).T), axes_side_by_side(np.ones((2, 3))[:, ::2])
    ((1, 0), None)
    """
    order = axes_in_memory(array)
    return order if array.transpose(order).flags.c_contiguous else None


def back(order: Sequence[int]) -> list[int]:
    """The order of axes that undoes another: x.transpose(order).transpose(back(order)) is x.

    >>> back((2, 0, 1))
    [1, 2, 0]
    """
    return sorted(range(len(order)), key=order.__getitem__)


__all__ = ["Axes", "axes_in_memory", "axes_side_by_side", "back"]
