"""Windows: stretches of a series, each with what comes after it."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tensorgrad import ops
from tensorgrad.creation import asarray
from tensorgrad.data.datasets import Dataset
from tensorgrad.tensor import Tensor


class WindowDataset(Dataset):
    """Every stretch of `length` steps of a series, with its target.   (t, ...) -> (length, ...), (horizon, ...)

    series: (t, ...), of numbers or of token ids. targets: another series of the same number of steps that the target
    is taken from, such as one column; the series itself when None. horizon: the target is the `horizon` steps after
    the window; with None it is the window moved on by one step, so that each step has the next one as its target, as
    for a language model. stride: how far each window is from the one before; `length` makes them disjoint.
    Raises ValueError for a series too short for one window, and for a length, horizon or stride below 1.

    >>> x, y = WindowDataset([1, 2, 3, 4, 5], length=3).batch([0, 1])
    >>> y
    Tensor([[2, 3, 4],
            [3, 4, 5]])
    >>> WindowDataset([1, 2, 3, 4, 5], length=3, horizon=1)[1]
    (Tensor([2, 3, 4]), Tensor([5]))
    """

    def __init__(
        self, series: Any, length: int, targets: Any = None, horizon: int | None = None, stride: int = 1
    ) -> None:
        self.series = asarray(series)
        self.targets = self.series if targets is None else asarray(targets)
        self.length, self.horizon, self.stride = length, horizon, stride
        if min(length, stride, 1 if horizon is None else horizon) < 1:
            raise ValueError(
                f"WindowDataset: length is {length}, horizon {horizon}, stride {stride}; expected at least 1"
            )
        steps = [each.shape[0] if each.shape else 0 for each in (self.series, self.targets)]
        needed = length + (1 if horizon is None else horizon)
        if steps[0] != steps[1] or steps[0] < needed:
            raise ValueError(
                f"WindowDataset: the series has {steps[0]} steps, the targets {steps[1]}; expected as many in both, at "
                f"least {needed} for a window of {length} and its target"
            )
        self._count = (steps[0] - needed) // stride + 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        row = operator.index(index)
        if not -self._count <= row < self._count:
            raise IndexError(f"WindowDataset: there is no window {row} among {self._count}")
        x, y = self.batch([row % self._count])
        return x[0], y[0]

    def batch(self, rows: Any) -> tuple[Tensor, Tensor]:
        """Windows and their targets, gathered at once.   (k,) int -> (k, length, ...), (k, horizon, ...)"""
        starts = np.asarray(rows, np.int64)[:, None] * self.stride
        x = starts + np.arange(self.length)
        y = x + 1 if self.horizon is None else starts + self.length + np.arange(self.horizon)
        return _steps(self.series, x), _steps(self.targets, y)


def _steps(series: Tensor, places: Any) -> Tensor:
    taken: Tensor = ops.take(series, asarray(places, device=series.device), axis=0)
    return taken
