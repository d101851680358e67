"""The base of metrics: sums over batches, and a figure made of the sums."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tensorgrad.backend import is_array, to_numpy
from tensorgrad.tensor import Tensor


class Metric:
    """A figure over a whole data set, from batches: `update(output, y)` for each, then `compute()`.

    A subclass gives `start()`, the sums before the first batch by name; `add(sums, output, y)`, which changes them and
    is handed ndarrays in host memory; and `figure(sums)`. The figure is the same however the rows are cut into batches,
    and the sums are what a checkpoint holds.

    >>> class Largest(Metric):
    ...     def start(self):
    ...         return {"largest": -np.inf}
    ...     def add(self, sums, output, y):
    ...         sums["largest"] = max(sums["largest"], float(output.max()))
    ...     def figure(self, sums):
    ...         return sums["largest"]
    >>> largest = Largest()
    >>> largest.update([1.0, 5.0], [0, 0])
    >>> largest.update([3.0], [0])
    >>> largest.compute()
    5.0
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._sums = self.start()
        self._any = False

    def update(self, output: Any, y: Any) -> None:
        """Add a batch.   (n, ...), (n, ...)"""
        self.add(self._sums, on_host(output), on_host(y))
        self._any = True

    def compute(self) -> Any:
        """The figure over all batches since `reset`. Raises ValueError when there was none."""
        if not self._any:
            raise ValueError(f"{type(self).__name__}: there was no batch; call update(output, y) before compute()")
        return self.figure(self._sums)

    def start(self) -> dict[str, Any]:
        """The sums before the first batch: numbers, lists and ndarrays by name."""
        raise NotImplementedError(f"{type(self).__name__} needs a method start()")

    def add(self, sums: dict[str, Any], output: Any, y: Any) -> None:
        """Add a batch to the sums."""
        raise NotImplementedError(f"{type(self).__name__} needs a method add(sums, output, y)")

    def figure(self, sums: dict[str, Any]) -> Any:
        """The figure of the sums."""
        raise NotImplementedError(f"{type(self).__name__} needs a method figure(sums)")

    def state_dict(self) -> dict[str, Any]:
        """The sums, for a checkpoint."""
        return {"sums": copy.deepcopy(self._sums), "any": self._any}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from sums that `state_dict` gave."""
        self._sums, self._any = copy.deepcopy(state["sums"]), state["any"]


def on_host(value: Any) -> Any:
    """A tensor, array or list as an ndarray in host memory, without its tape."""
    if isinstance(value, Tensor):
        value = value.data
    return to_numpy(value) if is_array(value) else np.asarray(value)


def same_rows(name: str, output: Any, y: Any) -> None:
    """Raise ValueError unless both have the same number of rows."""
    if len(output) != len(y):
        raise ValueError(
            f"{name}: output has {len(output)} rows and y has {len(y)}; shapes {output.shape} and {y.shape}"
        )


def same_shapes(name: str, output: Any, y: Any) -> None:
    """Raise ValueError unless both have the same shape."""
    if output.shape != y.shape:
        raise ValueError(
            f"{name}: output has the shape {output.shape} and y the shape {y.shape}; they must be the same"
        )
