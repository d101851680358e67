"""Scalers: fitted once, on the training data, and applied to all."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad import backend
from tensorgrad.creation import asarray
from tensorgrad.tensor import Tensor


class Scaler:
    """What the scalers share: (x - offset) / scale, with an offset and a scale that `fit` finds once.

    axis: the axes that figures are taken over; 0 gives one per feature of a table (n, ...), (0, 2, 3) one per channel
    of images (n, c, h, w). Not for use by itself.
    """

    def __init__(self, axis: int | tuple[int, ...] = 0) -> None:
        self.axis = axis
        self.offset: Any = None
        self.scale: Any = None

    def fit(self, x: Any) -> Any:
        """Find offset and scale in the training data, and return the scaler.   (n, ...) -> scaler

        A feature that never changes gets the scale 1. Raises RuntimeError when the scaler is fitted already: a second
        fit is nearly always a leak of test data. Raises ValueError for no rows and for NaN or infinity.
        """
        name = type(self).__name__
        if self.scale is not None:
            raise RuntimeError(
                f"{name}.fit: this scaler is fitted already; transform other data with it, or make a new {name}"
            )
        values = backend.to_numpy(x.data if isinstance(x, Tensor) else x).astype(np.float64)
        if not values.size or not np.all(np.isfinite(values)):
            raise ValueError(f"{name}.fit: expected finite numbers, got {_fault(values)} in shape {values.shape}")
        offset, scale = self._figures(values)
        self.offset, self.scale = offset, np.where(scale > 0, scale, 1.0)
        return self

    def _figures(self, values: Any) -> tuple[Any, Any]:
        raise NotImplementedError(f"{type(self).__name__} needs a method _figures")

    def transform(self, x: Any) -> Tensor:
        """(x - offset) / scale, in the dtype of x.   (m, ...) -> (m, ...)

        Gradients reach a tensor. Raises RuntimeError before `fit`.
        """
        tensor, offset, scale = self._operands("transform", x)
        scaled: Tensor = (tensor - offset) / scale
        return scaled

    def inverse_transform(self, x: Any) -> Tensor:
        """x scale + offset: back in the units of the data.   (m, ...) -> (m, ...)

        Gradients reach a tensor. Raises RuntimeError before `fit`.
        """
        tensor, offset, scale = self._operands("inverse_transform", x)
        restored: Tensor = tensor * scale + offset
        return restored

    def fit_transform(self, x: Any) -> Tensor:
        """`fit`, and the training data scaled.   (n, ...) -> (n, ...)"""
        fitted: Scaler = self.fit(x)
        return fitted.transform(x)

    def _operands(self, what: str, x: Any) -> tuple[Tensor, Tensor, Tensor]:
        name = type(self).__name__
        if self.scale is None:
            raise RuntimeError(f"{name}.{what}: this scaler is not fitted; call fit(x) with the training data first")
        tensor = asarray(x)
        if tensor.dtype.kind != "f":
            tensor = asarray(tensor, dtype=backend.get_default_dtype())
        offset, scale = (asarray(each.astype(tensor.dtype), device=tensor.device) for each in (self.offset, self.scale))
        return tensor, offset, scale

    def state_dict(self) -> dict[str, Any]:
        """Offset and scale, ndarrays in float64; None before `fit`."""
        return {"offset": self.offset, "scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over offset and scale of another scaler of the same kind.

        >>> first, second = StandardScaler().fit([[1.0], [3.0]]), StandardScaler()
        >>> second.load_state_dict(first.state_dict())
        >>> second.transform([[3.0]])
        Tensor([[1.]], dtype=float32)
        """
        if set(state) != {"offset", "scale"}:
            raise ValueError(f"{type(self).__name__}.load_state_dict: expected offset and scale, got {sorted(state)}")
        self.offset, self.scale = (
            None if state[key] is None else backend.to_numpy(asarray(state[key]).data).astype(np.float64)
            for key in ("offset", "scale")
        )


class StandardScaler(Scaler):
    """Each feature with mean 0 and deviation 1 on the training data (the deviation over n, as scikit-learn has it).

    >>> scaler = StandardScaler().fit([[1.0, 10.0], [3.0, 10.0]])
    >>> scaler.transform([[5.0, 11.0]])
    Tensor([[3., 1.]], dtype=float32)
    >>> scaler.inverse_transform([[3.0, 1.0]])
    Tensor([[ 5., 11.]], dtype=float32)
    """

    def _figures(self, values: Any) -> tuple[Any, Any]:
        mean = values.mean(axis=self.axis, keepdims=True)
        deviation = values.std(axis=self.axis, keepdims=True)
        # A feature of equal numbers may have a deviation of some roundings of its mean.
        deviation[deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 0
        return mean, deviation


class MinMaxScaler(Scaler):
    """Each feature from 0 to 1 on the training data; other data may go beyond.

    >>> MinMaxScaler().fit([[1.0], [3.0]]).transform([[2.0], [4.0]])
    Tensor([[0.5],
            [1.5]], dtype=float32)
    """

    def _figures(self, values: Any) -> tuple[Any, Any]:
        least = values.min(axis=self.axis, keepdims=True)
        return least, values.max(axis=self.axis, keepdims=True) - least


def _fault(values: Any) -> str:
    return "no numbers" if not values.size else f"{np.count_nonzero(~np.isfinite(values))} NaN or infinite"
