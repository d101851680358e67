"""What layers share: making parameters, refusing sizes that cannot be, and showing arguments."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tensorgrad import ops
from tensorgrad.backend import get_default_dtype
from tensorgrad.creation import zeros
from tensorgrad.nn.parameter import Buffer, Parameter
from tensorgrad.ops.windows import per_axis


def empty_parameter(shape: tuple[int, ...], device: str | None, dtype: Any) -> Parameter:
    """A parameter to be filled, zero as yet, on the default device and in the default dtype where none is given."""
    return Parameter(zeros(shape, dtype=_dtype(dtype), device=device))


def filled_buffer(shape: tuple[int, ...], value: float, device: str | None, dtype: Any) -> Buffer:
    """A buffer of one value."""
    return Buffer(zeros(shape, dtype=_dtype(dtype), device=device) + value)


def _dtype(dtype: Any) -> Any:
    return get_default_dtype() if dtype is None else dtype


def positive(what: str, name: str, value: Any) -> int:
    """The value as an integer. Raises ValueError, naming module and argument, for one that is not at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: {name} is a {type(value).__name__}; expected an integer of at least 1") from None
    if number < 1:
        raise ValueError(f"{what}: {name} is {number}; expected an integer of at least 1")
    return number


def arguments(module: Any, *names: str) -> str:
    """Attributes of a module as its repr shows arguments: "p=0.5, inplace=False"."""
    return ", ".join(f"{name}={getattr(module, name)!r}" for name in names)


def batched(function: Callable[[Any], Any], x: Any, axes: int) -> Any:
    """`function` of x with a batch axis in front; a single image of `axes` axes gets one, and loses it again."""
    if len(x.shape) != axes:
        return function(x)
    results = function(ops.expand_dims(x, axis=0))
    if isinstance(results, tuple):
        return tuple(ops.squeeze(each, axis=0) for each in results)
    return ops.squeeze(results, axis=0)


def sizes(what: str, name: str, value: Any, axes: int, least: int = 0) -> tuple[int, ...]:
    """A number for all spatial axes, or one for each, as a tuple. Raises ValueError below `least`."""
    return per_axis(value, axes, what, name, least)


__all__ = ["arguments", "batched", "empty_parameter", "filled_buffer", "positive", "sizes"]
